//! Blobs that are elsewhere.

use coracle_registry::{Client, Error, Limits, Login, Registries, Trouble};

use crate::image::{Shelf, layer, noise, ranged, tagged};
use crate::listener::{response, serve_tls};
use crate::server::{Asked, Server, trouble};

async fn fetch(client: &Client, server: &Server, bytes: &[u8]) -> Result<(), Error> {
    let mut blob = client.blob(&tagged(&server.host(), "v1"), layer(bytes));
    while blob.chunk().await?.is_some() {}
    Ok(())
}

fn found(location: &str) -> Vec<u8> {
    response("307 Temporary Redirect", &format!("location: {location}\r\n"), b"")
}

/// The registry's login.
fn login(server: &Server) -> Registries {
    let login = Login::Password { user: "me".to_owned(), password: "secret".into() };
    Registries { logins: [(server.host().parse().unwrap(), login)].into(), ..server.plain() }
}

fn wants_login(asked: &Asked) -> bool {
    asked.header("authorization").is_none()
}

fn unauthorized() -> Vec<u8> {
    response("401 Unauthorized", "www-authenticate: Basic realm=x\r\n", b"")
}

#[tokio::test(start_paused = true)]
async fn no_login_goes_along() {
    let bytes = noise(100_000, 1);
    let (there, broken) = (bytes.clone(), std::sync::atomic::AtomicBool::new(true));
    let store = Server::new(move |asked| {
        let mut said = ranged(asked, &there);
        if broken.swap(false, std::sync::atomic::Ordering::Relaxed) {
            said.truncate(50_000);
        }
        said
    })
    .await;
    let location = format!("http://{}/bucket/x?signature=hidden", store.host());
    let server =
        Server::new(move |asked| if wants_login(asked) { unauthorized() } else { found(&location) }).await;
    let client = Client::new(&Default::default(), login(&server), Limits::default()).unwrap();
    fetch(&client, &server, &bytes).await.unwrap();
    assert!(server.asked()[1].header("authorization").is_some_and(|value| value == "Basic bWU6c2VjcmV0"));
    let asked = store.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_none() && asked.header("referer").is_none())
    );
    // What broke there goes on there, by way of the registry.
    assert_eq!((asked.len(), server.asked().len()), (2, 3));
    assert!(asked[1].header("range").is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_told_who_asks() {
    let bytes = noise(10, 1);
    let thief = Server::new(|_| unauthorized()).await;
    let location = format!("http://{}/?signature=hidden", thief.host());
    let server =
        Server::new(move |asked| if wants_login(asked) { unauthorized() } else { found(&location) }).await;
    let client = Client::new(&Default::default(), login(&server), Limits::default()).unwrap();
    let error = fetch(&client, &server, &bytes).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
    assert_eq!(thief.asked().len(), 1);
    assert!(thief.asked()[0].header("authorization").is_none());
    // Not by way of somebody else either.
    let home = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let back = home.clone();
    let detour = Server::new(move |_| found(&format!("http://{}/back", back.lock().unwrap()))).await;
    let location = format!("http://{}/", detour.host());
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/back" => response("401 Unauthorized", "www-authenticate: Basic realm=x\r\n", b""),
        _ if wants_login(asked) => unauthorized(),
        _ => found(&location),
    })
    .await;
    *home.lock().unwrap() = server.host();
    let client = Client::new(&Default::default(), login(&server), Limits::default()).unwrap();
    assert!(fetch(&client, &server, &bytes).await.is_err());
    let back: Vec<_> = server.asked().into_iter().filter(|asked| asked.path == "/back").collect();
    assert!(back.len() == 1 && back[0].header("authorization").is_none());
}

#[tokio::test]
async fn circles_end() {
    let server = Server::new(|asked| found(&asked.path)).await;
    let trouble = trouble(fetch(&server.client(), &server, b"x").await);
    assert!(matches!(trouble, Trouble::Redirect { .. }), "{trouble}");
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn locations_that_lead_nowhere() {
    for answer in [
        response("302 Found", "", b""),
        found("http://"),
        found("file:///etc/shadow"),
        found("http://me:hidden@127.0.0.1:1/"),
        response("307 Temporary Redirect", "location: /\u{fc}\r\n", b""),
    ] {
        let server = Server::new(move |_| answer.clone()).await;
        let error = fetch(&server.client(), &server, b"x").await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        assert!(matches!(trouble::<()>(Err(error)), Trouble::Redirect { .. }));
    }
}

#[tokio::test]
async fn never_from_https_to_http() {
    let bytes = noise(10, 1);
    let there = bytes.clone();
    let plain = Server::new(move |asked| ranged(asked, &there)).await;
    let location = format!("http://{}/", plain.host());
    let (port, authority) = serve_tls(move |_| found(&location));
    let web = coracle_fetch::Options { authorities: authority.into_bytes(), ..Default::default() };
    let host = format!("127.0.0.1:{port}");
    // Not even this machine speaks plainly if it is said that it does not.
    let strict =
        Registries { known: [(host.parse().unwrap(), Default::default())].into(), ..Default::default() };
    let client = Client::new(&web, strict, Limits::default()).unwrap();
    let error = client.blob(&tagged(&host, "v1"), layer(&bytes)).chunk().await.unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn documents_may_be_elsewhere_too() {
    let shelf = Shelf::with(&[]);
    let server = Server::new(move |asked| match asked.path.strip_prefix("/old") {
        None => found(&format!("/old{}", asked.path)),
        Some(path) => shelf.answer(&Asked { path: path.to_owned(), ..asked.clone() }),
    })
    .await;
    let image = server.client().resolve(&tagged(&server.host(), "v1"), Default::default()).await;
    assert!(image.is_ok(), "{image:?}");
}
