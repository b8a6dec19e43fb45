//! Others who have a registry's images.

use coracle_registry::registries::{Mirror, Protocol, PullFromMirror};
use coracle_registry::{Error, Login, Platform, Registries, Trouble};

use crate::image::{Shelf, layer, noise, pinned, sha256, tagged};
use crate::listener::response;
use crate::server::{Asked, Say, Server, Then, client, troubles};
use crate::store::Memory;

fn mirror(server: &Server, pull: PullFromMirror) -> Mirror {
    Mirror { location: server.host().parse().unwrap(), protocol: Protocol::Http, pull }
}

/// The origin, with these mirrors.
fn mirrored(origin: &Server, mirrors: Vec<Mirror>) -> Registries {
    let mut registries = origin.plain();
    for registry in registries.known.values_mut() {
        registry.mirrors = mirrors.clone();
    }
    registries
}

async fn good(shelf: &Shelf) -> Server {
    let shelf = shelf.clone();
    Server::new(move |asked| shelf.answer(asked)).await
}

#[tokio::test]
async fn the_mirror_is_asked_first() {
    let shelf = Shelf::with(&[noise(1000, 1)]);
    let (mirror_server, origin) = (good(&shelf).await, good(&shelf).await);
    let client = client(mirrored(&origin, vec![mirror(&mirror_server, PullFromMirror::All)]));
    client.pull(&tagged(&origin.host(), "v1"), Platform::V1, &Memory::default()).await.unwrap();
    assert_eq!((mirror_server.asked().len(), origin.asked().len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_with_a_mirror_the_origin_is_asked() {
    let shelf = Shelf::with(&[noise(1000, 1)]);
    let status = |status: &'static str| -> Box<dyn Fn(&Asked) -> Say + Send + Sync> {
        Box::new(move |_| response(status, "www-authenticate: Basic realm=x\r\n", b"").into())
    };
    for (name, answer) in [
        ("missing", status("404 Not Found")),
        ("broken", status("500 Oh")),
        ("busy", status("429 Too Many Requests")),
        ("closed", status("401 Unauthorized")),
        ("forbidden", status("403 Forbidden")),
        ("gone", Box::new(|_| Vec::new().into())),
        ("silent", Box::new(|_| Say(Vec::new(), Then::Stalls))),
        ("a portal", Box::new(|_| response("200 OK", "content-type: text/html\r\n", b"<html>").into())),
        ("endless", Box::new(|_| Say(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), Then::Repeats(&[b'x'; 4096])))),
        (
            "circles",
            Box::new(|asked| response("302 Found", &format!("location: {}\r\n", asked.path), b"").into()),
        ),
    ] {
        let bad = Server::new(answer).await;
        let origin = good(&shelf).await;
        let client = client(mirrored(&origin, vec![mirror(&bad, PullFromMirror::All)]));
        let pulled = client.pull(&tagged(&origin.host(), "v1"), Platform::V1, &Memory::default()).await;
        assert!(pulled.is_ok(), "{name}: {pulled:?}");
        assert_eq!(origin.asked().len(), 3, "{name}");
        assert!(!bad.asked().is_empty(), "{name}");
    }
    // Nobody listens there at all.
    let origin = good(&shelf).await;
    let nobody = Mirror { location: "127.0.0.1:1".parse().unwrap(), ..mirror(&origin, PullFromMirror::All) };
    let client = client(mirrored(&origin, vec![nobody]));
    assert!(client.resolve(&tagged(&origin.host(), "v1"), Platform::V1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_breaks_at_a_mirror_goes_on_at_the_origin() {
    let bytes = noise(1_000_000, 1);
    let shelf = Shelf::with(std::slice::from_ref(&bytes));
    let half = shelf.clone();
    let breaks = Server::new(move |asked| {
        let mut said = half.answer(asked);
        said.truncate(500_000);
        said
    })
    .await;
    let origin = good(&shelf).await;
    let client = client(mirrored(&origin, vec![mirror(&breaks, PullFromMirror::All)]));
    let store = Memory::default();
    client.pull(&tagged(&origin.host(), "v1"), Platform::V1, &store).await.unwrap();
    assert!(store.kept()[&sha256(&bytes)] == bytes);
    assert_eq!((breaks.asked().len(), origin.asked().len()), (3, 1));
    assert!(origin.asked()[0].header("range").is_some());
}

#[tokio::test]
async fn some_are_asked_for_some_images() {
    let shelf = Shelf::with(&[]);
    let manifest = sha256(&shelf.documents["v1"].1);
    let (origin, digests, tags) = (good(&shelf).await, good(&shelf).await, good(&shelf).await);
    let mirrors = vec![mirror(&digests, PullFromMirror::DigestOnly), mirror(&tags, PullFromMirror::TagOnly)];
    let client = client(mirrored(&origin, mirrors));
    let counts = || [digests.asked().len(), tags.asked().len(), origin.asked().len()];
    client.resolve(&tagged(&origin.host(), "v1"), Platform::V1).await.unwrap();
    assert_eq!(counts(), [0, 1, 0]);
    client.resolve(&pinned(&origin.host(), manifest), Platform::V1).await.unwrap();
    assert_eq!(counts(), [1, 1, 0]);
}

#[tokio::test]
async fn a_mirrors_lie_is_not_passed_over() {
    let bytes = noise(1000, 1);
    let shelf = Shelf::with(std::slice::from_ref(&bytes));
    let lies = Server::new(|_| response("200 OK", "", &noise(1000, 2))).await;
    let origin = good(&shelf).await;
    let client = client(mirrored(&origin, vec![mirror(&lies, PullFromMirror::All)]));
    let reference = tagged(&origin.host(), "v1");
    let mut blob = client.blob(&reference, layer(&bytes));
    let error = loop {
        match blob.chunk().await {
            Ok(chunk) => assert!(chunk.is_some(), "the end of what is not it"),
            Err(error) => break error,
        }
    };
    let Error::Get { failures, .. } = error else { panic!("{error}") };
    assert_eq!(failures[0].endpoint, format!("http://{}/app", lies.host()));
    assert!(matches!(failures[0].trouble, Trouble::Digest { got } if got == sha256(&noise(1000, 2))));
    assert!(origin.asked().is_empty());
}

#[tokio::test]
async fn each_has_its_own_login() {
    let shelf = Shelf::with(&[]);
    let closed = || response("401 Unauthorized", "www-authenticate: Basic realm=x\r\n", b"");
    let refuses = Server::new(move |_| closed()).await;
    let origin = good(&shelf).await;
    let login = |name: &str| Login::Password { user: name.to_owned(), password: "secret".into() };
    let mirrors = vec![mirror(&refuses, PullFromMirror::All)];
    let with = |server: &Server| Registries {
        logins: [(server.host().parse().unwrap(), login("me"))].into(),
        ..mirrored(&origin, mirrors.clone())
    };
    // The origin's is not for the mirror.
    assert!(client(with(&origin)).resolve(&tagged(&origin.host(), "v1"), Platform::V1).await.is_ok());
    assert!(refuses.asked().iter().all(|asked| asked.header("authorization").is_none()));
    // A login that is refused is something to look at.
    let refused = client(with(&refuses)).resolve(&tagged(&origin.host(), "v1"), Platform::V1).await;
    assert!(matches!(troubles(refused.unwrap_err()).as_slice(), [Trouble::LoginRefused]));
}

#[tokio::test]
async fn every_failure_is_told() {
    let missing = async || Server::new(|_| response("404 Not Found", "", b"")).await;
    let (one, two, origin) = (missing().await, missing().await, missing().await);
    let mirrors = [&one, &two].map(|server| mirror(server, PullFromMirror::All)).to_vec();
    let error = client(mirrored(&origin, mirrors)).resolve(&tagged(&origin.host(), "v1"), Platform::V1).await;
    let said = error.unwrap_err().to_string();
    for server in [&one, &two, &origin] {
        assert!(said.contains(&format!("http://{}/app: there is no such file", server.host())), "{said}");
    }
}
