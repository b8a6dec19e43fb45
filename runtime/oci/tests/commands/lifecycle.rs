//! From `create` to `delete`.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{Bundle, wait, wait_for};

#[test]
fn a_container_waits_for_its_start_and_is_removed_after_its_end() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.on("state").refused("does not exist");
    let pid = bundle.path().join("pid");
    let made =
        bundle.command(&["create", "--pid-file", pid.to_str().unwrap(), bundle.id()]).status().unwrap();
    assert!(made.success());
    assert_eq!(fs::read_to_string(&pid).unwrap().parse::<i64>().unwrap(), bundle.pid());
    let state = bundle.state();
    assert_eq!(
        (&state["status"], &state["id"], &state["ociVersion"]),
        (&json!("created"), &json!(bundle.id()), &json!("1.2.1"))
    );
    assert_eq!(state["bundle"], json!(bundle.path()));
    let command = || fs::read_to_string(format!("/proc/{}/cmdline", bundle.pid())).unwrap();
    assert!(!command().contains("sleep"), "the program waits");
    bundle.say(&["create", bundle.id()]).refused("exists");
    bundle.on("delete").refused("created");

    bundle.on("start").ok();
    assert_eq!((command().as_str(), bundle.status().as_str()), ("sleep\x001000\x00", "running"));
    bundle.on("start").refused("running");
    bundle.on("delete").refused("running");
    assert_eq!(bundle.say(&["list", "--quiet"]).ok().trim(), bundle.id());
    let listed: Value = serde_json::from_str(&bundle.say(&["list", "--format", "json"]).ok()).unwrap();
    assert_eq!(listed[0]["pid"], json!(bundle.pid()));
    let ids: Vec<i64> =
        serde_json::from_str(&bundle.say(&["ps", "--format", "json", bundle.id()]).ok()).unwrap();
    assert_eq!(ids, [bundle.pid()]);

    bundle.kill("KILL").ok();
    bundle.wait_until("stopped");
    assert_eq!(bundle.pid(), 0);
    bundle.on("start").refused("stopped");
    bundle.kill("TERM").refused("not running");
    bundle.exec(&["true"]).refused("stopped");
    bundle.on("delete").ok();
    bundle.assert_gone();
    bundle.on("delete").refused("does not exist");
    bundle.delete().ok();
}

#[test]
fn run_has_the_programs_output_and_end() {
    for (script, code, out) in
        [("echo hello; exit 7", 7, "hello\n"), ("trap 'exit 3' TERM; kill -TERM $$; sleep 100", 3, "")]
    {
        let bundle = Bundle::script(script);
        let said = bundle.run();
        assert_eq!((said.code, said.out.as_str()), (Some(code), out), "{said:?}");
        bundle.assert_gone();
    }
    let bundle = Bundle::new(&["true"]);
    bundle.say(&["run", "--keep", bundle.id()]).ok();
    assert_eq!(bundle.status(), "stopped");
}

#[test]
fn signals_to_run_come_to_the_program() {
    let bundle = Bundle::script("trap 'echo heard; exit 9' USR1; echo ready; while :; do sleep 0.01; done");
    let mut run = bundle.command(&["run", bundle.id()]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap();
    let end = wait(child);
    assert_eq!((end.status.code(), end.stdout), (Some(9), b"heard\n".to_vec()));
    bundle.assert_gone();
}

#[test]
fn a_program_that_cannot_be_executed_is_said_by_create() {
    for (program, why) in
        [("nowhere", "No such file"), ("/tmp", "ermission denied"), ("/bin/busybox/x", "Not a directory")]
    {
        let bundle = Bundle::new(&[program]);
        bundle.on("create").refused(program);
        let said = bundle.on("create");
        assert!(said.err.contains(why) || program == "/bin/busybox/x", "{said:?}");
        bundle.assert_gone();
    }
    // What looks like a program and is none is known at its start.
    let bundle = Bundle::new(&["/tmp/garbage"]);
    fs::write(bundle.root().join("tmp/garbage"), "\x7fELF, not").unwrap();
    fs::set_permissions(
        bundle.root().join("tmp/garbage"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    bundle.create();
    bundle.on("start").refused("Exec format error");
    bundle.wait_until("stopped");
    bundle.on("delete").ok();
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let bundle = Bundle::script("while :; do echo x >> /tmp/log; sleep 0.01; done");
    bundle.edit(|config| config["root"]["readonly"] = json!(false));
    bundle.start();
    let len = || fs::metadata(bundle.root().join("tmp/log")).map_or(0, |log| log.len());
    wait_for(|| len() > 0);
    bundle.on("resume").refused("running");
    bundle.on("pause").ok();
    assert_eq!(bundle.status(), "paused");
    let before = len();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(len(), before);
    bundle.exec(&["true"]).refused("paused");
    bundle.on("pause").refused("paused");
    bundle.on("resume").ok();
    wait_for(|| len() > before);
    bundle.say(&["kill", "--all", bundle.id(), "KILL"]).ok();
    bundle.wait_until("stopped");
}

#[test]
fn commands_for_one_container_wait_for_each_other() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let create =
        || bundle.command(&["create", bundle.id()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let made: Vec<_> = (0..8).map(|_| create().unwrap()).collect();
    let made = made.into_iter().map(wait).filter(|end| end.status.success()).count();
    assert_eq!(made, 1, "one makes it, the others find it there");
    let start = || bundle.command(&["start", bundle.id()]).stderr(Stdio::null()).spawn().unwrap();
    let started: Vec<_> = (0..8).map(|_| start()).collect();
    assert_eq!(started.into_iter().map(wait).filter(|end| end.status.success()).count(), 1);
    assert_eq!(bundle.status(), "running");
}
