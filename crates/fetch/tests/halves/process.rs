//! A process that talks to servers and is gone, is killed, or has been taken over by one of them.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use coracle_fetch::wire::Post;
use coracle_fetch::{Error, Options, Remote, serve};
use coracle_trust::transport::{Path, collect};
use coracle_trust::{Fault, Transport as _};

use crate::chain;
use crate::half::Half;
use crate::listener::{listen, response, serve as answer};

/// Says in this environment that the test is to be the process, its listener on standard input.
const BE_IT: &str = "CORACLE_FETCH_TEST_SERVES";

/// Not a test, unless another one starts it.
#[test]
fn the_process() {
    if std::env::var_os(BE_IT).is_some() {
        let listener = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        serve(UnixListener::from(listener), Options::default()).unwrap();
    }
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(listener: UnixListener) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process::the_process"]).env(BE_IT, "1").stdout(Stdio::null());
    Process(command.stdin(OwnedFd::from(listener)).spawn().unwrap())
}

async fn whole(remote: &Remote, port: u16) -> Result<Vec<u8>, Fault> {
    let from = remote.repository(&format!("http://127.0.0.1:{port}/"));
    collect(from.whole(&Path::new("targets/x").unwrap()).await?, 1 << 20).await
}

fn cause(fault: Fault) -> Error {
    match fault {
        Fault::Unreachable { source } => *source.downcast().unwrap(),
        other => panic!("{}", chain(&other)),
    }
}

#[tokio::test]
async fn gone() {
    let nowhere = Remote::new("/nowhere/socket");
    assert!(matches!(nowhere.probe_tcp("127.0.0.1:1").await, Err(Error::Connect { .. })));
    assert!(matches!(cause(whole(&nowhere, 1).await.unwrap_err()), Error::Connect { .. }));
    let half = Half::with(drop);
    assert!(matches!(half.remote.probe_tcp("127.0.0.1:1").await, Err(Error::Connect { .. })));
    let half = Half::hostile(drop);
    let error = half.remote.probe_tcp("127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, Error::Gone | Error::Read { .. } | Error::Send { .. }), "{error}");
}

#[tokio::test]
async fn killed_in_the_middle() {
    let (to, begun) = mpsc::channel();
    let port = listen(move |mut stream| {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        to.send(()).unwrap();
        // Until the other side is gone.
        while stream.read(&mut [0; 512]).is_ok_and(|read| read > 0) {}
    });
    let mut process = None;
    let half = Half::with(|listener| process = Some(start(listener)));
    let from = half.remote.repository(&format!("http://127.0.0.1:{port}/"));
    let mut body = from.whole(&Path::new("targets/x").unwrap()).await.unwrap();
    begun.recv().unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap().as_ref(), b"half");
    drop(process);
    let fault = body.chunk().await.unwrap_err();
    assert!(matches!(cause(fault), Error::Gone | Error::Read { .. }));
    // Whoever asks after that hears it at once, and is served once there is another.
    assert!(matches!(cause(whole(&half.remote, port).await.unwrap_err()), Error::Connect { .. }));
    std::fs::remove_file(half.socket()).unwrap();
    let _process = start(UnixListener::bind(half.socket()).unwrap());
    let port = answer(|_| response("200 OK", "", b"here"));
    assert_eq!(whole(&half.remote, port).await.unwrap(), b"here");
}

/// A half that says this whatever it is asked, then all that again.
fn says(first: &'static [u8], again: &'static [u8]) -> Half {
    Half::hostile(move |mut stream| {
        if stream.write_all(first).is_err() {
            return;
        }
        while !again.is_empty() && stream.write_all(again).is_ok() {}
        // The request is read, so that what was said is not lost to a reset.
        while stream.read(&mut [0; 512]).is_ok_and(|read| read > 0) {}
    })
}

#[tokio::test]
async fn frames_that_are_none() {
    for (first, again) in [
        (b"X\0\0\0\0".as_slice(), b"".as_slice()),
        (b"A\xff\xff\xff\xff", b"x"),
        (b"D\x01\0\0\0x", b""),
        (b"E\0\0\0\0", b""),
        (b"A\x01\0\0\x001", b""),
        (b"A\x07\0\0\0{\"a\":1}", b""),
        (b"F\x02\0\0\0{}", b""),
        (b"A\x0d\0\0\0{\"same\":true}", b"E\0\0\0\0"),
        (b"", b"HTTP/1.1 200 OK\r\n"),
        (b"", &[0; 65536]),
    ] {
        let half = says(first, again);
        let error = cause(whole(&half.remote, 1).await.unwrap_err());
        assert!(matches!(error, Error::Frame { .. } | Error::Words { .. }), "{first:?}: {error}");
        let error = half.remote.probe_http("http://127.0.0.1/").await.unwrap_err();
        assert!(matches!(error, Error::Frame { .. } | Error::Words { .. }), "{first:?}: {error}");
    }
}

#[tokio::test]
async fn bodies_without_end() {
    let half = says(b"A\x02\0\0\0{}", b"D\x04\0\0\0xxxx");
    let endless = whole(&half.remote, 1).await;
    assert!(matches!(endless, Err(Fault::TooLong { limit }) if limit == 1 << 20), "{endless:?}");
    let from = half.remote.repository("http://127.0.0.1/");
    let body = from.part(&Path::new("targets/x").unwrap(), 0..10, 10).await.unwrap();
    assert!(matches!(collect(body, 1 << 20).await, Err(Fault::TooLong { limit: 10 })));
    for again in [b"D\0\0\0\0".as_slice(), b"A\x02\0\0\0{}"] {
        let half = says(b"A\x02\0\0\0{}", again);
        assert!(matches!(cause(whole(&half.remote, 1).await.unwrap_err()), Error::Frame { .. }));
    }
    let half = says(b"A\x1f\0\0\0{\"status\":200,\"retry_after\":1}\n", b"D\x04\0\0\0xxxx");
    let post = Post { url: "http://127.0.0.1/".to_owned(), headers: Vec::new(), body: String::new() };
    let endless = half.remote.post(post).await;
    assert!(matches!(endless, Err(Error::Frame { .. })), "{endless:?}");
    let half = says(b"A\x0e\0\0\0{\"status\":200}", b"D\x04\0\0\0xxxx");
    let endless = half.remote.probe_http("http://127.0.0.1/").await;
    assert!(matches!(endless, Err(Error::Frame { .. })), "{endless:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_whole() {
    let half = Half::hostile(|mut stream| {
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|read| read > 0) && byte != *b"\n" {}
        stream.write_all(b"A\x02\0\0\0{}D\x04\0\0\0xxxxD\x04\0\0\0x").unwrap();
    });
    assert!(matches!(cause(whole(&half.remote, 1).await.unwrap_err()), Error::Gone));
}
