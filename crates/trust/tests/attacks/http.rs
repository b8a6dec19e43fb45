//! A repository behind HTTP, and what a server there can do wrong.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_trust::transport::{Answer, Folder, Http, Options, Path, Resolve, Tag, collect};
use coracle_trust::{Clock, Error, Fault, Transport};

use crate::listener::{listen, response, serve, serve_tls};
use crate::machine::{Machine, NOW, forge as good, line, time};

fn http(port: u16) -> Http {
    Http::new(&format!("http://127.0.0.1:{port}/os"), Options::default()).unwrap()
}

fn path() -> Path {
    Path::new("targets/x.ops").unwrap()
}

async fn whole(port: u16) -> Result<Vec<u8>, Fault> {
    collect(http(port).whole(&path()).await?, 1 << 20).await
}

async fn part(port: u16) -> Result<Vec<u8>, Fault> {
    collect(http(port).part(&path(), 10..20, 100).await?, 1 << 20).await
}

#[tokio::test]
async fn the_same_repository_in_a_folder_and_behind_a_server() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in good().files() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let base = folder.path().to_owned();
    let port = serve(move |asked| match std::fs::read(base.join(asked.path.strip_prefix("/os/").unwrap())) {
        Ok(bytes) => response("200 OK", "", &bytes),
        Err(_) => response("404 Not Found", "", b"no"),
    });
    let transports: [Arc<dyn Transport>; 2] = [Arc::new(Folder::new(folder.path())), Arc::new(http(port))];
    for transport in transports {
        let refreshed = Machine::new().refresh_from(transport.clone(), Clock::Set(time(NOW))).await.unwrap();
        assert!(refreshed.repository.manifest(&line(), &*transport).await.is_ok());
    }
}

#[tokio::test]
async fn statuses() {
    for (status, headers) in [("404 Not Found", ""), ("403 Forbidden", ""), ("410 Gone", "")] {
        let fault = whole(serve(move |_| response(status, headers, b""))).await.unwrap_err();
        assert!(matches!(fault, Fault::Missing), "{status}: {fault}");
    }
    let busy = |headers: &'static str| serve(move |_| response("503 Service Unavailable", headers, b""));
    for (headers, want) in [
        ("", None),
        ("retry-after: 120\r\n", Some(Duration::from_secs(120))),
        ("retry-after: Wed, 25 Nov 2026 10:00:00 GMT\r\n", None),
    ] {
        let fault = whole(busy(headers)).await.unwrap_err();
        assert!(matches!(fault, Fault::Busy { status: 503, retry_after } if retry_after == want), "{fault}");
    }
    for status in
        ["500 Oh", "204 No Content", "206 Partial Content", "301 Moved", "416 Range Not Satisfiable"]
    {
        let fault = whole(serve(move |_| response(status, "", b""))).await.unwrap_err();
        assert!(matches!(fault, Fault::Status { .. }), "{status}: {fault}");
    }
}

/// What comes of asking again with the tag that came before.
async fn again(from: &dyn Transport) -> (Option<Tag>, Result<bool, Fault>) {
    let Answer::New { body, tag } = from.whole_unless(&path(), None).await.unwrap() else {
        panic!("the same")
    };
    assert_eq!(collect(body, 10).await.unwrap(), b"here");
    let same = match from.whole_unless(&path(), tag.as_ref()).await {
        Ok(Answer::Same) => Ok(true),
        Ok(Answer::New { body, .. }) => collect(body, 10).await.map(|_| false),
        Err(fault) => Err(fault),
    };
    (tag, same)
}

#[tokio::test]
async fn a_file_that_is_the_same_is_not_sent_again() {
    let tagged = |tag: &'static str| {
        serve(move |asked| match asked.header("if-none-match") {
            Some(unless) if unless == tag => response("304 Not Modified", "", b""),
            _ => response("200 OK", &format!("etag: {tag}\r\n"), b"here"),
        })
    };
    let long: &str = Box::leak(format!("\"{}\"", "a".repeat(200)).into_boxed_str());
    for (tag, want) in [("\"a1\"", true), ("W/\"a1\"", true), ("a1", false), (long, false)] {
        let (got, same) = again(&http(tagged(tag))).await;
        assert_eq!((got.is_some(), same.unwrap()), (want, want), "{tag}");
    }
    // Where nothing has tags.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("targets")).unwrap();
    std::fs::write(folder.path().join(path().as_str()), b"here").unwrap();
    let (tag, same) = again(&Folder::new(folder.path())).await;
    assert!(tag.is_none() && !same.unwrap());
}

#[tokio::test]
async fn nothing_is_the_same_as_what_was_never_sent() {
    let port = serve(|_| response("304 Not Modified", "etag: \"a\"\r\n", b""));
    assert!(matches!(whole(port).await, Err(Fault::Status { status: 304 })));
    let answer = http(port).whole_unless(&path(), None).await;
    assert!(matches!(answer, Err(Fault::Status { status: 304 })));
    assert!(matches!(part(port).await, Err(Fault::Status { status: 304 })));
}

#[tokio::test]
async fn redirects_end() {
    let port = serve(|_| response("302 Found", "location: /os/targets/x.ops\r\n", b""));
    assert!(matches!(whole(port).await, Err(Fault::Unreachable { .. })));
    let port = serve(|asked| match asked.path.as_str() {
        "/elsewhere" => response("200 OK", "", b"here"),
        _ => response("302 Found", "location: /elsewhere\r\n", b""),
    });
    assert_eq!(whole(port).await.unwrap(), b"here");
    // Three are followed, a fourth is not.
    for (far, good) in [(3, true), (4, false)] {
        let port =
            serve(move |asked| match asked.path.strip_prefix("/hop/").map_or(0, |n| n.parse().unwrap()) {
                hop if hop == far => response("200 OK", "", b"here"),
                hop => response("302 Found", &format!("location: /hop/{}\r\n", hop + 1), b""),
            });
        assert_eq!(whole(port).await.is_ok(), good, "{far}");
    }
}

#[tokio::test]
async fn secrecy_is_not_lost_to_a_redirect() {
    let plain = serve(|_| response("200 OK", "", b"here"));
    let to = move |url: String| format!("location: {url}\r\n");
    let (secret, authority) = serve_tls(move |asked| match asked.path.as_str() {
        "/os/targets/x.ops" => response("302 Found", &to(format!("http://127.0.0.1:{plain}/")), b""),
        "/up/targets/x.ops" => response("302 Found", &to("/here".to_owned()), b""),
        _ => response("200 OK", "", b"here"),
    });
    let fetch = |base: String| {
        let options = Options { authorities: authority.as_bytes(), ..Options::default() };
        let http = Http::new(&base, options).unwrap();
        async move { collect(http.whole(&path()).await?, 10).await }
    };
    let fault = fetch(format!("https://127.0.0.1:{secret}/os")).await.unwrap_err();
    assert!(crate::chain(&fault).contains("from https to http"), "{}", crate::chain(&fault));
    assert_eq!(fetch(format!("https://127.0.0.1:{secret}/up")).await.unwrap(), b"here");
    // The other way round is a gain.
    let plain = serve(move |_| response("302 Found", &to(format!("https://127.0.0.1:{secret}/")), b""));
    assert_eq!(fetch(format!("http://127.0.0.1:{plain}/os")).await.unwrap(), b"here");
    // By way of http, from https back to it.
    let there = serve(|_| response("200 OK", "", b"here"));
    let (secret, authority) =
        serve_tls(move |_| response("302 Found", &to(format!("http://127.0.0.1:{there}/")), b""));
    let plain = serve(move |_| response("302 Found", &to(format!("https://127.0.0.1:{secret}/")), b""));
    let options = Options { authorities: authority.as_bytes(), ..Options::default() };
    let http = Http::new(&format!("http://127.0.0.1:{plain}/os"), options).unwrap();
    assert!(matches!(http.whole(&path()).await, Err(Fault::Unreachable { .. })));
}

#[tokio::test]
async fn through_the_callers_proxy() {
    // To a proxy, the whole address is the path.
    let proxy = serve(|asked| {
        assert_eq!(asked.path, "http://updates.test/os/targets/x.ops");
        response("200 OK", "", b"here")
    });
    let proxy = format!("http://127.0.0.1:{proxy}");
    let options = Options { proxy: Some(&proxy), ..Options::default() };
    let body = Http::new("http://updates.test/os", options).unwrap().whole(&path()).await.unwrap();
    assert_eq!(collect(body, 10).await.unwrap(), b"here");
    let options = Options { proxy: Some("http://a b/"), ..Options::default() };
    assert!(Http::new("http://updates.test/os", options).is_err());
}

#[tokio::test]
async fn parts_are_those_that_were_asked_for() {
    let port = serve(|asked| {
        assert_eq!(asked.header("range"), Some("bytes=10-19"));
        response("206 Partial Content", "content-range: bytes 10-19/100\r\n", b"0123456789")
    });
    assert_eq!(part(port).await.unwrap(), b"0123456789");

    let whole = serve(|_| response("200 OK", "", &[7; 100]));
    assert!(matches!(part(whole).await, Err(Fault::NoParts)));
    for range in ["bytes 0-9/100", "bytes 10-19/101", "bytes 10-18/100", "bytes 10-19/*", "bytes */100", "x"]
    {
        let headers = format!("content-range: {range}\r\n");
        let port = serve(move |_| response("206 Partial Content", &headers, b"0123456789"));
        assert!(matches!(part(port).await, Err(Fault::OtherPart { .. })), "{range}");
    }
    let none = serve(|_| response("206 Partial Content", "", b"0123456789"));
    assert!(matches!(part(none).await, Err(Fault::OtherPart { .. })));
    let range = "content-range: bytes 10-19/100\r\n";
    let longer = serve(move |_| response("206 Partial Content", range, b"0123456789a"));
    assert!(matches!(part(longer).await, Err(Fault::TooLong { limit: 10 })));
    let shorter = serve(move |_| response("206 Partial Content", range, b"012345678"));
    assert!(matches!(part(shorter).await, Err(Fault::TooShort { missing: 1 })));
}

#[tokio::test]
async fn a_connection_that_breaks() {
    let port = serve(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    assert!(matches!(whole(port).await, Err(Fault::Unreachable { .. })));
    let port = serve(|_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
    assert!(matches!(whole(port).await, Err(Fault::Unreachable { .. })));
    let port = listen(drop);
    assert!(matches!(whole(port).await, Err(Fault::Unreachable { .. })));
}

#[tokio::test]
async fn parts_of_a_file_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("targets")).unwrap();
    let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    std::fs::write(folder.path().join("targets/x.ops"), &bytes).unwrap();
    let from = Folder::new(folder.path());
    for range in [0..1, 0..200_000, 65_535..131_073, 199_999..200_000] {
        let body = from.part(&path(), range.clone(), 200_000).await.unwrap();
        let want = &bytes[range.start as usize..range.end as usize];
        assert_eq!(collect(body, 1 << 20).await.unwrap(), want);
    }
    assert!(matches!(from.part(&path(), 0..10, 100).await, Err(Fault::OtherPart { .. })));
    assert!(matches!(from.part(&path(), 0..200_001, 200_000).await, Err(Fault::OtherPart { .. })));
    std::fs::create_dir(folder.path().join("targets/folder")).unwrap();
    assert!(matches!(from.whole(&Path::new("targets/folder").unwrap()).await, Err(Fault::Missing)));
}

/// Knows one name.
#[derive(Debug)]
struct OneName(&'static str);

#[async_trait]
impl Resolve for OneName {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        if name == self.0 {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
}

#[tokio::test]
async fn names_are_the_callers_business() {
    let port = serve(|_| response("200 OK", "", b"here"));
    // A name that the C library's resolver would know.
    let base = format!("http://localhost:{port}/");
    let fault = Http::new(&base, Options::default()).unwrap().whole(&path()).await.unwrap_err();
    assert!(crate::chain(&fault).contains("there is no resolver for names"), "{}", crate::chain(&fault));
    let options = || Options { resolver: Some(Arc::new(OneName("updates.test"))), ..Options::default() };
    let base = format!("http://updates.test:{port}/");
    let body = Http::new(&base, options()).unwrap().whole(&path()).await.unwrap();
    assert_eq!(collect(body, 10).await.unwrap(), b"here");
    let unknown = Http::new(&format!("http://other.test:{port}/"), options()).unwrap();
    assert!(matches!(unknown.whole(&path()).await, Err(Fault::Unreachable { .. })));
}

#[tokio::test]
async fn addresses_that_are_none() {
    for base in ["", "os", "ftp://127.0.0.1/", "file:///os", "http://127.0.0.1/?a=b", "http://127.0.0.1/#a"] {
        assert!(Http::new(base, Options::default()).is_err(), "{base:?}");
    }
}

#[tokio::test]
async fn tls_with_the_callers_authority() {
    let (port, authority) = serve_tls(|_| response("200 OK", "", b"here"));
    let (_, stranger) = serve_tls(|_| Vec::new());
    let base = format!("https://127.0.0.1:{port}/");
    let with = |authorities: &str| {
        let authorities = authorities.to_owned();
        let base = base.clone();
        async move {
            let options = Options { authorities: authorities.as_bytes(), ..Options::default() };
            collect(Http::new(&base, options).unwrap().whole(&path()).await?, 10).await
        }
    };
    assert_eq!(with(&authority).await.unwrap(), b"here");
    assert_eq!(with(&format!("{stranger}{authority}")).await.unwrap(), b"here");
    for authorities in ["", &stranger] {
        assert!(matches!(with(authorities).await, Err(Fault::Unreachable { .. })));
    }
    let bad = Options {
        authorities: b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ..Options::default()
    };
    assert!(Http::new(&base, bad).is_err());
}

#[tokio::test]
async fn a_server_that_is_busy_is_told_apart() {
    let port = serve(|_| response("429 Too Many Requests", "retry-after: 7\r\n", b""));
    let error = Machine::new().refresh_from(Arc::new(http(port)), Clock::Set(time(NOW))).await.unwrap_err();
    let Error::Fetch { source: Fault::Busy { status: 429, retry_after }, .. } = error else {
        panic!("{}", crate::chain(&error));
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}
