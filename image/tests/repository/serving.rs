//! `coracle serve`, asked by a machine's own client and by rude ones.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coracle_rollout::Time;
use coracle_trust::store::Store;
use coracle_trust::transport::{Fault, Http, Options, Path, collect};
use coracle_trust::{Client, Clock, Embedded, Limits, Transport, Versions};

use crate::place::Place;

/// A server that ends with it.
pub struct Serving {
    child: Child,
    /// What it said first: where it is.
    pub address: String,
}

impl Serving {
    pub fn new(place: &Place, more: &[&str]) -> Self {
        // A shell that runs the tests in the background leaves them without interrupts, and what they start.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_coracle")]);
        command.args(["serve", "repo", "--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.current_dir(place.path("")).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        lines.read_line(&mut line).unwrap();
        // It would stop at a pipe that nobody reads.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Self { child, address }
    }

    /// What it answers to these bytes.
    fn raw(&self, bytes: &[u8]) -> String {
        let host = self.address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(bytes); // One that was closed already takes nothing.
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer); // What came until it closed is looked at.
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended by itself.
        let _ = self.child.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn follow(place: &Place, address: &str, authorities: &[u8]) -> Versions {
    let from = Http::new(address, Options { authorities, ..Options::default() }).unwrap();
    let root = fs::read(place.path("repo/metadata/1.root.json")).unwrap();
    let embedded = Embedded { root, versions: Versions::default(), built: Time::from_unix(0) };
    let store = Store::new(place.path("followed"));
    let client = Client::new(store, place.path("scratch"), embedded, Limits::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let refreshed = client.refresh(Arc::new(from), Clock::Set(Time::from_unix(now)));
    runtime().block_on(refreshed).unwrap().repository.versions()
}

#[test]
fn a_machine_follows_it_and_gets_parts() {
    let place = Place::new();
    let serving = Serving::new(&place, &[]);
    assert_eq!(follow(&place, &serving.address, b"").timestamp, 1);
    let http = Http::new(&serving.address, Options::default()).unwrap();
    let path = Path::new("metadata/1.root.json").unwrap();
    let whole = fs::read(place.path("repo/metadata/1.root.json")).unwrap();
    runtime().block_on(async {
        let body = http.part(&path, 100..200, whole.len() as u64).await.unwrap();
        assert_eq!(collect(body, 100).await.unwrap(), &whole[100..200]);
        let gone = http.whole(&Path::new("metadata/99.root.json").unwrap()).await;
        assert!(matches!(gone, Err(Fault::Missing)), "{gone:?}");
    });
}

#[test]
fn it_serves_by_tls() {
    let place = Place::new();
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem \
                 -subj /CN=repo -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let made = place.openssl(&words.split_whitespace().collect::<Vec<_>>());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let serving = Serving::new(&place, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(serving.address.starts_with("https://"), "{}", serving.address);
    let certificate = fs::read(place.path("cert.pem")).unwrap();
    assert_eq!(follow(&place, &serving.address, &certificate).timestamp, 1);
}

#[test]
fn rude_clients_get_short_answers() {
    let place = Place::new();
    fs::write(place.path("repo/small"), "0123456789").unwrap();
    fs::write(place.path("secret"), "s").unwrap();
    let serving = Serving::new(&place, &[]);
    let ask = |head: &str| serving.raw(format!("{head} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes());
    let get = ask("GET /small");
    assert!(get.starts_with("HTTP/1.1 200 OK\r\n") && get.ends_with("\r\n\r\n0123456789"), "{get}");
    let tag = get.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let head = ask("HEAD /small");
    assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let with = |field: &str| {
        serving.raw(format!("GET /small HTTP/1.1\r\n{field}\r\nConnection: close\r\n\r\n").as_bytes())
    };
    assert!(with(&format!("If-None-Match: {tag}")).starts_with("HTTP/1.1 304 "));
    let part = with("Range: bytes=2-4");
    assert!(part.contains("Content-Range: bytes 2-4/10\r\n") && part.ends_with("\r\n\r\n234"), "{part}");
    let none = with("Range: bytes=10-");
    assert!(none.starts_with("HTTP/1.1 416 ") && none.contains("bytes */10\r\n"), "{none}");
    for (target, status) in [
        ("GET /", 404),
        ("GET /metadata/", 404),
        ("GET /../secret", 404),
        ("GET /%2e%2e/secret", 404),
        ("POST /small", 405),
        ("nonsense", 400),
    ] {
        let answer = ask(target);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
    }
    let long = format!("GET /small HTTP/1.1\r\nX: {}", "a".repeat(9000));
    assert!(serving.raw(long.as_bytes()).starts_with("HTTP/1.1 431 "));
    // Two requests at once on one connection.
    let two = serving.raw(b"GET /small HTTP/1.1\r\n\r\nGET /gone HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(two.contains("0123456789HTTP/1.1 404 "), "{two}");
}

#[test]
fn it_closes_what_is_too_much_and_goes_on() {
    let place = Place::new();
    let serving = Serving::new(&place, &[]);
    let host = serving.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let idle: Vec<_> = (0..64).map(|_| TcpStream::connect(&host).unwrap()).collect();
    let ask = b"GET /metadata/timestamp.json HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(serving.raw(ask), "", "the 65th is closed");
    drop(idle);
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while !serving.raw(ask).starts_with("HTTP/1.1 200 ") {
        assert!(std::time::Instant::now() < until, "places are not given back");
    }
}

#[test]
fn an_interrupt_ends_it() {
    let place = Place::new();
    let mut serving = Serving::new(&place, &[]);
    let pid = serving.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let until = Instant::now() + Duration::from_secs(10);
    let ended = loop {
        match serving.child.try_wait().unwrap() {
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            ended => break ended,
        }
    };
    assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
}
