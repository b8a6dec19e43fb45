//! An agent that is not what it should be, and more requests than are taken at once.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use coracle_fetch::serve::SLOTS;

use crate::half::{Half, plain};
use crate::listener::listen;

/// All that is answered to these bytes.
fn answered(half: &Half, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(half.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It need not be read to its end.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    // What is closed with something unread is reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn lines_that_are_no_request() {
    let half = plain();
    for line in [
        "\n",
        "{}\n",
        "get\n",
        "GET / HTTP/1.1\r\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\"}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"targets/x\",\"part\":null,\"more\":1}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"/etc/passwd\",\"part\":null}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"targets/../x\",\"part\":null}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"targets/x\",\"part\":{\"from\":2,\"to\":1,\"len\":3}}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"targets/x\",\"part\":null,\"unless\":\"x\"}}\n",
        "{\"get\":{\"base\":\"http://127.0.0.1/\",\"path\":\"targets/x\",\"part\":{\"from\":0,\"to\":1,\"len\":3},\"unless\":\"\\\"x\\\"\"}}\n",
    ] {
        let answer = answered(&half, line.as_bytes());
        assert!(answer.starts_with('F') && answer[5..].starts_with("{\"request\":"), "{line}: {answer}");
    }
    let long = vec![b'x'; 64 << 10];
    assert!(answered(&half, &long).contains("does not end"));
    let nested = ["[".repeat(60_000), "\n".to_owned()].concat();
    assert!(answered(&half, nested.as_bytes()).contains("request"));
}

/// A server that says nothing; tells whenever somebody has come or gone.
fn silent() -> (u16, mpsc::Receiver<&'static str>) {
    let (to, happened) = mpsc::channel();
    let port = listen(move |mut stream| {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        to.send("come").unwrap();
        while stream.read(&mut [0; 512]).is_ok_and(|read| read > 0) {}
        // The test may be over.
        let _ = to.send("gone");
    });
    (port, happened)
}

fn get(half: &Half, port: u16) -> UnixStream {
    let mut stream = UnixStream::connect(half.socket()).unwrap();
    let line = format!(
        "{{\"get\":{{\"base\":\"http://127.0.0.1:{port}/\",\"path\":\"targets/x\",\"part\":null}}}}\n"
    );
    stream.write_all(line.as_bytes()).unwrap();
    stream
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn whoever_leaves_is_not_worked_for() {
    let half = plain();
    let (port, happened) = silent();
    for leave in
        [|stream: UnixStream| drop(stream), |stream: UnixStream| stream.shutdown(Shutdown::Write).unwrap()]
    {
        let stream = get(&half, port);
        assert_eq!(happened.recv_timeout(SOON), Ok("come"));
        leave(stream);
        assert_eq!(happened.recv_timeout(SOON), Ok("gone"));
    }
    let mut stream = get(&half, port);
    assert_eq!(happened.recv_timeout(SOON), Ok("come"));
    stream.write_all(b"more").unwrap();
    assert_eq!(happened.recv_timeout(SOON), Ok("gone"));
}

#[test]
fn so_many_at_once() {
    let half = plain();
    let (port, happened) = silent();
    let mut streams: Vec<_> = (0..SLOTS + 1).map(|_| get(&half, port)).collect();
    for _ in 0..SLOTS {
        assert_eq!(happened.recv_timeout(SOON), Ok("come"));
    }
    assert!(happened.recv_timeout(Duration::from_millis(100)).is_err(), "one more than there may be");
    drop(streams.remove(0));
    let mut next = [happened.recv_timeout(SOON).unwrap(), happened.recv_timeout(SOON).unwrap()];
    next.sort();
    assert_eq!(next, ["come", "gone"]);
}
