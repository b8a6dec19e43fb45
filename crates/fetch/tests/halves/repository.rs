//! Repositories through both halves, and what their servers can do wrong.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coracle_fetch::{Error, Options, Remote, Repository};
use coracle_trust::transport::{Answer, Path, Tag, collect};
use coracle_trust::{Clock, Fault, Transport};

use crate::chain;
use crate::half::{Half, plain};
use crate::listener::{Asked, listen, response, serve, serve_tls};
use crate::machine::{Machine, NOW, forge, line, time};
use crate::name_servers::{knows, options};

fn at(remote: &Remote, port: u16) -> Repository {
    remote.repository(&format!("http://127.0.0.1:{port}/os"))
}

fn path() -> Path {
    Path::new("targets/x.ops").unwrap()
}

async fn whole(from: &Repository) -> Result<Vec<u8>, Fault> {
    collect(from.whole(&path()).await?, 1 << 20).await
}

async fn part(from: &Repository) -> Result<Vec<u8>, Fault> {
    collect(from.part(&path(), 10..20, 100).await?, 1 << 20).await
}

fn files(files: BTreeMap<String, Vec<u8>>) -> impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static {
    move |asked| match asked.path.strip_prefix("/os/").and_then(|path| files.get(path)) {
        Some(bytes) => response("200 OK", "", bytes),
        None => response("404 Not Found", "", b"no"),
    }
}

#[tokio::test]
async fn a_whole_refresh_by_name_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (port, authority) = serve_tls(files(forge().files()));
    let (dns, asked) = knows([127, 0, 0, 1]);
    let options = Options { authorities: authority.into_bytes(), ..options(folder.path(), dns) };
    let half = Half::serving(options);
    let from: Arc<dyn Transport> =
        Arc::new(half.remote.repository(&format!("https://updates.test:{port}/os")));
    let machine = Machine::new();
    for _ in 0..2 {
        let refreshed = machine.refresh_from(from.clone(), Clock::Set(time(NOW))).await.unwrap();
        assert_eq!(refreshed.repository.versions().timestamp, 1);
        assert!(refreshed.repository.manifest(&line(), &*from).await.is_ok());
    }
    assert!(asked.load(Ordering::Relaxed) > 0);
    // A name that nobody knows, and one that is not in the certificate.
    let unknown = half.remote.repository(&format!("https://other.test:{port}/os"));
    assert!(matches!(whole(&unknown).await, Err(Fault::Unreachable { .. })));
    let other = half.remote.repository(&format!("https://localhost:{port}/os"));
    assert!(matches!(whole(&other).await, Err(Fault::Unreachable { .. })));
}

#[tokio::test]
async fn a_rotation_behind_a_server_in_trouble_is_not_hidden() {
    let half = plain();
    let good = forge().files();
    let port = serve(move |asked| match asked.path.as_str() {
        "/os/metadata/2.root.json" => response("503 Service Unavailable", "retry-after: 9\r\n", b""),
        _ => files(good.clone())(asked),
    });
    let error = Machine::new()
        .refresh_from(Arc::new(at(&half.remote, port)), Clock::Set(time(NOW)))
        .await
        .unwrap_err();
    let coracle_trust::Error::Fetch { file, source: Fault::Busy { status: 503, retry_after } } = error else {
        panic!("{}", chain(&error));
    };
    assert_eq!((file.as_str(), retry_after), ("metadata/2.root.json", Some(Duration::from_secs(9))));
}

#[tokio::test]
async fn bytes_arrive_as_they_were() {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = bytes.clone();
    let port = serve(move |asked| match asked.header("range") {
        None => response("200 OK", "", &sent),
        Some(_) => response(
            "206 Partial Content",
            "content-range: bytes 65530-1000000/3000000\r\n",
            &sent[65_530..=1_000_000],
        ),
    });
    let half = plain();
    let from = at(&half.remote, port);
    assert_eq!(collect(from.whole(&path()).await.unwrap(), 3_000_000).await.unwrap(), bytes);
    let body = from.part(&path(), 65_530..1_000_001, 3_000_000).await.unwrap();
    assert_eq!(collect(body, 1 << 20).await.unwrap(), bytes[65_530..=1_000_000]);
    let empty = serve(|_| response("200 OK", "", b""));
    assert_eq!(whole(&at(&half.remote, empty)).await.unwrap(), b"");
}

#[tokio::test]
async fn statuses() {
    let half = plain();
    let status = |status: &'static str, headers: &'static str| {
        let from = at(&half.remote, serve(move |_| response(status, headers, b"")));
        async move { whole(&from).await.unwrap_err() }
    };
    for missing in ["404 Not Found", "403 Forbidden", "410 Gone"] {
        assert!(matches!(status(missing, "").await, Fault::Missing), "{missing}");
    }
    let busy = status("429 Too Many Requests", "retry-after: 120\r\n").await;
    assert!(
        matches!(busy, Fault::Busy { status: 429, retry_after } if retry_after == Some(Duration::from_secs(120)))
    );
    let busy = status("503 Service Unavailable", "").await;
    assert!(matches!(busy, Fault::Busy { status: 503, retry_after: None }));
    for (code, text) in
        [(500, "500 Oh"), (502, "502 Bad Gateway"), (204, "204 No Content"), (301, "301 Moved")]
    {
        assert!(matches!(status(text, "").await, Fault::Status { status } if status == code), "{text}");
    }
}

#[tokio::test]
async fn parts_are_those_that_were_asked_for() {
    let half = plain();
    let with = |status: &'static str, headers: &'static str, body: &'static [u8]| {
        at(&half.remote, serve(move |_| response(status, headers, body)))
    };
    let range = "content-range: bytes 10-19/100\r\n";
    assert_eq!(part(&with("206 Partial Content", range, b"0123456789")).await.unwrap(), b"0123456789");
    assert!(matches!(part(&with("200 OK", "", &[7; 100])).await, Err(Fault::NoParts)));
    let other = part(&with("206 Partial Content", "content-range: bytes 0-9/100\r\n", b"0123456789")).await;
    let Err(Fault::OtherPart { want, got }) = other else { panic!("{other:?}") };
    assert_eq!((want.as_str(), got.as_str()), ("bytes 10-19/100", "bytes 0-9/100"));
    let longer = part(&with("206 Partial Content", range, b"0123456789a")).await;
    assert!(matches!(longer, Err(Fault::TooLong { limit: 10 })), "{longer:?}");
    let shorter = part(&with("206 Partial Content", range, b"012345678")).await;
    assert!(matches!(shorter, Err(Fault::TooShort { missing: 1 })), "{shorter:?}");
    // Not even the other half asks for these.
    let from = with("206 Partial Content", range, b"");
    for (from_byte, to_byte, len) in [(20, 10, 100), (10, 10, 100), (90, 101, 100), (0, u64::MAX, 5)] {
        let bytes = from_byte..to_byte;
        assert!(matches!(from.part(&path(), bytes, len).await, Err(Fault::Unreachable { .. })));
    }
}

#[tokio::test]
async fn connections_that_break() {
    let half = plain();
    let raw = |bytes: &'static [u8]| at(&half.remote, serve(move |_| bytes.to_vec()));
    for broken in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ] {
        assert!(matches!(whole(&raw(broken)).await, Err(Fault::Unreachable { .. })));
    }
    // Closed with a request that was not read: a reset.
    let reset = listen(|mut stream| {
        let mut one = [0];
        stream.read_exact(&mut one).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    });
    assert!(matches!(whole(&at(&half.remote, reset)).await, Err(Fault::Unreachable { .. })));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fault = whole(&at(&half.remote, nobody)).await.unwrap_err();
    assert!(chain(&fault).contains("refused"), "{}", chain(&fault));
}

#[tokio::test]
async fn endless() {
    let half = plain();
    let endless = |head: &'static [u8]| {
        at(
            &half.remote,
            listen(move |mut stream| {
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                stream.write_all(head).unwrap();
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
            }),
        )
    };
    let body = whole(&endless(b"HTTP/1.1 200 OK\r\n\r\n")).await;
    assert!(matches!(body, Err(Fault::TooLong { limit }) if limit == 1 << 20), "{body:?}");
    let head = whole(&endless(b"HTTP/1.1 200 OK\r\nx: ")).await;
    assert!(matches!(head, Err(Fault::Unreachable { .. })), "{head:?}");
    let part =
        part(&endless(b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 10-19/100\r\n\r\n")).await;
    assert!(matches!(part, Err(Fault::TooLong { limit: 10 })), "{part:?}");
}

#[tokio::test]
async fn certificates_and_redirections() {
    let plain_port = serve(|_| response("200 OK", "", b"here"));
    let location = format!("location: http://127.0.0.1:{plain_port}/\r\n");
    let (port, authority) = serve_tls(move |asked| match asked.path.as_str() {
        "/os/targets/x.ops" => response("302 Found", &location, b""),
        _ => response("200 OK", "", b"here"),
    });
    let half = Half::serving(Options { authorities: authority.into_bytes(), ..Options::default() });
    let to = |base: &str| half.remote.repository(&format!("https://127.0.0.1:{port}/{base}"));
    assert_eq!(whole(&to("up")).await.unwrap(), b"here");
    let fault = whole(&to("os")).await.unwrap_err();
    assert!(chain(&fault).contains("from https to http"), "{}", chain(&fault));
    let (stranger, _) = serve_tls(|_| response("200 OK", "", b"here"));
    let fault = whole(&half.remote.repository(&format!("https://127.0.0.1:{stranger}/"))).await.unwrap_err();
    assert!(chain(&fault).contains("certificate"), "{}", chain(&fault));
}

#[tokio::test]
async fn through_a_proxy() {
    let proxy = serve(|asked| response("200 OK", "", asked.path.as_bytes()));
    let half =
        Half::serving(Options { proxy: Some(format!("http://127.0.0.1:{proxy}")), ..Options::default() });
    let came = whole(&half.remote.repository("http://updates.test/os")).await.unwrap();
    assert_eq!(came, b"http://updates.test/os/targets/x.ops");
}

#[tokio::test]
async fn addresses_that_are_none() {
    let half = plain();
    for base in ["", "os", "file:///etc", "http://127.0.0.1/?a=b", "unix:/run"] {
        let fault = whole(&half.remote.repository(base)).await.unwrap_err();
        let Fault::Unreachable { source } = fault else { panic!("{base}: {fault}") };
        assert!(matches!(source.downcast_ref(), Some(Error::Refused { .. })), "{base}: {source}");
    }
    let long = half.remote.repository(&format!("http://127.0.0.1/{}", "a".repeat(70_000)));
    assert!(matches!(whole(&long).await, Err(Fault::Unreachable { .. })));
    let gone = Options {
        authorities: b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec(),
        ..Options::default()
    };
    let half = Half::with(|listener| {
        let served = std::thread::spawn(move || coracle_fetch::serve(listener, gone));
        assert!(matches!(served.join().unwrap(), Err(coracle_fetch::serve::Error::Options(_))));
    });
    assert!(matches!(
        whole(&half.remote.repository("http://127.0.0.1/")).await,
        Err(Fault::Unreachable { .. })
    ));
}

#[tokio::test]
async fn many_repositories() {
    let half = plain();
    for turn in 0..12 {
        let port = serve(move |_| response("200 OK", "", &[turn]));
        assert_eq!(whole(&at(&half.remote, port)).await.unwrap(), [turn]);
    }
}

#[tokio::test]
async fn a_file_that_is_the_same_is_not_sent_again() {
    let half = plain();
    let port = serve(|asked| match asked.header("if-none-match") {
        Some("\"a1\"") => response("304 Not Modified", "", b""),
        _ => response("200 OK", "etag: \"a1\"\r\n", b"here"),
    });
    let from = at(&half.remote, port);
    let Answer::New { body, tag } = from.whole_unless(&path(), None).await.unwrap() else {
        panic!("the same")
    };
    assert_eq!(collect(body, 10).await.unwrap(), b"here");
    assert_eq!(tag, Tag::new("\"a1\""));
    assert!(matches!(from.whole_unless(&path(), tag.as_ref()).await, Ok(Answer::Same)));
    let other = from.whole_unless(&path(), Tag::new("\"b\"").as_ref()).await;
    assert!(matches!(other, Ok(Answer::New { .. })));
    assert_eq!(whole(&from).await.unwrap(), b"here");
    // Without a tag, there is nothing to be the same as.
    let silent = serve(|_| response("304 Not Modified", "", b""));
    let fault = at(&half.remote, silent).whole_unless(&path(), None).await.unwrap_err();
    assert!(matches!(fault, Fault::Status { status: 304 }), "{fault}");
}
