//! Every wait ends. Here the clock of the runtime goes on by itself as soon as nothing else does, and everybody lives in that runtime:
//! what takes a minute is over at once.

use std::future::Future;
use std::time::Duration;

use coracle_fetch::wire::Post;
use coracle_fetch::{Error, Options, Remote, names::Names, serve::run};
use coracle_trust::transport::{Path, Resolve as _, collect};
use coracle_trust::{Fault, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

use crate::half::Half;
use crate::name_servers::options;
use crate::time_servers::{BUILT, answer};

/// The real half, in this runtime.
fn serving(options: Options) -> Half {
    Half::with(|listener| {
        tokio::spawn(run(listener, options));
    })
}

/// A server that talks so.
async fn server<T: Future + Send + 'static>(talk: impl Fn(TcpStream) -> T + Send + 'static) -> u16
where
    T::Output: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0;
            tokio::spawn(talk(stream));
        }
    });
    port
}

/// These bytes, then one of them every so many seconds for ever.
async fn drips(first: &'static [u8], seconds: u64) -> u16 {
    server(move |mut stream| async move {
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let (mut from, mut to) = stream.split();
        tokio::join!(async { while from.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {} }, async {
            to.write_all(first).await.unwrap();
            loop {
                sleep(Duration::from_secs(seconds)).await;
                if to.write_all(b"x").await.is_err() {
                    break;
                }
            }
        });
    })
    .await
}

async fn whole(remote: &Remote, port: u16) -> Result<Vec<u8>, Fault> {
    let from = remote.repository(&format!("http://127.0.0.1:{port}/"));
    collect(from.whole(&Path::new("targets/x").unwrap()).await?, 1 << 20).await
}

fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips() {
    let half = serving(Options::default());
    let head = whole(&half.remote, drips(b"HTTP/1.1 200 OK\r\nx: ", 3).await).await;
    assert!(
        matches!(head, Err(Fault::TooSlow { least: 1, within }) if within == Duration::from_secs(20)),
        "{head:?}"
    );
    let body = whole(&half.remote, drips(b"HTTP/1.1 200 OK\r\n\r\n", 1).await).await;
    assert!(matches!(body, Err(Fault::TooSlow { least: 65536, .. })), "{body:?}");
    let began = Instant::now();
    let post = Post {
        url: format!("http://127.0.0.1:{}/", drips(b"HTTP/1.1 200 OK\r\n\r\n", 3).await),
        headers: Vec::new(),
        body: String::new(),
    };
    let posted = half.remote.post(post).await;
    assert!(matches!(posted, Err(Error::Server(Fault::TooSlow { .. }))), "{posted:?}");
    assert!((29..=31).contains(&seconds(began)), "{}", seconds(began));
    let url = format!("http://127.0.0.1:{}/", drips(b"HTTP/1.1 200 OK\r\nx: ", 1).await);
    let began = Instant::now();
    let probed = half.remote.probe_http(&url).await;
    assert!(matches!(probed, Err(Error::Server(Fault::TooSlow { .. }))), "{probed:?}");
    assert!((4..=6).contains(&seconds(began)), "{}", seconds(began));
}

#[tokio::test(start_paused = true)]
async fn name_servers_that_are_silent() {
    let folder = tempfile::tempdir().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = options(folder.path(), port);
    let began = Instant::now();
    let names = Names::new(&options.resolv_conf, port);
    assert!(names.resolve("updates.test").await.is_err());
    assert!((1..=9).contains(&seconds(began)), "{}", seconds(began));
    let half = serving(options);
    let from = half.remote.repository("http://updates.test/");
    let fault = from.whole(&Path::new("targets/x").unwrap()).await.unwrap_err();
    assert!(matches!(fault, Fault::Unreachable { .. } | Fault::TooSlow { .. }), "{fault:?}");
    assert!(!half.remote.probe_tcp("updates.test:80").await.unwrap_or(false));
    let asked = half.remote.time(&["updates.test".to_owned()], BUILT).await;
    assert!(matches!(asked, Err(Error::NoTime { .. })), "{asked:?}");
    assert!(seconds(began) < 60, "{}", seconds(began));
}

/// A time server that takes questions, and lets another socket answer.
async fn answered_by_another() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let name = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut packet = [0; 64];
        loop {
            let (_, from) = socket.recv_from(&mut packet).await.unwrap();
            other.send_to(&answer(&packet, 0), from).await.unwrap();
        }
    });
    name
}

#[tokio::test(start_paused = true)]
async fn time_servers_that_are_silent() {
    let half = serving(Options::default());
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|name| (name.to_string(), silent)).unwrap();
    let began = Instant::now();
    for name in [silent.0.clone(), answered_by_another().await] {
        let asked = half.remote.time(&[name], 0).await;
        assert!(matches!(&asked, Err(Error::NoTime { why }) if why.contains("no answer")), "{asked:?}");
    }
    assert!((4..=10).contains(&seconds(began)), "{}", seconds(began));
    // It does not hold up who answers.
    let good = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let name = good.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut packet = [0; 64];
        loop {
            let (_, from) = good.recv_from(&mut packet).await.unwrap();
            good.send_to(&answer(&packet, 5), from).await.unwrap();
        }
    });
    let offset = half.remote.time(&[silent.0, name.clone()], 0).await.unwrap();
    assert_eq!((offset.server, offset.agree), (name, 1));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_silent_or_drips() {
    for (first, drop) in [(b"".as_slice(), b"".as_slice()), (b"A", b"\0")] {
        let half = Half::with(|listener| {
            listener.set_nonblocking(true).unwrap();
            let listener = UnixListener::from_std(listener).unwrap();
            tokio::spawn(async move {
                loop {
                    let mut stream = listener.accept().await.unwrap().0;
                    tokio::spawn(async move {
                        stream.write_all(first).await.unwrap();
                        loop {
                            sleep(Duration::from_secs(20)).await;
                            // Whoever asked may be gone.
                            let _ = stream.write_all(drop).await;
                        }
                    });
                }
            });
        });
        let began = Instant::now();
        let fault = whole(&half.remote, 1).await.unwrap_err();
        assert!(matches!(fault, Fault::Unreachable { .. }), "{fault:?}");
        assert!(matches!(half.remote.time(&["x".to_owned()], 0).await, Err(Error::Late { .. })));
        assert!(matches!(half.remote.probe_tcp("x:1").await, Err(Error::Late { .. })));
        let post = Post { url: "http://127.0.0.1/".to_owned(), headers: Vec::new(), body: String::new() };
        assert!(matches!(half.remote.post(post).await, Err(Error::Late { .. })));
        assert!(seconds(began) < 120, "{}", seconds(began));
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_body_drips() {
    let half = Half::with(|listener| {
        listener.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            stream.write_all(b"A\x02\0\0\0{}").await.unwrap();
            while stream.write_all(b"D\x01\0\0\0x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
    });
    assert!(matches!(whole(&half.remote, 1).await, Err(Fault::TooSlow { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_silent() {
    let half = serving(Options::default());
    let mut stream = UnixStream::connect(half.socket()).await.unwrap();
    stream.write_all(b"{\"get\":").await.unwrap();
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
    assert!((4..=6).contains(&seconds(began)), "{}", seconds(began));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_read() {
    let (to, mut left) = tokio::sync::mpsc::channel(1);
    let port = server(move |mut stream| {
        let to = to.clone();
        async move {
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
            to.send(()).await.unwrap();
        }
    })
    .await;
    let half = serving(Options::default());
    let began = Instant::now();
    let from = half.remote.repository(&format!("http://127.0.0.1:{port}/"));
    let _body = from.whole(&Path::new("targets/x").unwrap()).await.unwrap();
    left.recv().await.unwrap();
    assert!((100..=140).contains(&seconds(began)), "{}", seconds(began));
}
