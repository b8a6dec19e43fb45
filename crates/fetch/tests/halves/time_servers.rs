//! Time servers, right ones and others.

use std::time::{SystemTime, UNIX_EPOCH};

use coracle_fetch::wire::Offset;
use coracle_fetch::{Error, Remote};

use crate::datagrams;
use crate::half::plain;

/// 2026-11-01: the image's making.
pub const BUILT: u64 = 1_793_491_200;

/// An answer whose clock is so many seconds ahead of this machine's.
pub fn answer(request: &[u8], ahead: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = (now.as_secs() as i64 + 2_208_988_800 + ahead) as u32;
    let fraction = ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000) as u32;
    let time = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
    let head = [0o44, 2, 6, 0xe9, 0, 0, 1, 0, 0, 0, 1, 0, 127, 0, 0, 1];
    [head.as_slice(), &time, &request[40..48], &time, &time].concat()
}

/// A server that changes its answer so.
fn server(ahead: i64, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
    let port = datagrams::answer(move |request| {
        assert_eq!((request.len(), request[0]), (48, 0x23));
        let mut answer = answer(request, ahead);
        change(&mut answer);
        Some(answer)
    });
    format!("127.0.0.1:{port}")
}

fn good(ahead: i64) -> String {
    server(ahead, |_| {})
}

async fn ask(remote: &Remote, servers: &[String]) -> Result<Offset, Error> {
    // Whatever this machine's clock shows, the time has passed.
    remote
        .time(servers, BUILT.min(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 1000))
        .await
}

fn is(offset: &Offset, seconds: i64) -> bool {
    (offset.offset_ns - seconds * 1_000_000_000).abs() < 500_000_000
}

#[tokio::test]
async fn one_server() {
    let half = plain();
    for ahead in [0, 3600, -500, 200_000_000] {
        let server = good(ahead);
        let offset = ask(&half.remote, std::slice::from_ref(&server)).await.unwrap();
        assert!(is(&offset, ahead), "{offset:?}");
        assert!(offset.delay_ns < 1_000_000_000, "{offset:?}");
        assert_eq!((offset.server, offset.agree), (server, 1));
    }
}

#[tokio::test]
async fn after_2036() {
    // By the year 2040 the seconds have begun anew.
    let half = plain();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let ahead = 2_208_988_800 - now;
    let offset = ask(&half.remote, &[good(ahead)]).await.unwrap();
    assert!(is(&offset, ahead), "{offset:?}");
}

#[tokio::test]
async fn the_majority() {
    let half = plain();
    let offset = ask(&half.remote, &[good(9000), good(5), good(5)]).await.unwrap();
    assert!(is(&offset, 5) && offset.agree == 2, "{offset:?}");
    for servers in [vec![good(0), good(60)], vec![good(0), good(60), good(120)]] {
        let disagree = ask(&half.remote, &servers).await;
        assert!(matches!(disagree, Err(Error::Disagree { .. })), "{disagree:?}");
    }
    // Who does not know the time has no voice.
    let ill = server(0, |answer| answer[1] = 16);
    let offset = ask(&half.remote, &[ill, good(5)]).await.unwrap();
    assert!(is(&offset, 5) && offset.agree == 1, "{offset:?}");
}

#[tokio::test]
async fn answers_of_no_use() {
    let half = plain();
    let ill = |change: fn(&mut Vec<u8>)| server(0, change);
    for (server, word) in [
        (
            ill(|answer| {
                answer[1] = 0;
                answer[12..16].copy_from_slice(b"DENY")
            }),
            "DENY",
        ),
        (ill(|answer| answer[1] = 16), "not set"),
        (ill(|answer| answer[1] = 200), "stratum 200"),
        (ill(|answer| answer[0] |= 0o300), "not set"),
        (ill(|answer| answer[4] = 1), "too far"),
        (ill(|answer| answer[40..].fill(0)), "cannot be"),
        (good(-1_000_000_000), "passed"),
        ("127.0.0.1:x".to_owned(), "no address"),
        ("127.0.0.1:1".to_owned(), "no way"),
    ] {
        let error = ask(&half.remote, &[server]).await.unwrap_err();
        assert!(matches!(&error, Error::NoTime { why } if why.contains(word)), "{word}: {error}");
    }
}

#[tokio::test]
async fn an_answer_to_something_else_does_not_hide_the_right_one() {
    let half = plain();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut packet = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut packet) {
            let mut forged = answer(&packet, 7777);
            forged[24] ^= 1;
            let mut short = forged.clone();
            short.truncate(47);
            for answer in [forged, short, Vec::new(), packet[..48].to_vec(), answer(&packet, 5)] {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    assert!(is(&ask(&half.remote, &[name]).await.unwrap(), 5));
}

#[tokio::test]
async fn what_is_no_question() {
    let half = plain();
    for servers in [vec![], vec!["127.0.0.1".to_owned(); 9]] {
        assert!(matches!(ask(&half.remote, &servers).await, Err(Error::Refused { .. })));
    }
}
