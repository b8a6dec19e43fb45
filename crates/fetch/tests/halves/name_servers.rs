//! Name servers, and files that name them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coracle_fetch::Options;
use coracle_fetch::names::Names;
use coracle_trust::transport::Resolve as _;

use crate::datagrams;

/// Knows the address of `updates.test`; gives its port and how often it was asked.
pub fn knows(address: [u8; 4]) -> (u16, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let port = datagrams::answer(move |query| {
        counter.fetch_add(1, Ordering::Relaxed);
        Some(said(query, address))
    });
    (port, asked)
}

/// What a name server says that knows one name.
pub fn said(query: &[u8], address: [u8; 4]) -> Vec<u8> {
    const KNOWN: &[u8] = b"\x07updates\x04test\0";
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap() + 13;
    let (known, kind) = (&query[12..name] == KNOWN, &query[name..name + 2]);
    let answers = u8::from(known && kind == [0, 1]);
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(&query[12..name + 4]);
    if answers == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer
}

/// Options with the name server of this machine at that port.
pub fn options(folder: &Path, port: u16) -> Options {
    let file = folder.join("resolv.conf");
    fs::write(&file, "# from DHCP\nnameserver 127.0.0.1\n").unwrap();
    Options { resolv_conf: file, dns_port: port, ..Options::default() }
}

#[tokio::test]
async fn one_name() {
    let folder = tempfile::tempdir().unwrap();
    let (port, asked) = knows([192, 0, 2, 7]);
    let names = Names::new(options(folder.path(), port).resolv_conf, port);
    for _ in 0..3 {
        assert_eq!(names.resolve("updates.test").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }
    // A and AAAA, once; the rest is remembered.
    assert!(asked.load(Ordering::Relaxed) <= 4, "{asked:?}");
    assert!(names.resolve("other.test").await.is_err());
    for name in ["", "a..b", &"a.".repeat(200)] {
        assert!(names.resolve(name).await.is_err(), "{name:?}");
    }
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn the_file_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resolv.conf");
    let (port, _) = knows([192, 0, 2, 7]);
    let other = (Ipv4Addr::new(127, 0, 0, 2), port).into();
    datagrams::answer_at(other, |query| Some(said(query, [192, 0, 2, 8])));
    let names = Names::new(&file, port);
    // Before DHCP there is no file, then one that names nobody.
    assert!(names.resolve("updates.test").await.is_err());
    fs::write(&file, "").unwrap();
    assert!(names.resolve("updates.test").await.is_err());
    // What one server said is not kept when another has taken its place.
    for (server, last) in [("127.0.0.1", 7), ("127.0.0.2", 8), ("127.0.0.1", 7)] {
        fs::write(&file, format!("nameserver {server}\n")).unwrap();
        let want: IpAddr = Ipv4Addr::new(192, 0, 2, last).into();
        assert_eq!(names.resolve("updates.test").await.unwrap(), [want]);
    }
    fs::remove_file(&file).unwrap();
    assert!(names.resolve("updates.test").await.is_err());
}

#[tokio::test]
async fn a_server_that_says_something_else() {
    let folder = tempfile::tempdir().unwrap();
    for answer in [b"".as_slice(), b"garbage", &[0xff; 1000]] {
        let port = datagrams::answer(move |query| Some([&query[..2], answer].concat()));
        let names = Names::new(options(folder.path(), port).resolv_conf, port);
        let found = tokio::time::timeout(std::time::Duration::from_secs(30), names.resolve("updates.test"));
        assert!(found.await.unwrap().is_err());
    }
}
