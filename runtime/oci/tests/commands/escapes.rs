//! Ways out of other runtimes, each by its number: an image or a configuration made for it leads nowhere here.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::harness::{Bundle, wait_for};

/// A folder of the host's into which nothing may come.
fn host(bundle: &Bundle) -> PathBuf {
    let host = bundle.path().join("host");
    fs::create_dir(&host).unwrap();
    host
}

fn is_empty(folder: &std::path::Path) -> bool {
    fs::read_dir(folder).unwrap().count() == 0
}

#[test]
fn cve_2019_19921_a_proc_that_is_a_link() {
    for target in ["/tmp", "../../host"] {
        let bundle = Bundle::new(&["true"]);
        let host = host(&bundle);
        symlink(target, bundle.root().join("proc")).unwrap();
        bundle.run().refused("mounts[0] /proc");
        assert!(is_empty(&host));
        bundle.assert_gone();
    }
}

#[test]
fn cve_2026_41579_a_dev_that_is_a_link() {
    let bundle = Bundle::new(&["true"]);
    let host = host(&bundle);
    symlink(&host, bundle.root().join("dev")).unwrap();
    bundle.edit(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        config["root"]["readonly"] = json!(false);
        config["linux"]["maskedPaths"] = json!([]);
    });
    bundle.run().refused("device");
    assert!(is_empty(&host));
    bundle.assert_gone();
}

#[test]
fn cve_2025_31133_a_null_device_that_leads_elsewhere() {
    for fake in ["link", "file"] {
        let bundle = Bundle::new(&["cat", "/proc/sys/kernel/domainname"]);
        fs::create_dir(bundle.root().join("dev")).unwrap();
        match fake {
            "link" => symlink("/proc/sys/kernel/domainname", bundle.root().join("dev/null")).unwrap(),
            _ => fs::write(bundle.root().join("dev/null"), "").unwrap(),
        }
        bundle.edit(|config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            config["root"]["readonly"] = json!(false);
            config["linux"]["maskedPaths"] = json!(["/proc/timer_list"]);
        });
        bundle.run().refused("device");
        bundle.assert_gone();
    }
}

#[test]
fn cve_2024_21626_a_working_directory_in_a_leaked_descriptor() {
    for number in 3..24 {
        let bundle = Bundle::new(&["pwd"]);
        bundle.edit(|config| config["process"]["cwd"] = json!(format!("/proc/self/fd/{number}")));
        assert_ne!(bundle.run().code, Some(0), "{number}");
    }
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    for number in 3..24 {
        let cwd = format!("/proc/self/fd/{number}");
        assert_ne!(bundle.say(&["exec", "--cwd", &cwd, bundle.id(), "pwd"]).code, Some(0), "{number}");
    }
    // A link of the image's own to there is no better.
    let bundle = Bundle::new(&["pwd"]);
    symlink("/proc/self/fd/8", bundle.root().join("way")).unwrap();
    bundle.edit(|config| config["process"]["cwd"] = json!("/way"));
    assert_ne!(bundle.run().code, Some(0));
}

#[test]
fn cve_2025_52881_settings_that_a_mount_redirects() {
    let bundle = Bundle::new(&["true"]);
    let fake = bundle.path().join("fake");
    fs::create_dir_all(fake.join("net/ipv4")).unwrap();
    fs::write(fake.join("net/ipv4/ip_forward"), "untouched").unwrap();
    bundle.edit(|config| {
        let mount = json!({"destination": "/proc/sys", "source": "fake", "options": ["bind"]});
        config["mounts"].as_array_mut().unwrap().push(mount);
        config["linux"]["readonlyPaths"] = json!([]);
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    });
    bundle.run().ok();
    assert_eq!(fs::read_to_string(fake.join("net/ipv4/ip_forward")).unwrap(), "untouched");
}

#[test]
fn cve_2022_29162_capabilities_that_are_inherited() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    let words =
        ["exec", "--cap", "CAP_NET_RAW", bundle.id(), "grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"];
    assert_eq!(bundle.say(&words).ok(), "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
}

#[test]
fn cve_2016_9962_who_looks_into_what_comes_in() {
    let watch = "while :; do for process in /proc/[0-9]*; do [ $process = /proc/1 ] || [ $process = /proc/$$ ] || \
                 { for place in root cwd; do cat $process/$place/marker; done 2>/dev/null; ls $process/fd 2>/dev/null | grep -v '^[0-3]$'; }; \
                 done >> /tmp/seen || true; done";
    let bundle = Bundle::script(watch);
    let marker = bundle.path().join("marker");
    fs::write(&marker, "of the host\n").unwrap();
    bundle.edit(|config| {
        config["root"]["readonly"] = json!(false);
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_PTRACE"));
        }
    });
    bundle.start();
    wait_for(|| bundle.root().join("tmp/seen").exists());
    for _ in 0..15 {
        bundle.exec(&["true"]).ok();
    }
    let seen = fs::read_to_string(bundle.root().join("tmp/seen")).unwrap();
    assert!(!seen.contains("of the host"), "{seen}");
}

#[test]
fn cve_2019_5736_a_program_that_is_the_runtime_itself() {
    let copy = tempfile::tempdir().unwrap();
    let runtime = copy.path().join("runtime");
    fs::copy(env!("CARGO_BIN_EXE_coracle-runtime"), &runtime).unwrap();
    let before = fs::read(&runtime).unwrap();
    // Its file is held open while it waits for a reader, and opened for writing when nobody runs it any more.
    let bundle = Bundle::script(
        "mkfifo /hold
         until for process in /proc/[0-9]*; do grep -q -e '--lo[g]' $process/cmdline && exec 8<$process/exe && break; done; do :; done
         cat /hold >/dev/null
         until echo broken >/proc/self/fd/8; do :; done 2>&1 | grep -m 1 -v busy >/outcome",
    );
    bundle.edit(|config| {
        config["root"]["readonly"] = json!(false);
        for set in ["bounding", "effective", "permitted"] {
            let set = config["process"]["capabilities"][set].as_array_mut().unwrap();
            set.extend([json!("CAP_SYS_PTRACE"), json!("CAP_DAC_OVERRIDE")]);
        }
    });
    // An image made for this brings what the runtime is linked with.
    let linked = Command::new("ldd").arg(&runtime).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = bundle.root().join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
    bundle.start();
    let mut exec = Command::new(&runtime);
    exec.arg("--root").arg(bundle.states()).args(["exec", bundle.id()]);
    exec.args(["/proc/self/exe", "--log", "/hold", "state", "none"]).output().unwrap();
    let outcome = || fs::read_to_string(bundle.root().join("outcome")).unwrap_or_default();
    wait_for(|| bundle.status() == "stopped" || !outcome().is_empty());
    assert!(outcome().contains("Read-only file system"), "{}", outcome());
    assert!(fs::read(&runtime).unwrap() == before, "the runtime was written to");
}

#[test]
fn cve_2021_30465_targets_that_change_on_the_way() {
    let bundle = Bundle::new(&["true"]);
    let host = host(&bundle);
    let volume = bundle.path().join("volume");
    fs::create_dir_all(volume.join("folder/below")).unwrap();
    symlink(&host, volume.join("link")).unwrap();
    bundle.edit(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/volume", "source": "volume", "options": ["rbind"]}));
        for at in 0..8 {
            let destination = format!("/volume/folder/below/new{at}");
            mounts.push(json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
        }
        config["root"]["readonly"] = json!(false);
    });
    fs::create_dir(bundle.root().join("volume")).unwrap();
    let (stop, changes) = (AtomicBool::new(false), std::sync::atomic::AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (folder, link) = (volume.join("folder"), volume.join("link"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                changes.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..60 {
            // It may fail, and must not come out.
            bundle.run();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(changes.into_inner() > 60);
    assert!(is_empty(&host), "something was made on the host");
    bundle.assert_gone();
}

#[test]
fn cve_2024_45310_what_is_missing_is_made_inside() {
    let bundle = Bundle::new(&["true"]);
    let host = host(&bundle);
    symlink("../../host", bundle.root().join("up")).unwrap();
    symlink(&host, bundle.root().join("absolute")).unwrap();
    for destination in ["/up/a", "/absolute/b", "/tmp/../../host/c", "/up/../../../host/d"] {
        bundle.edit(|config| {
            let mount = json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"});
            config["mounts"].as_array_mut().unwrap().push(mount);
            config["root"]["readonly"] = json!(false);
        });
        bundle.run();
        assert!(is_empty(&host), "{destination}");
    }
}

#[test]
fn cve_2021_43784_many_sources_do_not_undo_namespaces() {
    let bundle = Bundle::script("readlink /proc/self/ns/user; readlink /proc/self/ns/net");
    bundle.edit(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        for at in 0..400 {
            let source = format!("/{}tmp", "./".repeat(100));
            mounts.push(json!({"destination": format!("/tmp/{at}"), "source": source, "options": ["bind"]}));
        }
        config["root"]["readonly"] = json!(false);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        for maps in ["uidMappings", "gidMappings"] {
            config["linux"][maps] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        }
    });
    let shown = bundle.run().ok();
    for space in ["user", "net"] {
        let ours = fs::read_link(format!("/proc/self/ns/{space}")).unwrap();
        assert!(!shown.contains(ours.to_str().unwrap()));
    }
}
