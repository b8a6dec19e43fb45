//! The payload answers and misbehaves as its README says: here with the faults that do no harm.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_coracle-payload"))
            .args(["serve", "0"])
            .env("COLOUR", "bl\"ue")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("payload: serving port=").unwrap().parse().unwrap();
        Self { process, output, port }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            match self.process.try_wait().unwrap() {
                Some(status) => return status,
                None if start.elapsed() > Duration::from_secs(60) => panic!("still running"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Processes whose parent is the server or that it left to others, by name.
    fn descendants(&self) -> Vec<serde_json::Value> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&self.get("/processes").1).unwrap();
        list.into_iter().filter(|one| one["parent"] == self.process.id()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended in some tests.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_greets_and_tells_facts() {
    let server = Server::start();
    assert_eq!(server.get("/"), (200, "hello from coracle-payload\n".into()));
    let facts: serde_json::Value = serde_json::from_str(&server.get("/facts").1).unwrap();
    assert_eq!(facts["environment"]["COLOUR"], "bl\"ue");
    assert_eq!(facts["arguments"][1], "serve");
    assert_eq!(facts["pid"], server.process.id());
    assert_eq!(server.get("/nowhere").0, 404);
    assert_eq!(server.get("/read?path=/proc/sys/kernel/ostype"), (200, "Linux\n".into()));
    assert_eq!(server.get("/read?path=/nowhere"), (404, "No such file or directory (os error 2)".into()));
    assert_eq!(server.get("/write?bytes=1&path=/dev/full").0, 507);
}

#[test]
fn it_ends_as_it_is_asked_to() {
    let mut server = Server::start();
    assert_eq!(server.get("/exit?code=7").0, 200);
    assert_eq!(server.ended().code(), Some(7));

    let mut server = Server::start();
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));

    let mut server = Server::start();
    assert_eq!(server.get("/stubborn").0, 200);
    server.terminate();
    assert_eq!(server.get("/").0, 200, "it goes on");
    assert_eq!(server.get("/exit").0, 200);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn it_floods_its_output() {
    let mut server = Server::start();
    assert_eq!(server.get("/flood-output?mib=1").0, 200);
    let mut bytes = vec![0; 1 << 20];
    server.output.read_exact(&mut bytes).unwrap();
    assert!(bytes.chunks(64).all(|line| line.ends_with(b"x\n")));
    assert_eq!(server.get("/").0, 200);
}

#[test]
fn it_holds_memory_and_goes_on() {
    let server = Server::start();
    assert_eq!(server.get("/exhaust-memory?mib=32").0, 200);
    assert_eq!(server.get("/").0, 200, "answered once the memory is taken");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib > 32 << 10, "{kib} KiB");
}

#[test]
fn it_leaves_orphans_behind_and_keeps_no_children() {
    let server = Server::start();
    assert_eq!(server.get("/orphans?n=50&batch=20"), (200, "left behind\n".into()));
    assert_eq!(server.descendants(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_bomb_ends_in_time() {
    let server = Server::start();
    // Over before it begins: the one process that starts sees that and ends.
    assert_eq!(server.get("/fork-bomb?seconds=0").0, 200);
    let start = Instant::now();
    while !server.descendants().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn words_that_mean_nothing_are_refused() {
    for words in [&["serve"][..], &["serve", "port"], &[], &["batch", "1", "2"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_coracle-payload")).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}
