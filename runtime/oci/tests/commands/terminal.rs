//! Terminals, and where their other side goes.

use std::{
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    process::Stdio,
};

use coracle_runtime::agent;
use serde_json::json;

use crate::harness::{Bundle, said, wait};

/// What comes out of a terminal until its end.
fn read(terminal: OwnedFd) -> String {
    let (mut file, mut all, mut bytes) = (File::from(terminal), Vec::new(), [0; 4096]);
    // The end of the last that has it open is an error.
    while let Ok(len @ 1..) = file.read(&mut bytes) {
        all.extend_from_slice(&bytes[..len]);
    }
    String::from_utf8(all).unwrap()
}

fn received(listener: &UnixListener) -> OwnedFd {
    let (socket, _) = listener.accept().unwrap();
    agent::receive(socket.as_fd(), &mut [0; 64]).unwrap().1.expect("a terminal")
}

fn with_terminal(script: &str) -> Bundle {
    let bundle = Bundle::script(script);
    bundle.edit(|config| config["process"]["terminal"] = json!(true));
    bundle
}

#[test]
fn the_other_side_comes_to_the_callers_socket() {
    let bundle = with_terminal("tty; stty size; stat -c %t:%T /dev/console; [ -t 0 ] && echo yes > /dev/tty");
    bundle.edit(|config| config["process"]["consoleSize"] = json!({"height": 33, "width": 99}));
    let path = bundle.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.say(&["create", "--console-socket", path.to_str().unwrap(), bundle.id()]).ok();
    let terminal = received(&listener);
    bundle.on("start").ok();
    let shown = read(terminal);
    assert_eq!(shown, "/dev/pts/0\r\n33 99\r\n88:0\r\nyes\r\n");

    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.start();
    let listener_path = bundle.path().join("socket");
    let listener = UnixListener::bind(&listener_path).unwrap();
    let words = ["exec", "-t", "-d", "--console-socket", listener_path.to_str().unwrap(), bundle.id(), "tty"];
    let started = bundle.command(&words).stdout(Stdio::null()).spawn().unwrap();
    let terminal = received(&listener);
    assert!(wait(started).status.success());
    assert_eq!(read(terminal), "/dev/pts/0\r\n");
}

#[test]
fn run_relays_it() {
    let bundle = with_terminal("tty; read line; echo \"got $line\"; exit 4");
    let mut command = bundle.command(&["run", bundle.id()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"hello\n").unwrap();
    let said = said(wait(child));
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("/dev/pts/0") && said.out.contains("got hello"), "{said:?}");
}

#[test]
fn one_that_nobody_holds_is_refused() {
    let bundle = with_terminal("true");
    bundle.on("create").refused("--console-socket");
    bundle.assert_gone();
    bundle.say(&["run", "-d", bundle.id()]).refused("--console-socket");
    let bundle = Bundle::new(&["true"]);
    bundle.say(&["create", "--console-socket", "/nowhere", bundle.id()]).refused("process.terminal is false");
    bundle.assert_gone();
}
