//! The runtime killed between any two of its system calls: `delete --force` takes away whatever was left.
//!
//! strace counts the calls of a whole `create`, then kills one at each of them. What the child does is its own: it lives on.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::Bundle;

fn traced(bundle: &Bundle, options: &[&str]) -> std::process::Output {
    let log = bundle.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-qq", "-o"]).arg(&log).args(options).arg(env!("CARGO_BIN_EXE_coracle-runtime"));
    command.arg("--root").arg(bundle.states()).args(["create", bundle.id()]).current_dir(bundle.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("strace is installed")
}

fn bundle(with_users: bool) -> Bundle {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.edit(|config| {
        config["hooks"] = json!({"createRuntime": [{"path": "/bin/true"}]});
        if with_users {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            for maps in ["uidMappings", "gidMappings"] {
                config["linux"][maps] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
            }
        }
    });
    bundle
}

/// Every `step`th call, from one that moves from run to run of a long suite.
fn kill_at_each(with_users: bool) {
    let bundle = bundle(with_users);
    assert!(traced(&bundle, &[]).status.success());
    let trace = std::fs::read_to_string(bundle.path().join("trace")).unwrap();
    bundle.delete().ok();
    bundle.assert_gone();
    let calls = trace.lines().count();
    assert!(calls > 50, "{calls} calls");
    let step = if std::env::var_os("CORACLE_ALL").is_some() { 1 } else { 7 };
    for at in (1..=calls).step_by(step) {
        traced(&bundle, &["-e", &format!("inject=all:signal=KILL:when={at}")]);
        let deleted = bundle.delete();
        assert_eq!(deleted.code, Some(0), "killed at call {at} of {calls}: {deleted:?}");
        bundle.assert_gone();
    }
}

#[test]
fn at_any_call_of_create() {
    kill_at_each(false);
}

#[test]
fn at_any_call_of_create_with_a_user_namespace() {
    kill_at_each(true);
}
