//! `mounts`, the root and what hides in it.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};

use crate::harness::Bundle;

fn mount(bundle: &Bundle, mount: Value) {
    bundle.edit(|config| config["mounts"].as_array_mut().unwrap().push(mount));
}

/// The line of `/proc/self/mountinfo` for a place.
fn shown(bundle: &Bundle, place: &str) -> String {
    bundle.edit(|config| {
        config["process"]["args"] = json!(["sh", "-c", format!("grep ' {place} ' /proc/self/mountinfo")]);
    });
    bundle.run().ok()
}

#[test]
fn binds_have_the_attributes_that_were_asked_for() {
    for (options, want) in [
        (json!(["bind", "ro", "nosuid", "nodev"]), "ro,nosuid,nodev,"),
        (json!(["rbind", "rro", "noexec"]), "ro,noexec,"),
        (json!(["bind", "noatime"]), "rw,noatime"),
        (json!(["bind", "ro", "rw"]), "rw,"),
    ] {
        let bundle = Bundle::new(&[]);
        fs::create_dir(bundle.path().join("data")).unwrap();
        mount(&bundle, json!({"destination": "/new/data", "source": "data", "options": options}));
        bundle.edit(|config| config["root"]["readonly"] = json!(false));
        let line = shown(&bundle, "/new/data");
        assert!(line.contains(&format!(" /new/data {want}")), "{options}: {line}");
    }
}

#[test]
fn a_file_is_bound_over_a_file_that_is_made() {
    let bundle = Bundle::new(&["cat", "/etc/there"]);
    fs::write(bundle.path().join("file"), "of the host").unwrap();
    mount(&bundle, json!({"destination": "/etc/there", "source": "file", "options": ["bind", "ro"]}));
    bundle.edit(|config| config["root"]["readonly"] = json!(false));
    assert_eq!(bundle.run().ok(), "of the host");
    assert!(bundle.root().join("etc/there").is_file());
}

#[test]
fn what_a_filesystem_in_memory_covers_is_copied_if_asked() {
    let bundle = Bundle::new(&[
        "sh",
        "-c",
        "cat /data/a/file; ls -l /data/a/link /data | wc -l; echo new > /data/new",
    ]);
    fs::create_dir_all(bundle.root().join("data/a")).unwrap();
    fs::write(bundle.root().join("data/a/file"), "below\n").unwrap();
    symlink("file", bundle.root().join("data/a/link")).unwrap();
    mount(
        &bundle,
        json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]}),
    );
    assert_eq!(bundle.run().ok(), "below\n5\n");
    assert!(!bundle.root().join("data/new").exists());
}

#[test]
fn an_id_mapped_bind_shows_other_owners() {
    let bundle = Bundle::new(&["sh", "-c", "stat -c %u:%g /data/file"]);
    fs::create_dir(bundle.path().join("data")).unwrap();
    fs::write(bundle.path().join("data/file"), "").unwrap();
    let map = |outside| json!([{"containerID": 0, "hostID": outside, "size": 1000}]);
    mount(
        &bundle,
        json!({"destination": "/data", "source": "data", "options": ["bind", "idmap"],
        "uidMappings": map(5000), "gidMappings": map(6000)}),
    );
    bundle.edit(|config| config["root"]["readonly"] = json!(false));
    assert_eq!(bundle.run().ok(), "5000:6000\n");
}

#[test]
fn a_read_only_root_takes_nothing_and_hidden_paths_show_nothing() {
    let script = "echo x > /file 2>/dev/null && exit 1; echo x > /proc/sys/kernel/hostname 2>/dev/null && exit 2; \
                  cat /hidden; ls /folder; echo x > /sealed/file 2>/dev/null && exit 3; echo done";
    let bundle = Bundle::new(&["sh", "-c", script]);
    fs::write(bundle.root().join("hidden"), "secret").unwrap();
    fs::create_dir(bundle.root().join("folder")).unwrap();
    fs::write(bundle.root().join("folder/secret"), "").unwrap();
    fs::create_dir(bundle.path().join("sealed")).unwrap();
    mount(&bundle, json!({"destination": "/sealed", "source": "sealed", "options": ["bind"]}));
    bundle.edit(|config| {
        config["linux"]["maskedPaths"] = json!(["/hidden", "/folder", "/not-there"]);
        config["linux"]["readonlyPaths"].as_array_mut().unwrap().push(json!("/sealed"));
    });
    // What has to be made for the mount is made before the root is sealed.
    assert_eq!(bundle.run().ok(), "done\n");
}

#[test]
fn what_is_mounted_inside_stays_inside() {
    let bundle =
        Bundle::script("mount -t tmpfs none /tmp; mount -t tmpfs none /data; touch /data/inside; ls /data");
    fs::create_dir(bundle.path().join("data")).unwrap();
    mount(&bundle, json!({"destination": "/data", "source": "data", "options": ["rbind", "rprivate"]}));
    bundle.edit(|config| {
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN"));
        }
    });
    assert_eq!(bundle.run().ok(), "inside\n");
    assert_eq!(fs::read_dir(bundle.path().join("data")).unwrap().count(), 0);
    bundle.assert_gone();
}

#[test]
fn a_root_can_be_moved_instead_of_pivoted() {
    let bundle = Bundle::new(&["sh", "-c", "ls /; cd ..; pwd"]);
    let shown = bundle.say(&["run", "--no-pivot", bundle.id()]).ok();
    assert_eq!(shown, "bin\ndev\nproc\nsys\ntmp\n/\n");
}

#[test]
fn devices_are_those_that_were_named() {
    let bundle = Bundle::new(&[
        "sh",
        "-c",
        "stat -c '%n %t:%T %a %u:%g' /dev/null /dev/mine /dev/pipe; readlink /dev/ptmx; echo x > /dev/null",
    ]);
    bundle.edit(|config| {
        config["linux"]["devices"] = json!([
            {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4},
            {"path": "/dev/pipe", "type": "p"},
        ]);
    });
    assert_eq!(
        bundle.run().ok(),
        "/dev/null 1:3 666 0:0\n/dev/mine 1:5 640 3:4\n/dev/pipe 0:0 666 0:0\npts/ptmx\n"
    );
}

#[test]
fn a_mount_that_fails_is_named() {
    let bundle = Bundle::new(&["true"]);
    mount(&bundle, json!({"destination": "/data", "source": "not-there", "options": ["bind"]}));
    bundle.run().refused("mounts[7] /data: source of a mount: No such file");
    bundle.assert_gone();
    let bundle = Bundle::new(&["true"]);
    mount(&bundle, json!({"destination": "/tmp", "type": "tmpfs", "source": "x", "options": ["size=lots"]}));
    bundle.run().refused("mounts[7] /tmp: mount: Invalid argument");
    let bundle = Bundle::new(&["true"]);
    fs::write(bundle.root().join("file"), "").unwrap();
    mount(&bundle, json!({"destination": "/file/below", "type": "tmpfs", "source": "x"}));
    bundle.run().refused("mounts[7] /file/below: target of a mount: Not a directory");
}
