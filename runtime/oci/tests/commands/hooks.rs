//! `hooks`.

use std::{fs, path::Path, time::Instant};

use serde_json::{Value, json};

use crate::harness::Bundle;

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that runs a line of the host's shell.
fn hook(line: &str) -> Value {
    json!({"path": "/bin/busybox", "args": ["sh", "-c", line]})
}

/// Appends a line for each kind to a file, which the container sees, too.
fn noting(bundle: &Bundle, line: &str) {
    let log = bundle.root().join("tmp/log");
    bundle.edit(|config| {
        config["root"]["readonly"] = json!(false);
        let mut all = serde_json::Map::new();
        for kind in KINDS {
            // In the container's own namespaces, once its root is the only one, the file is elsewhere.
            let log = if kind == "startContainer" { Path::new("/tmp/log") } else { &log };
            let line = format!("echo {kind} {line} >> {}", log.display());
            all.insert(kind.to_owned(), json!([hook(&line)]));
        }
        config["hooks"] = Value::Object(all);
    });
}

#[test]
fn each_kind_comes_in_its_turn_and_is_told_the_state() {
    let bundle = Bundle::script("echo program >> /tmp/log; sleep 1000");
    noting(&bundle, "$(cat | grep -o '\"status\":\"[a-z]*\"')");
    bundle.start();
    bundle.kill("KILL").ok();
    bundle.wait_until("stopped");
    bundle.on("delete").ok();
    let log = fs::read_to_string(bundle.root().join("tmp/log")).unwrap();
    let mut lines: Vec<_> = log.lines().filter(|line| *line != "program").collect();
    let started = lines.iter().position(|line| line.starts_with("poststart"));
    assert!(started.is_some());
    for (line, (kind, status)) in lines.drain(..).zip([
        ("prestart", "creating"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("startContainer", "created"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ]) {
        assert_eq!(line, format!("{kind} \"status\":\"{status}\"").as_str(), "{log}");
    }
}

#[test]
fn they_are_where_the_specification_puts_them() {
    let bundle = Bundle::script("true");
    noting(&bundle, "$(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net)");
    bundle.run().ok();
    let log = fs::read_to_string(bundle.root().join("tmp/log")).unwrap();
    let place = |kind: &str| log.lines().find_map(|line| line.strip_prefix(&format!("{kind} "))).unwrap();
    let here = ["mnt", "net"]
        .map(|space| fs::read_link(format!("/proc/self/ns/{space}")).unwrap().display().to_string())
        .join(" ");
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert_eq!(place(kind), here, "{kind}");
    }
    assert_ne!(place("createContainer"), here);
    assert_eq!(place("createContainer"), place("startContainer"));
}

#[test]
fn one_that_fails_ends_the_container_with_its_name() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = Bundle::new(&["sleep", "1000"]);
        bundle.edit(|config| config["hooks"] = json!({kind: [hook("exit 3")]}));
        bundle.run().refused(&format!("hooks.{kind}: /bin/busybox ended with code 3"));
        bundle.assert_gone();
    }
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.edit(|config| config["hooks"] = json!({"startContainer": [hook("exit 3")]}));
    bundle.create();
    bundle.on("start").refused("hooks.startContainer: /bin/busybox ended with code 3");
    bundle.delete().ok();
    bundle.assert_gone();
}

#[test]
fn one_that_takes_too_long_is_killed() {
    let bundle = Bundle::new(&["true"]);
    bundle.edit(|config| {
        let mut slow = hook("sleep 1000");
        slow["timeout"] = json!(1);
        config["hooks"] = json!({"createRuntime": [slow]});
    });
    let begun = Instant::now();
    bundle.run().refused("took longer than 1 s");
    assert!(begun.elapsed().as_secs() < 60);
    bundle.assert_gone();
}

#[test]
fn one_that_cannot_be_started_is_said() {
    for (path, why) in [("/nowhere", "No such file"), ("busybox", "absolute")] {
        let bundle = Bundle::new(&["true"]);
        bundle.edit(|config| config["hooks"] = json!({"createRuntime": [{"path": path}]}));
        bundle.run().refused(why);
        bundle.assert_gone();
    }
}

#[test]
fn nothing_of_the_containers_environment_comes_to_a_hook() {
    let bundle = Bundle::new(&["true"]);
    let seen = bundle.path().join("seen");
    bundle.edit(|config| {
        config["process"]["env"] = json!(["PATH=/bin", "LD_PRELOAD=/evil.so"]);
        let mut hook = hook(&format!("env > {}", seen.display()));
        hook["env"] = json!(["OWN=1"]);
        config["hooks"] = json!({"createRuntime": [hook]});
    });
    bundle.run().ok();
    let seen = fs::read_to_string(&seen).unwrap();
    assert!(seen.contains("OWN=1") && !seen.contains("LD_PRELOAD") && !seen.contains("PATH=/bin"), "{seen}");
}
