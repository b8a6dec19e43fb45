//! Requests to servers that are no repositories.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use coracle_fetch::wire::Post;
use coracle_fetch::{Error, Options};
use coracle_trust::Fault;

use crate::half::{Half, plain};
use crate::listener::{listen, response, serve, serve_tls};
use crate::name_servers::{knows, options};

/// Reads a request of that body, and answers.
fn takes(body: &'static str, answer: Vec<u8>) -> (u16, mpsc::Receiver<String>) {
    let (to, requests) = mpsc::channel();
    let port = listen(move |mut stream| {
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !request.ends_with(body.as_bytes()) {
            let read = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..read]);
        }
        // Not every test looks at it; and whoever asked may have heard enough.
        let _ = to.send(String::from_utf8(request).unwrap());
        let _ = stream.write_all(&answer);
    });
    (port, requests)
}

fn post(url: String, body: &str) -> Post {
    let headers = vec![("fleet-lock-protocol".to_owned(), "true".to_owned())];
    Post { url, headers, body: body.to_owned() }
}

#[tokio::test]
async fn a_lock() {
    const BODY: &str = r#"{"client_params":{"id":"a","group":"default"}}"#;
    let (port, requests) = takes(BODY, response("200 OK", "", b""));
    let half = plain();
    let answer =
        half.remote.post(post(format!("http://127.0.0.1:{port}/v1/pre-reboot"), BODY)).await.unwrap();
    assert_eq!((answer.status, answer.retry_after, answer.body.len()), (200, None, 0));
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /v1/pre-reboot HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nfleet-lock-protocol: true\r\n"), "{request}");
}

#[tokio::test]
async fn every_answer_is_one() {
    let half = plain();
    let asked = |answer: Vec<u8>| {
        let (port, _) = takes("{}", answer);
        let post = post(format!("http://127.0.0.1:{port}/"), "{}");
        let remote = half.remote.clone();
        async move { remote.post(post).await }
    };
    let full =
        asked(response("500 Full", "retry-after: 60\r\n", b"{\"kind\":\"failed_lock\"}")).await.unwrap();
    assert_eq!((full.status, full.retry_after), (500, Some(Duration::from_secs(60))));
    assert_eq!(full.body, b"{\"kind\":\"failed_lock\"}");
    let elsewhere = asked(response("307 Elsewhere", "location: http://127.0.0.1:1/\r\n", b"")).await.unwrap();
    assert_eq!(elsewhere.status, 307);
    // Of a long page, the beginning.
    let page = asked(response("404 Not Found", "", &[b'x'; 100_000])).await.unwrap();
    assert_eq!((page.status, page.body.len()), (404, 16 << 10));
    let broken = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).await;
    assert!(matches!(broken, Err(Error::Server(Fault::Unreachable { .. }))), "{broken:?}");
    let none = asked(Vec::new()).await;
    assert!(matches!(none, Err(Error::Server(Fault::Unreachable { .. }))), "{none:?}");
}

#[tokio::test]
async fn what_is_no_request() {
    let half = plain();
    let header = |name: &str, value: &str| Post {
        url: "http://127.0.0.1:1/".to_owned(),
        headers: vec![(name.to_owned(), value.to_owned())],
        body: String::new(),
    };
    let many = Post { headers: vec![("a".to_owned(), "b".to_owned()); 17], ..header("a", "b") };
    let address = Post { url: "here".to_owned(), ..header("a", "b") };
    for post in [header("a b", "c"), header("", "c"), header("a", "b\r\nc: d"), many, address] {
        let refused = half.remote.post(post.clone()).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{post:?}: {refused:?}");
    }
    let long = Post { body: "x".repeat(64 << 10), ..header("a", "b") };
    assert!(matches!(half.remote.post(long).await, Err(Error::Long { .. })));
}

#[tokio::test]
async fn probes_by_http() {
    let (secret, authority) = serve_tls(|_| response("200 OK", "", b"well"));
    let proxy = Some("http://127.0.0.1:1".to_owned());
    let half = Half::serving(Options { authorities: authority.into_bytes(), proxy, ..Options::default() });
    let probe = |status: &'static str| {
        let port = serve(move |_| response(status, "location: /x\r\n", &[b'x'; 100_000]));
        let remote = half.remote.clone();
        async move { remote.probe_http(&format!("http://127.0.0.1:{port}/healthz")).await.unwrap() }
    };
    for (status, code) in [("200 OK", 200), ("302 Found", 302), ("404 No", 404), ("503 Ill", 503)] {
        assert_eq!(probe(status).await, code);
    }
    assert_eq!(half.remote.probe_http(&format!("https://127.0.0.1:{secret}/")).await.unwrap(), 200);
    let nobody = half.remote.probe_http("http://127.0.0.1:1/").await;
    assert!(matches!(nobody, Err(Error::Server(Fault::Unreachable { .. }))), "{nobody:?}");
    assert!(matches!(
        half.remote.probe_http("ftp://127.0.0.1/").await,
        Err(Error::Server(_) | Error::Refused { .. })
    ));
    assert!(matches!(half.remote.probe_http("nothing").await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn probes_by_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let half = Half::serving(options(folder.path(), knows([127, 0, 0, 1]).0));
    let port = listen(drop);
    assert!(half.remote.probe_tcp(&format!("127.0.0.1:{port}")).await.unwrap());
    assert!(half.remote.probe_tcp(&format!("updates.test:{port}")).await.unwrap());
    assert!(!half.remote.probe_tcp("127.0.0.1:1").await.unwrap());
    for address in ["127.0.0.1", "other.test:80", ""] {
        assert!(half.remote.probe_tcp(address).await.is_err(), "{address}");
    }
}
