//! What a question costs, counted at the server.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::thread;

use coracle_fetch::Remote;
use coracle_fetch::serve::{self, serve};
use serde_json::json;

use super::*;

#[path = "../../../../crates/trust/tests/attacks/forge.rs"]
#[expect(dead_code, reason = "another crate's attacks need more of it")]
mod forge;

/// The most bytes of HTTP, both ways, of a question to which the answer is no.
const IDLE: usize = 2 << 10;

/// A repository's server on a port of this machine: what it was asked for, and the bytes that went either way.
struct Server {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    has_tags: bool,
    seen: Mutex<Vec<(String, usize)>>,
}

impl Server {
    fn start(has_tags: bool) -> (Arc<Self>, String) {
        let server = Arc::new(Self { files: Mutex::new(files(1)), has_tags, seen: Mutex::default() });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let serving = Arc::clone(&server);
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serving.talk(stream)));
        (server, address)
    }

    /// Requests, each of one line and headers; a connection for each.
    fn talk(&self, mut stream: TcpStream) {
        let (mut asked, mut byte) = (Vec::new(), [0]);
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
            asked.extend(byte);
        }
        let asked = String::from_utf8(asked).unwrap();
        let path = asked.split([' ', '?']).nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
        let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
        let file = self.files.lock().unwrap().get(&path).cloned();
        let answer = match file {
            None => head("404 Not Found", "Content-Length: 0\r\n").into_bytes(),
            Some(bytes) => {
                let tag = format!("\"{}\"", forge::sha256(&bytes));
                let shown = if self.has_tags { format!("ETag: {tag}\r\n") } else { String::new() };
                if self.has_tags && asked.contains(&format!("if-none-match: {tag}\r\n")) {
                    head("304 Not Modified", &shown).into_bytes()
                } else {
                    let head = head("200 OK", &format!("Content-Length: {}\r\n{shown}", bytes.len()));
                    [head.as_bytes(), &bytes].concat()
                }
            }
        };
        self.seen.lock().unwrap().push((path, asked.len() + answer.len()));
        stream.write_all(&answer).unwrap();
    }

    fn seen(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// A repository without releases, whose timestamp has this version.
fn files(timestamp: u64) -> BTreeMap<String, Vec<u8>> {
    let manifest = json!({
        "schema": 1, "channel": "stable", "arch": "x86_64", "product": "hello", "security_floor": "1.0.0", "releases": [],
    });
    let manifest = Manifest::parse(&serde_json::to_vec(&manifest).unwrap()).unwrap().to_bytes().unwrap();
    let mut forge = forge::Forge::new();
    forge.versions.timestamp = timestamp;
    forge.targets.insert(settings("http://127.0.0.1/").line.manifest_name().to_string(), manifest);
    forge.files()
}

fn settings(address: &str) -> Settings {
    let json = json!({
        "line": { "channel": "stable", "arch": "x86_64", "product": "hello" }, "epoch": 0,
        "built": "2026-11-01T00:00:00Z", "repositories": [address], "min_between_seconds": 600,
        "health": { "stable_seconds": 60, "repository": "required" },
    });
    Settings::parse(&serde_json::to_vec(&json).unwrap()).unwrap()
}

/// A machine's poller, with a network process of its own.
fn poller(folder: &Path, address: &str) -> Poller {
    let socket = folder.join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || serve(listener, serve::Options::default()).unwrap());
    let settings = settings(address);
    let root = forge::Forge::new().root();
    let embedded = Embedded { root, versions: Versions::default(), built: settings.built };
    let store = Store::new(folder.join("trust"));
    let client = Arc::new(Client::new(store, folder.join("scratch"), embedded, Limits::default()));
    Poller { client, settings: Arc::new(settings), network: Network::new(Remote::new(socket)) }
}

fn at(text: &str) -> Clock {
    Clock::Set(text.parse().unwrap())
}

const NOW: &str = "2026-11-20T10:00:00Z";
const LATER: &str = "2026-11-20T16:00:00Z";
const NEXT_DAY: &str = "2026-11-21T16:00:00Z";

#[test]
fn where_nothing_is_new_it_is_one_small_request() {
    for has_tags in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (server, address) = Server::start(has_tags);
        let poller = poller(folder.path(), &address);
        let first = poller.ask(&address, None, at(NOW)).unwrap();
        assert!(server.seen().len() > 4, "all of it was read");
        let again = poller.ask(&address, Some(&first), at(LATER)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let seen = server.seen();
        let [(path, bytes)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(path, TIMESTAMP);
        println!("tags {has_tags}: {bytes} bytes");
        assert!(*bytes <= IDLE && (!has_tags || *bytes <= IDLE / 4), "{bytes} bytes");
    }
}

#[test]
fn news_are_read_and_so_is_everything_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = Server::start(true);
    let poller = poller(folder.path(), &address);
    let first = poller.ask(&address, None, at(NOW)).unwrap();
    *server.files.lock().unwrap() = files(2);
    let second = poller.ask(&address, Some(&first), at(LATER)).unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && second.repository.versions().timestamp == 2);
    server.seen();
    let third = poller.ask(&address, Some(&second), at(NEXT_DAY)).unwrap();
    assert!(!Arc::ptr_eq(&second, &third) && server.seen().len() > 1);
    // Another address is not asked about a tag that it never gave.
    let (other, elsewhere) = Server::start(true);
    *other.files.lock().unwrap() = files(2);
    let same = poller.ask(&elsewhere, Some(&third), at(NEXT_DAY)).unwrap();
    assert_eq!(
        (same.address.as_str(), same.read),
        (&*elsewhere, third.read),
        "it is the one that is asked from now on"
    );
    assert_eq!(other.seen().len(), 1);
}
