//! Blobs on their way, and how they can fail to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coracle_registry::{Descriptor, Digest, Error, Trouble};
use coracle_trust::Fault;
use tokio::time::Instant;

use crate::image::{layer, noise, ranged, sha256, sha512, tagged};
use crate::listener::response;
use crate::server::{Asked, Say, Server, Then, trouble};

async fn fetch(server: &Server, descriptor: Descriptor) -> Result<Vec<u8>, Error> {
    let client = server.client();
    let mut blob = client.blob(&tagged(&server.host(), "v1"), descriptor);
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    // The end stays the end.
    assert!(blob.chunk().await?.is_none());
    Ok(bytes)
}

/// A server that says something else each time, the last for ever.
async fn turns(answers: Vec<impl Fn(&Asked) -> Say + Send + Sync + 'static>) -> Server {
    let turn = AtomicUsize::new(0);
    Server::new(move |asked| {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        answers[turn.min(answers.len() - 1)](asked)
    })
    .await
}

type Answer = Box<dyn Fn(&Asked) -> Say + Send + Sync>;

/// What a good one says.
fn good(bytes: &Arc<Vec<u8>>) -> Answer {
    let bytes = bytes.clone();
    Box::new(move |asked| ranged(asked, &bytes).into())
}

/// As much of it as that, and how it goes on from there.
fn partly(bytes: &Arc<Vec<u8>>, part: usize, then: fn(Vec<u8>) -> Then) -> Answer {
    let bytes = bytes.clone();
    Box::new(move |asked| {
        let mut said = ranged(asked, &bytes);
        let rest = said.split_off(said.len().min(part));
        Say(said, then(rest))
    })
}

fn says(bytes: Vec<u8>) -> Answer {
    Box::new(move |_| bytes.clone().into())
}

#[tokio::test(start_paused = true)]
async fn what_breaks_goes_on_where_it_broke() {
    let bytes = Arc::new(noise(3_000_000, 1));
    for then in [|_| Then::Ends, |_| Then::Stalls, |rest| Then::Drips(1, rest)] {
        let server = turns(vec![
            partly(&bytes, 1_000_000, then),
            says(response("503 Service Unavailable", "", b"")),
            partly(&bytes, 500_000, then),
            partly(&bytes, 10, then),
            good(&bytes),
        ])
        .await;
        assert!(fetch(&server, layer(&bytes)).await.unwrap() == *bytes);
        let asked = server.asked();
        assert_eq!(asked.len(), 5);
        assert_eq!(asked[0].header("range"), None);
        let from = |number: usize| -> u64 {
            let range: &str = asked[number].header("range").unwrap();
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
        };
        assert!((900_000..=1_000_100).contains(&from(1)), "{}", from(1));
        assert_eq!(from(1), from(2));
        assert!(from(3) > 1_400_000 && from(3) == from(4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_without_ranges_sends_all_again() {
    let bytes = Arc::new(noise(3_000_000, 1));
    let whole = says(response("200 OK", "", &bytes));
    let server = turns(vec![partly(&bytes, 1_000_000, |_| Then::Ends), whole]).await;
    assert!(fetch(&server, layer(&bytes)).await.unwrap() == *bytes);
    assert_eq!(server.asked().len(), 2);
    // Nor need it say how long it is.
    let open = [b"HTTP/1.1 200 OK\r\n\r\n", bytes.as_slice()].concat();
    let server = turns(vec![says(open[..1_000_000].to_vec()), says(open)]).await;
    assert!(fetch(&server, layer(&bytes)).await.unwrap() == *bytes);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_nothing_is_left() {
    let bytes = Arc::new(noise(100_000, 1));
    for (answer, seconds) in [
        (says(Vec::new()), 15..17),
        (says(b"SSH-2.0\r\n".to_vec()), 15..17),
        (says(response("500 Oh", "", b"")), 15..17),
        (says(response("429 Too Many Requests", "retry-after: 30\r\n", b"")), 120..122),
        (partly(&bytes, 0, |_| Then::Stalls), 115..117),
        (partly(&bytes, 20, |rest| Then::Drips(3, rest)), 115..117),
        // Nothing new each time.
        (says(response("200 OK", "", &bytes)[..1000].to_vec()), 15..17),
    ] {
        let server = turns(vec![answer]).await;
        let began = Instant::now();
        let trouble = trouble(fetch(&server, layer(&bytes)).await);
        assert!(matches!(trouble, Trouble::Server(_)), "{trouble}");
        assert_eq!(server.asked().len(), 5, "{trouble}");
        assert!(seconds.contains(&began.elapsed().as_secs()), "{trouble}: {:?}", began.elapsed());
    }
    // A body that drips takes its time, but no longer.
    let server = turns(vec![partly(&bytes, 10_000, |rest| Then::Drips(1, rest))]).await;
    let began = Instant::now();
    let trouble = trouble(fetch(&server, layer(&bytes)).await);
    assert!(matches!(trouble, Trouble::Server(Fault::TooSlow { .. })), "{trouble}");
    assert!(began.elapsed() < Duration::from_secs(200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_to_be_left_alone_for_long_is() {
    let busy = response("429 Too Many Requests", "retry-after: 3600\r\n", b"");
    let server = turns(vec![says(busy)]).await;
    let trouble = trouble(fetch(&server, layer(b"x")).await);
    let hour = Some(Duration::from_secs(3600));
    assert!(
        matches!(trouble, Trouble::Server(Fault::Busy { status: 429, retry_after }) if retry_after == hour)
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn lies_about_length() {
    let bytes = noise(1000, 1);
    for (answer, want) in [
        (response("200 OK", "", &bytes[..999]), "Size { want: 1000, got: 999 }"),
        (response("200 OK", "", &[bytes.as_slice(), b"x"].concat()), "Size { want: 1000, got: 1001 }"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", bytes.as_slice(), b"x"].concat(), "TooLong"),
        (
            response("206 Partial Content", "content-range: bytes 0-999/1000\r\n", &bytes),
            "Status { status: 206 }",
        ),
        (response("204 No Content", "", b""), "Status { status: 204 }"),
        (response("416 Range Not Satisfiable", "", b""), "Status { status: 416 }"),
        (response("404 Not Found", "", b""), "Missing"),
    ] {
        let server = turns(vec![says(answer)]).await;
        let trouble = format!("{:?}", trouble(fetch(&server, layer(&bytes)).await));
        assert!(trouble.contains(want), "{want}: {trouble}");
        assert_eq!(server.asked().len(), 1, "{want}");
    }
}

#[tokio::test]
async fn bodies_and_heads_without_end() {
    let say =
        |head: &'static [u8]| turns(vec![move |_: &Asked| Say(head.to_vec(), Then::Repeats(&[b'x'; 4096]))]);
    let trouble_of = async |head| trouble(fetch(&say(head).await, layer(&noise(100_000, 1))).await);
    let endless = trouble_of(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(matches!(endless, Trouble::Server(Fault::TooLong { .. })), "{endless}");
}

#[tokio::test(start_paused = true)]
async fn giant_heads() {
    let endless: Answer = Box::new(|_| Say(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), Then::Repeats(&[b'x'; 4096])));
    let many = response("200 OK", &"x: y\r\n".repeat(200), b"x");
    let long = response("200 OK", &format!("x: {}\r\n", "y".repeat(1 << 20)), b"x");
    for answer in [endless, says(many), says(long)] {
        let server = turns(vec![answer]).await;
        let trouble = trouble(fetch(&server, layer(b"x")).await);
        assert!(matches!(trouble, Trouble::Server(Fault::Unreachable { .. })), "{trouble}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_part_than_was_asked_for() {
    let bytes = Arc::new(noise(1000, 1));
    for (range, body) in [
        ("bytes 0-999/1000", &bytes[..]),
        ("bytes 500-998/1000", &bytes[500..]),
        ("bytes 500-999/1001", &bytes[500..]),
        ("bytes 500-999/*", &bytes[500..]),
        ("", &bytes[500..]),
    ] {
        let header = if range.is_empty() { String::new() } else { format!("content-range: {range}\r\n") };
        let half =
            says(response("200 OK", "", &bytes)[..response("200 OK", "", &bytes).len() - 500].to_vec());
        let server = turns(vec![half, says(response("206 Partial Content", &header, body))]).await;
        let trouble = trouble(fetch(&server, layer(&bytes)).await);
        assert!(matches!(trouble, Trouble::Server(Fault::OtherPart { .. })), "{range}: {trouble}");
    }
}

#[tokio::test(start_paused = true)]
async fn lies_about_content() {
    let bytes = noise(100_000, 1);
    let mut other = bytes.clone();
    other[70_000] ^= 1;
    let other = Arc::new(other);
    let want = layer(&bytes);
    let long = Descriptor { digest: sha512(&bytes), ..want };
    for (descriptor, got) in [(want, sha256(&other)), (long, sha512(&other))] {
        let broken = partly(&other, 50_000, |_| Then::Ends);
        let server = turns(vec![broken, good(&other)]).await;
        let client = server.client();
        let mut blob = client.blob(&tagged(&server.host(), "v1"), descriptor);
        let error = loop {
            match blob.chunk().await {
                Ok(chunk) => assert!(chunk.is_some(), "the end of what is not it"),
                Err(error) => break error,
            }
        };
        assert!(matches!(trouble::<()>(Err(error)), Trouble::Digest { got: is } if is == got));
        // However often it is asked.
        assert!(blob.chunk().await.is_err());
        assert_eq!(server.asked().len(), 2);
    }
    let empty = Descriptor { size: 0, ..want };
    let server = turns(vec![says(Vec::new())]).await;
    assert!(matches!(trouble(fetch(&server, empty).await), Trouble::Digest { .. }));
    let right = Descriptor { digest: Digest::Sha256(*b"0123456789abcdef0123456789abcdef"), ..want };
    assert!(matches!(
        trouble(fetch(&turns(vec![good(&Arc::new(bytes))]).await, right).await),
        Trouble::Digest { .. }
    ));
}

#[tokio::test]
async fn whoever_stops_waiting_loses_nothing() {
    let bytes = Arc::new(noise(300_000, 1));
    let server = turns(vec![good(&bytes)]).await;
    let client = server.client();
    let mut blob = client.blob(&tagged(&server.host(), "v1"), layer(&bytes));
    let mut came = blob.chunk().await.unwrap().unwrap().to_vec();
    loop {
        tokio::select! {
            biased;
            chunk = blob.chunk() => match chunk.unwrap() {
                Some(chunk) => came.extend_from_slice(&chunk),
                None => break,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(came == *bytes);
    assert_eq!(server.asked().len(), 1);
}
