//! User namespaces: whose the others are, and what its root may not do.

use serde_json::json;

use crate::harness::Bundle;

fn mapped(script: &str, capabilities: &[&str]) -> Bundle {
    let bundle = Bundle::script(script);
    bundle.edit(|config| {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 1000, "hostID": 300_000, "size": 1000}]);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        for set in ["bounding", "effective", "permitted"] {
            let set = config["process"]["capabilities"][set].as_array_mut().unwrap();
            set.extend(capabilities.iter().map(|name| json!(name)));
        }
    });
    bundle
}

#[test]
fn its_root_owns_its_namespaces_and_nothing_of_the_hosts() {
    let script = "id -u; ls -d /proc/1; ip addr add 10.1.2.3/32 dev lo; ip addr | grep -c 10.1.2.3; hostname other; hostname; mount -t tmpfs none /tmp; touch /tmp/x; stat -c %u /dev/null /dev/shm; \
                  ! mknod /tmp/sda b 8 0";
    let bundle = mapped(script, &["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_MKNOD"]);
    assert_eq!(bundle.run().ok(), "0\n/proc/1\n1\nother\n0\n0\n");
    bundle.assert_gone();
}

#[test]
fn what_is_hidden_cannot_be_uncovered() {
    let script = "for path in /proc/keys /proc/timer_list /sys/firmware /proc/sys /dev; do umount $path 2>/dev/null && exit 1; done; \
                  mount -o remount,bind,rw / 2>/dev/null && exit 2; echo fast";
    let bundle = mapped(script, &["CAP_SYS_ADMIN"]);
    assert_eq!(bundle.run().ok(), "fast\n");
}

#[test]
fn it_waits_is_joined_and_removed_as_any_other() {
    let bundle = mapped("exec sleep 1000", &[]);
    bundle.start();
    assert_eq!(bundle.status(), "running");
    assert_eq!(
        bundle
            .exec(&[
                "sh",
                "-c",
                "id -u; cat /proc/self/uid_map | tr -s ' '; readlink /proc/self/ns/user | head -c 5"
            ])
            .ok(),
        "0\n 0 100000 1000\n 1000 300000 1000\nuser:"
    );
    let outside = std::fs::read_to_string(format!("/proc/{}/status", bundle.pid())).unwrap();
    assert!(outside.contains("\nUid:\t100000\t"), "{outside}");
    bundle.kill("KILL").ok();
    bundle.wait_until("stopped");
    bundle.on("delete").ok();
    bundle.assert_gone();
}

#[test]
fn a_user_that_is_not_mapped_is_refused() {
    let bundle = mapped("true", &[]);
    bundle.edit(|config| config["process"]["user"]["uid"] = json!(5000));
    bundle.run().refused("5000");
    bundle.assert_gone();
    let bundle = mapped("true", &[]);
    bundle.edit(|config| config["linux"]["uidMappings"] = json!([]));
    bundle.run().refused("linux.uidMappings");
    let bundle = Bundle::new(&["true"]);
    bundle
        .edit(|config| config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1}]));
    bundle.run().refused("linux.uidMappings");
}

#[test]
fn namespaces_are_joined_by_path() {
    let first = mapped("exec sleep 1000", &[]);
    first.start();
    let spaces = ["net", "ipc", "uts", "pid"];
    let second = Bundle::script(
        "for space in net ipc uts pid; do readlink /proc/self/ns/$space; done; cat /proc/1/comm",
    );
    second.edit(|config| {
        let path = |kind: &str| format!("/proc/{}/ns/{kind}", first.pid());
        config["linux"]["namespaces"] = json!([
            {"type": "network", "path": path("net")}, {"type": "ipc", "path": path("ipc")}, {"type": "uts", "path": path("uts")},
            {"type": "pid", "path": path("pid")}, {"type": "mount"}, {"type": "cgroup"}
        ]);
        config.as_object_mut().unwrap().remove("hostname");
    });
    let shown = second.run().ok();
    for (line, space) in shown.lines().zip(spaces) {
        let theirs = std::fs::read_link(format!("/proc/{}/ns/{space}", first.pid())).unwrap();
        assert_eq!(line, theirs.to_str().unwrap());
    }
    assert_eq!(shown.lines().last(), Some("sleep"), "it sees the other's process");
}
