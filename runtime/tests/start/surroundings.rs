//! What a program finds around it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Command,
};

use coracle_runtime::{exit::Exit, plan::*, start::Report};

use crate::harness::{Container, FIRST, Outcome, Running, alone, new_cgroup, own, ready};

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

#[test]
fn the_program_has_its_words_and_its_own_namespaces() {
    let links = NAMESPACES.map(|name| format!("link:/proc/self/ns/{name}"));
    let mut words: Vec<&str> = links.iter().map(String::as_str).collect();
    words.extend(["args", "env", "cwd", "link:/proc/self", "ls:/proc/self/fd", "link:/proc/self/fd/0"]);
    words.extend(["cat:/proc/sys/kernel/hostname", "cat:/proc/self/cgroup", "cat:/proc/self/uid_map"]);
    words.extend(["cat:/proc/self/oom_score_adj", "cat:/etc/hostname", "ls:/"]);
    let mut container = Container::new(&words);
    fs::create_dir(container.path("work")).unwrap();
    container.plan.cwd = AbsPath::new("/work").unwrap();
    let done = container.run();
    assert_eq!((done.report, done.exit), (Report::Running, Exit::Code(0)), "{done:?}");
    for (name, link) in NAMESPACES.iter().zip(&links) {
        assert_ne!(done.of(link), own(&format!("/proc/self/ns/{name}")), "{name}");
    }
    assert!(done.of("args").starts_with("probe link:/proc/self/ns/cgroup "));
    assert_eq!(done.of("env"), "PATH=/nowhere::/bin\nCOLOUR=blue");
    assert_eq!((done.of("cwd"), done.of("link:/proc/self")), ("/work", "1"));
    // The fourth is the listing's own.
    assert_eq!(done.of("ls:/proc/self/fd"), "0 1 2 3");
    assert_eq!(done.of("link:/proc/self/fd/0"), "/dev/null");
    assert_eq!(done.of("cat:/proc/sys/kernel/hostname"), "inside");
    assert_eq!(done.of("cat:/etc/hostname"), "inside");
    assert!(done.of("cat:/proc/self/cgroup").ends_with("0::/"), "{done:?}");
    let map: Vec<&str> = done.of("cat:/proc/self/uid_map").split_whitespace().collect();
    assert_eq!(map, ["0", "200000", "65536"]);
    assert_eq!(done.of("cat:/proc/self/oom_score_adj"), "500");
    assert_eq!(done.of("ls:/"), "bin dev etc proc sys work");
}

#[test]
fn devices_are_few_and_the_containers_own() {
    let done = Container::new(&[
        "ls:/dev",
        "owner:/dev/null",
        "owner:/dev/shm",
        "link:/dev/ptmx",
        "write:/dev/null",
        "write:/dev/shm/a",
        "write:/dev/pts/ptmx",
        "ls:/dev/mqueue",
        "owner:/dev",
    ])
    .run();
    let devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(done.of("ls:/dev"), devices, "{done:?}");
    assert_eq!(done.of("owner:/dev/null"), "0:0 20666 259");
    assert_eq!((done.of("owner:/dev/shm"), done.of("owner:/dev")), ("0:0 41777 0", "0:0 40755 0"));
    assert_eq!(done.of("link:/dev/ptmx"), "pts/ptmx");
    for works in ["write:/dev/null", "write:/dev/pts/ptmx", "write:/dev/shm/a", "ls:/dev/mqueue"] {
        assert_eq!(done.of(works), "", "{works}");
    }
}

#[test]
fn masked_and_read_only_paths_are() {
    let mut container = Container::new(&[
        "ls:/proc/fs",
        "ls:/sys/firmware",
        "cat:/proc/version",
        "write:/proc/fs/a",
        "write:/proc/sys/kernel/hostname",
        "write:/kept/deep/a",
        "ls:/secret",
        "write:/sys/fs/cgroup/cgroup.procs",
        "ls:/sys/class/net",
        "write:/sys/class/net/lo/mtu",
        "cat:/sys/fs/cgroup/cgroup.procs",
    ]);
    fs::create_dir_all(container.path("kept/deep")).unwrap();
    fs::create_dir_all(container.path("secret/deep")).unwrap();
    container.plan.readonly.push(AbsPath::new("/kept").unwrap());
    container.plan.masked.push(AbsPath::new("/secret").unwrap());
    let done = container.run();
    for path in ["ls:/proc/fs", "ls:/sys/firmware", "ls:/secret", "cat:/proc/version"] {
        assert_eq!(done.of(path), "", "{path}");
    }
    let (refused, read_only) = ("! 13", "! 30");
    assert_eq!((done.of("write:/proc/fs/a"), done.of("write:/kept/deep/a")), (read_only, read_only));
    for path in ["/proc/sys/kernel/hostname", "/sys/fs/cgroup/cgroup.procs"] {
        let answer = done.of(&format!("write:{path}"));
        assert!(answer == refused || answer == read_only, "{path}: {answer}");
    }
    // A kernel with IPv6 tunnels gives every namespace one.
    let interfaces =
        done.of("ls:/sys/class/net").strip_suffix(" sit0").unwrap_or(done.of("ls:/sys/class/net"));
    assert_eq!(interfaces, "lo");
    assert_eq!(done.of("cat:/sys/fs/cgroup/cgroup.procs"), "1");
}

/// Mount point, flags of the mount, type of filesystem, sorted: from `/proc/self/mountinfo`.
fn mounts(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let (mount, filesystem) = line.split_once(" - ").unwrap();
            let fields: Vec<&str> = mount.split(' ').collect();
            format!("{} {} {}", fields[4], fields[5], filesystem.split(' ').next().unwrap())
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_mounts_are_these_and_no_others() {
    let mut container = Container::new(&["cat:/proc/self/mountinfo"]);
    (container.plan.masked, container.plan.readonly) = (vec![], vec![]);
    fs::create_dir(container.path("etc")).unwrap();
    let names = ["resolv.conf", "hosts", "hostname"];
    let hosts = |name: &&str| *name == "hostname" || fs::metadata(format!("/etc/{name}")).is_ok();
    let shared = names.iter().filter(|name| hosts(name));
    let done = container.run();
    let text = done.of("cat:/proc/self/mountinfo");
    let (etc, rest): (Vec<_>, Vec<_>) = mounts(text).into_iter().partition(|line| line.starts_with("/etc/"));
    assert_eq!(
        rest,
        [
            "/ rw,nosuid,nodev,relatime overlay",
            "/dev rw,nosuid,noexec,relatime tmpfs",
            "/dev/mqueue rw,nosuid,nodev,noexec,relatime mqueue",
            "/dev/pts rw,nosuid,noexec,relatime devpts",
            "/dev/shm rw,nosuid,nodev,noexec,relatime tmpfs",
            "/proc rw,nosuid,nodev,noexec,relatime proc",
            "/sys ro,nosuid,nodev,noexec,relatime sysfs",
            "/sys/fs/cgroup ro,nosuid,nodev,noexec,relatime cgroup2",
        ]
    );
    assert_eq!(etc.len(), shared.count());
    assert!(etc.iter().all(|line| line.contains(" ro,nosuid,nodev,noexec")), "{etc:?}");
    // Nothing says where the image is on the host.
    assert!(!text.contains(container.image.path().to_str().unwrap()), "{text}");

    container.plan.writable = Writable::None;
    let sealed = mounts(container.run().of("cat:/proc/self/mountinfo"));
    assert!(sealed.contains(&"/ ro,nosuid,nodev,relatime overlay".to_owned()), "{sealed:?}");
}

#[test]
fn the_loopback_interface_is_up_and_its_low_ports_are_free() {
    let mut container = Container::new(&["listen:127.0.0.1:80", "listen:[::1]:80", "cat:/proc/net/route"]);
    container.plan.uid = 1000;
    let done = container.run();
    assert_eq!((done.of("listen:127.0.0.1:80"), done.of("listen:[::1]:80")), ("", ""), "{done:?}");
    assert_eq!(done.of("cat:/proc/net/route").lines().count(), 1);
}

#[test]
fn the_layer_takes_what_is_written_and_the_image_stays() {
    let words =
        ["write:/bin/new", "remove:/bin/old", "ls:/bin", "owner:/bin/new", "owner:/bin/probe", "owner:/"];
    let folder = tempfile::tempdir().unwrap();
    let layers = [
        (Writable::None, false),
        (Writable::Tmpfs { bytes: 1 << 20 }, true),
        (Writable::State(AbsPath::new(folder.path().join("web/1").to_str().unwrap()).unwrap()), true),
    ];
    for (layer, takes) in layers {
        let mut container = Container::new(&words);
        fs::write(container.path("bin/old"), "").unwrap();
        fs::set_permissions(container.image.path(), fs::Permissions::from_mode(0o711)).unwrap();
        container.plan.writable = layer.clone();
        let done = container.run();
        let want = if takes { ("", "", "new probe") } else { ("! 30", "! 30", "old probe") };
        let got = (done.of("write:/bin/new"), done.of("remove:/bin/old"), done.of("ls:/bin"));
        assert_eq!(got, want, "{layer:?}: {done:?}");
        assert_eq!(done.of("owner:/bin/probe"), "0:0 100755 0");
        assert_eq!(done.of("owner:/"), "0:0 40711 0");
        let stays: Vec<_> =
            fs::read_dir(container.path("bin")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(stays.len(), 2, "{stays:?}");
    }
    let made = fs::metadata(folder.path().join("web/1/upper/bin/new")).unwrap();
    assert_eq!((made.uid(), made.gid()), (FIRST, FIRST));
}

#[test]
fn an_image_on_erofs_is_one() {
    let words =
        ["owner:/bin/probe", "write:/bin/new", "ls:/bin", "cat:/proc/self/mountinfo", "cat:/etc/hostname"];
    let mut container = Container::new(&words);
    for folder in ["etc", "proc", "sys", "dev"] {
        fs::create_dir(container.path(folder)).unwrap();
    }
    for file in ["hostname", "hosts", "resolv.conf"] {
        fs::write(container.path("etc").join(file), "").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let (image, mount) = (folder.path().join("image.erofs"), folder.path().join("mounted"));
    fs::create_dir(&mount).unwrap();
    let run = |program: &str, words: &[&OsStr]| {
        let _alone = alone();
        let done = Command::new(program).args(words).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    };
    run("mkfs.erofs", &["--quiet".as_ref(), image.as_ref(), container.image.path().as_ref()]);
    run("mount", &["-oloop,ro".as_ref(), image.as_ref(), mount.as_ref()]);
    container.plan.root = Root::Image(AbsPath::new(mount.to_str().unwrap()).unwrap());
    let root = |done: &Outcome| mounts(done.of("cat:/proc/self/mountinfo"))[0].clone();
    let done = container.run();
    // With a place for everything and nothing to write, there is nothing above the image.
    container.plan.writable = Writable::None;
    let sealed = container.run();
    run("umount", &[mount.as_ref()]);
    assert_eq!(done.of("owner:/bin/probe"), "0:0 100755 0", "{done:?}");
    assert_eq!((done.of("write:/bin/new"), done.of("ls:/bin")), ("", "new probe"));
    assert_eq!(root(&done), "/ rw,nosuid,nodev,relatime overlay");
    assert_eq!(sealed.of("owner:/bin/probe"), "0:0 100755 0", "{sealed:?}");
    assert_eq!((sealed.of("write:/bin/new"), sealed.of("ls:/bin")), ("! 30", "probe"));
    assert_eq!(root(&sealed), "/ ro,nosuid,nodev,relatime,idmapped erofs");
    assert_eq!(sealed.of("cat:/etc/hostname"), done.of("cat:/etc/hostname"));
    assert_ne!(sealed.of("cat:/etc/hostname"), "");
}

#[test]
fn a_layer_in_memory_is_as_large_as_the_plan_says() {
    // The probe itself is larger than the layer.
    let mut container = Container::new(&["copy:/bin/probe"]);
    container.plan.writable = Writable::Tmpfs { bytes: 128 << 10 };
    let done = container.run();
    assert_eq!(done.of("copy:/bin/probe"), "! 28", "{done:?}");
}

#[test]
fn names_come_from_the_host_unless_the_image_points_elsewhere() {
    let words = ["cat:/etc/hosts", "link:/etc/resolv.conf", "write:/etc/hosts", "cat:/etc/hostname"];
    let container = Container::new(&words);
    fs::create_dir(container.path("etc")).unwrap();
    fs::write(container.path("etc/hosts"), "the image's").unwrap();
    symlink("/nowhere/resolv.conf", container.path("etc/resolv.conf")).unwrap();
    let done = container.run();
    assert_eq!(done.of("cat:/etc/hosts"), fs::read_to_string("/etc/hosts").unwrap().trim_end());
    assert_eq!(done.of("link:/etc/resolv.conf"), "/nowhere/resolv.conf");
    assert_eq!((done.of("write:/etc/hosts"), done.of("cat:/etc/hostname")), ("! 30", "inside"));
    assert_eq!(fs::read_to_string(container.path("etc/hosts")).unwrap(), "the image's");
}

#[test]
fn one_process_and_no_mount_is_all_there_is() {
    let container = Container::new(&["sleep:600"]);
    let running = container.start();
    running.wait_until_it_runs();
    assert_eq!(running.processes(), 1);
    // All its mounts begin with one that covers its image.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(container.image.path().to_str().unwrap()), "{mounts}");
    assert!(running.cgroup.is_populated().unwrap());
    running.cgroup.kill().unwrap();
    let done = running.finish();
    assert_eq!(done.exit, Exit::Signal(Signal::new(9).unwrap()));
}

#[test]
fn one_preparation_starts_many_times() {
    let container = Container::new(&["write:/a", "exit:7"]);
    let prepared = ready(&container.plan);
    for _ in 0..3 {
        let cgroup = new_cgroup(&container.plan.limits, container.plan.devices());
        let done = Running::new(&prepared, cgroup).finish();
        assert_eq!((done.of("write:/a"), done.exit), ("", Exit::Code(7)));
    }
}
