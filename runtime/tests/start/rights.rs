//! What a program may do.

use std::os::unix::fs::PermissionsExt;

use coracle_runtime::{exit::Exit, plan::*, start::Report};

use crate::harness::{CAPS, Container, install, own};

const STATUS: &str = "cat:/proc/self/status";

#[test]
fn the_containers_root_has_the_plans_capabilities_and_no_way_up() {
    let mut container = Container::new(&[STATUS, "cat:/proc/self/limits", "link:/proc/1/exe"]);
    container.plan.groups = vec![4, 27];
    let done = container.run();
    let caps = format!("{CAPS:016x}");
    for (field, want) in [
        ("Uid", "0 0 0 0"),
        ("Gid", "0 0 0 0"),
        ("Groups", "4 27"),
        ("CapInh", "0000000000000000"),
        ("CapPrm", &caps),
        ("CapEff", &caps),
        ("CapBnd", &caps),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Seccomp_filters", "1"),
        ("SigBlk", "0000000000000000"),
        ("SigIgn", "0000000000001000"),
        ("Umask", "0022"),
    ] {
        // The probe's own runtime ignores SIGPIPE (bit 12).
        assert_eq!(done.status(field), want, "{field}");
    }
    let files =
        done.of("cat:/proc/self/limits").lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1024"));
    assert_eq!(done.of("link:/proc/1/exe"), "/bin/probe");
}

#[test]
fn another_user_has_none_and_gains_none_by_set_id_programs() {
    let mut container =
        Container::new(&[STATUS, "run:/bin/setuid cat:/proc/self/status", "write:/dev/stdout"]);
    install(&container.path("bin/setuid"), 0o6755);
    (container.plan.uid, container.plan.gid) = (1000, 1001);
    let done = container.run();
    assert_eq!((done.report, done.exit), (Report::Running, Exit::Code(0)), "{done:?}");
    let none = "0000000000000000";
    for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(done.status(field), none, "{field}");
    }
    assert_eq!(
        (done.status("Uid"), done.status("Gid")),
        ("1000 1000 1000 1000".into(), "1001 1001 1001 1001".into())
    );
    // The program and the set-id program that it has started.
    let uids = done.output.lines().filter(|line| line.starts_with("Uid:\t1000\t1000\t1000\t1000")).count();
    assert_eq!(uids, 2, "{done:?}");
    assert_eq!(done.of("write:/dev/stdout"), "");
}

#[test]
fn no_capability_reaches_the_containers_own_network() {
    let mut container = Container::new(&[STATUS, "write:/proc/sys/net/ipv4/ip_forward"]);
    container.plan.caps = CapMask::new(CAPS | 1 << 12).unwrap(); // CAP_NET_ADMIN
    container.plan.readonly.clear();
    let done = container.run();
    assert!(done.status("CapEff").ends_with("a80435fb"), "{done:?}");
    assert_eq!(done.of("write:/proc/sys/net/ipv4/ip_forward"), "! 13");
}

#[test]
fn ids_of_the_host_are_kept_where_the_plan_has_them() {
    let mut container = Container::new(&[STATUS, "link:/proc/self/ns/user", "link:/proc/self/ns/net"]);
    container.plan.user = UserNamespace::Host;
    container.plan.net = Namespace::Host;
    (container.plan.uid, container.plan.gid) = (1000, 1000);
    let done = container.run();
    assert_eq!(done.of("link:/proc/self/ns/user"), own("/proc/self/ns/user"));
    assert_eq!(done.of("link:/proc/self/ns/net"), own("/proc/self/ns/net"));
    assert_eq!(done.status("CapEff"), "0000000000000000");
    assert_eq!(done.status("CapBnd"), format!("{CAPS:016x}"));
}

#[test]
fn a_service_of_the_host_keeps_its_capabilities_as_another_user() {
    let names = ["cgroup", "ipc", "net", "pid", "user", "uts", "mnt"];
    let mut words = names.map(|name| format!("link:/proc/self/ns/{name}")).to_vec();
    words.extend([STATUS, "ls:/root", "cwd", "ls:/proc/self/fd"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut container = Container::new(&words);
    let plan = &mut container.plan;
    plan.argv[0] =
        std::ffi::CString::new(container.image.path().join("bin/probe").to_str().unwrap()).unwrap();
    plan.root = Root::Host;
    plan.writable = Writable::None;
    (plan.net, plan.pid, plan.user) = (Namespace::Host, Namespace::Host, UserNamespace::Host);
    (plan.uid, plan.gid) = (1000, 1000);
    plan.caps = CapMask::new(1 << 13).unwrap(); // CAP_NET_RAW
    plan.masked = ["/root", "/etc/passwd"].iter().map(|path| AbsPath::new(*path).unwrap()).collect();
    plan.readonly = vec![AbsPath::new("/etc").unwrap()];
    let done = container.run();
    assert_eq!((done.report, done.exit), (Report::Running, Exit::Code(0)), "{done:?}");
    for name in &names[..6] {
        assert_eq!(
            done.of(&format!("link:/proc/self/ns/{name}")),
            own(&format!("/proc/self/ns/{name}")),
            "{name}"
        );
    }
    assert_ne!(done.of("link:/proc/self/ns/mnt"), own("/proc/self/ns/mnt"));
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(done.status(field), "0000000000002000", "{field}");
    }
    assert_eq!((done.of("ls:/root"), done.of("cwd"), done.of("ls:/proc/self/fd")), ("", "/", "0 1 2 3"));
}

#[test]
fn a_service_as_user_0_has_its_capabilities_its_groups_and_no_network() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // As another service leaves them: one for its group, one as it comes from bind(2).
    let sockets = [("group", 0o660), ("plain", 0o755)].map(|(name, mode)| {
        let path = folder.path().join(name);
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(991), Some(991)).unwrap();
        (socket, format!("connect:{}", path.display()))
    });
    let [(_, group), (_, plain)] = &sockets;
    let mut container = Container::new(&[STATUS, "link:/proc/self/ns/net", group, plain]);
    let plan = &mut container.plan;
    plan.argv[0] =
        std::ffi::CString::new(container.image.path().join("bin/probe").to_str().unwrap()).unwrap();
    plan.root = Root::Host;
    plan.writable = Writable::None;
    (plan.net, plan.pid, plan.user) = (Namespace::Own, Namespace::Host, UserNamespace::Host);
    (plan.groups, plan.caps) = (vec![991], CapMask::new(1 << 21 | 1 << 25).unwrap());
    (plan.masked, plan.readonly) = (vec![], vec![]);
    let done = container.run();
    assert_eq!((done.report, done.exit), (Report::Running, Exit::Code(0)), "{done:?}");
    assert_ne!(done.of("link:/proc/self/ns/net"), own("/proc/self/ns/net"));
    for (field, want) in
        [("CapPrm", "0000000002200000"), ("CapEff", "0000000002200000"), ("CapAmb", "0000000000000000")]
    {
        assert_eq!(done.status(field), want, "{field}");
    }
    assert_eq!(done.status("Groups"), "991");
    // User 0 without CAP_DAC_OVERRIDE is anybody: it needs the right to write.
    assert_eq!((done.of(group), done.of(plain)), ("", "! 13"));
}
