//! `exec`.

use std::fs;

use serde_json::json;

use crate::harness::Bundle;

#[test]
fn a_program_joins_all_namespaces_and_the_cgroup() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    let spaces = "for space in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$space; done; cat /proc/self/cgroup; hostname";
    let joined = bundle.exec(&["sh", "-c", spaces]).ok();
    let first = bundle.exec(&["sh", "-c", &spaces.replace("self", "1")]).ok();
    assert_eq!(joined, first);
    assert_eq!(bundle.exec(&["sh", "-c", "exit 42"]).code, Some(42));
    assert_eq!(bundle.exec(&["sh", "-c", "kill -9 $$"]).code, Some(137));
    bundle.exec(&["nowhere"]).refused("No such file");
    assert_eq!(bundle.exec(&["sh", "-c", "ls /proc/self/fd"]).ok(), "0\n1\n2\n3\n", "3 is the list itself");
}

#[test]
fn it_is_the_process_that_was_described() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    let words = ["-e", "A=b", "--cwd", "/tmp", "-u", "7:8", "-g", "9"];
    let shown =
        bundle.say(&[&["exec"], &words[..], &[bundle.id(), "sh", "-c", "echo $A; pwd; id"]].concat()).ok();
    assert_eq!(shown, "b\n/tmp\nuid=7 gid=8 groups=9\n");
    let process = bundle.path().join("process.json");
    let described = json!({"args": ["sh", "-c", "echo $C; umask; id -u"], "env": ["PATH=/bin", "C=d"], "cwd": "/",
        "user": {"uid": 3, "gid": 0, "umask": 0o77}});
    fs::write(&process, described.to_string()).unwrap();
    let shown = bundle.say(&["exec", "--process", process.to_str().unwrap(), bundle.id()]).ok();
    assert_eq!(shown, "d\n0077\n3\n");
    fs::write(&process, "{").unwrap();
    bundle.say(&["exec", "--process", process.to_str().unwrap(), bundle.id()]).refused("process.json");
}

#[test]
fn one_that_detaches_runs_on() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    let pid = bundle.path().join("pid");
    let words = ["exec", "--detach", "--pid-file", pid.to_str().unwrap(), bundle.id(), "sleep", "999"];
    let started = bundle
        .command(&words)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(started.unwrap().success());
    let pid = fs::read_to_string(&pid).unwrap();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap(), "sleep\x00999\x00");
    assert_eq!(bundle.say(&["ps", bundle.id()]).ok().lines().count(), 3);
    bundle.delete().ok();
    bundle.assert_gone();
    assert!(!fs::exists(format!("/proc/{pid}/exe")).unwrap_or(false), "it went with the container");
}
