//! Who asks, and whom they tell.

use std::sync::{Arc, Mutex};

use coracle_registry::{
    Client, Error, Image, Limits, Login, Platform, Registries, Registry, Secret, Trouble,
};
use coracle_trust::Fault;

use crate::image::{Shelf, noise, tagged};
use crate::listener::{response, serve_tls};
use crate::server::{Asked, Say, Server, Then, client, trouble};
use crate::store::Memory;

const TOKEN: &str = "Bearer t0k.en";

fn password() -> Login {
    Login::Password { user: "me".to_owned(), password: "hidden".into() }
}

/// Lets in whoever has this to say; the others it sends away with a challenge.
async fn registry(wants: &'static str, challenge: String) -> Server {
    let shelf = Shelf::with(&[noise(100, 1), noise(100, 2)]);
    Server::new(move |asked| match asked.header("authorization") {
        Some(said) if said == wants => shelf.answer(asked),
        _ => response("401 Unauthorized", &format!("www-authenticate: {challenge}\r\n"), b"{}"),
    })
    .await
}

/// A challenge to fetch a token there.
fn bearer(port: u16) -> String {
    format!(
        "Bearer realm=\"http://127.0.0.1:{port}/token?a=b\",service=\"reg\",scope=\"repository:app:pull\""
    )
}

fn with(server: &Server, login: Option<Login>) -> Client {
    let host: coracle_registry::Host = server.host().parse().unwrap();
    let logins = login.map(|login| (host, login)).into_iter().collect();
    client(Registries { logins, ..server.plain() })
}

/// Whatever goes wrong, no secret is told.
async fn resolve(server: &Server, login: Option<Login>) -> Result<Image, Error> {
    let client = with(server, login);
    let resolved = client.resolve(&tagged(&server.host(), "v1"), Platform::V1).await;
    let said = format!(
        "{client:?} {resolved:?} {}",
        resolved.as_ref().err().map(Error::to_string).unwrap_or_default()
    );
    assert!(!said.contains("hidden") && !said.contains("t0k"), "{said}");
    resolved
}

fn given() -> Vec<u8> {
    response("200 OK", "", br#"{"token":"t0k.en","expires_in":300}"#)
}

#[tokio::test]
async fn name_and_password() {
    let server = registry("Basic bWU6aGlkZGVu", "Basic realm=\"x\"".to_owned()).await;
    let client = with(&server, Some(password()));
    client.pull(&tagged(&server.host(), "v1"), Platform::V1, &Memory::default()).await.unwrap();
    // Told once that it is wanted, it is said each time.
    let asked = server.asked();
    assert!(asked[0].header("authorization").is_none());
    assert_eq!(
        (asked.len(), asked.iter().filter(|asked| asked.header("authorization").is_some()).count()),
        (5, 4)
    );
    for login in [None, Some(Login::IdentityToken("hidden".into()))] {
        assert!(matches!(trouble(resolve(&server, login).await), Trouble::LoginWanted));
    }
    let wrong = Login::Password { user: "me".to_owned(), password: "hidden too".into() };
    assert!(matches!(trouble(resolve(&server, Some(wrong)).await), Trouble::LoginRefused));
}

#[tokio::test]
async fn tokens() {
    for (login, wants) in [(None, None), (Some(password()), Some("Basic bWU6aGlkZGVu"))] {
        let tokens = Server::new(|_| given()).await;
        let server = registry(TOKEN, bearer(tokens.port)).await;
        let client = with(&server, login);
        client.pull(&tagged(&server.host(), "v1"), Platform::V1, &Memory::default()).await.unwrap();
        // One for all of it.
        let asked = tokens.asked();
        assert_eq!((asked.len(), server.asked().len()), (1, 5));
        assert_eq!(asked[0].path, "/token?a=b&service=reg&scope=repository%3Aapp%3Apull");
        assert_eq!(asked[0].header("authorization"), wants);
        // The password is for the token server alone.
        assert!(
            server.asked().iter().all(|asked| asked.header("authorization").is_none_or(|said| said == TOKEN))
        );
    }
}

#[tokio::test]
async fn identity_tokens() {
    let tokens = Server::new(|_| response("200 OK", "", br#"{"access_token":"t0k.en"}"#)).await;
    let server = registry(TOKEN, bearer(tokens.port)).await;
    resolve(&server, Some(Login::IdentityToken("hid&den".into()))).await.unwrap();
    let asked = tokens.asked().remove(0);
    assert!(asked.head.starts_with("POST /token?a=b HTTP/1.1"), "{}", asked.head);
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&client_id=coracle&scope=repository%3Aapp%3Apull&service=reg&refresh_token=hid%26den"
    );
}

#[tokio::test]
async fn a_scope_that_nobody_names() {
    let tokens = Server::new(|_| given()).await;
    let server = registry(TOKEN, format!("Bearer realm=\"http://127.0.0.1:{}/\"", tokens.port)).await;
    resolve(&server, None).await.unwrap();
    assert_eq!(tokens.asked()[0].path, "/?scope=repository%3Aapp%3Apull");
}

#[tokio::test(start_paused = true)]
async fn tokens_grow_old() {
    // Each is good once the one before is not: what is asked with an old one is asked again with a new one.
    let good = Arc::new(Mutex::new(0));
    let now = good.clone();
    let tokens = Server::new(move |_| {
        let mut number = now.lock().unwrap();
        *number += 1;
        response("200 OK", "", format!("{{\"token\":\"t{number}\",\"expires_in\":60}}").as_bytes())
    })
    .await;
    let (challenge, shelf, now) = (bearer(tokens.port), Shelf::with(&[]), good.clone());
    let server = Server::new(move |asked| {
        let wants = format!("Bearer t{}", now.lock().unwrap());
        match asked.header("authorization") {
            Some(said) if said == wants => shelf.answer(asked),
            _ => response("401 Unauthorized", &format!("www-authenticate: {challenge}\r\n"), b"{}"),
        }
    })
    .await;
    let client = with(&server, None);
    let reference = tagged(&server.host(), "v1");
    let resolve = async || client.resolve(&reference, Platform::V1).await.unwrap();
    let counts = || (tokens.asked().len(), server.asked().len());
    resolve().await;
    assert_eq!(counts(), (1, 2));
    resolve().await;
    assert_eq!(counts(), (1, 3));
    // By its own account, it is not even tried.
    tokio::time::sleep(std::time::Duration::from_secs(56)).await;
    resolve().await;
    assert_eq!(counts(), (2, 5));
    // Taken back.
    *good.lock().unwrap() = 7;
    resolve().await;
    assert_eq!(counts(), (3, 7));
}

#[tokio::test]
async fn a_token_that_does_not_help() {
    let tokens = Server::new(|_| given()).await;
    let server = registry("Bearer other", bearer(tokens.port)).await;
    assert!(matches!(trouble(resolve(&server, None).await), Trouble::LoginWanted));
    assert!(matches!(trouble(resolve(&server, Some(password())).await), Trouble::LoginRefused));
    assert_eq!((tokens.asked().len(), server.asked().len()), (2, 4));
}

#[tokio::test]
async fn challenges_that_cannot_be_met() {
    for challenge in
        ["Negotiate", "Digest realm=\"x\", nonce=\"y\"", "Bearer service=\"x\"", "Bearer realm=\"", ""]
    {
        let server = registry(TOKEN, challenge.to_owned()).await;
        let trouble = trouble(resolve(&server, Some(password())).await);
        assert!(matches!(trouble, Trouble::Challenge), "{challenge}: {trouble}");
    }
    let giant = format!("Bearer realm=\"http://127.0.0.1:1/{}\"", "x".repeat(100_000));
    assert!(matches!(trouble(resolve(&registry(TOKEN, giant).await, None).await), Trouble::Challenge));
    for realm in ["/token", "file:///etc/shadow", "http://me:secret@127.0.0.1:1/"] {
        let server = registry(TOKEN, format!("Bearer realm=\"{realm}\"")).await;
        assert!(matches!(trouble(resolve(&server, Some(password())).await), Trouble::Realm { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn token_servers_that_give_none() {
    let giant = format!("{{\"token\":\"{}\"}}", "t0k".repeat(10_000));
    let says = |status: &str, headers: &str, body: &[u8]| Say::from(response(status, headers, body));
    type Answer = Box<dyn Fn(&Asked) -> Say + Send + Sync>;
    let answers: Vec<(Answer, &str)> = vec![
        (Box::new(move |_| says("200 OK", "", giant.as_bytes())), "too long"),
        (Box::new(move |_| says("200 OK", "", &vec![b' '; 65_537])), "65536"),
        (Box::new(|_| Say(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Then::Repeats(&[b' '; 4096]))), "65536"),
        (Box::new(move |_| says("200 OK", "", b"t0k")), "none"),
        (Box::new(move |_| says("200 OK", "", b"{\"token\":\"t0k\\r\\nx: y\"}")), "header"),
        (Box::new(move |_| says("404 Not Found", "", b"")), "no such file"),
        (
            Box::new(move |_| says("401 Unauthorized", "www-authenticate: Basic realm=x\r\n", b"")),
            "refuses the login",
        ),
        (Box::new(|_| Say(Vec::new(), Then::Stalls)), "in 20 s"),
    ];
    for (answer, want) in answers {
        let tokens = Server::new(answer).await;
        let server = registry(TOKEN, bearer(tokens.port)).await;
        let said = resolve(&server, Some(password())).await.unwrap_err().to_string();
        assert!(said.contains(want), "{want}: {said}");
    }
    // One that is busy is asked again.
    let tokens = Server::new(|_| response("503 Busy", "retry-after: 2\r\n", b"")).await;
    let server = registry(TOKEN, bearer(tokens.port)).await;
    let busy = trouble(resolve(&server, None).await);
    assert!(matches!(busy, Trouble::Server(Fault::Busy { status: 503, .. })), "{busy}");
    assert_eq!(tokens.asked().len(), 5);
}

#[tokio::test]
async fn a_realm_leads_nowhere_else() {
    let thief = Server::new(|_| given()).await;
    for login in [password(), Login::IdentityToken("hidden".into())] {
        let location = format!("location: http://{}/\r\n", thief.host());
        let tokens = Server::new(move |_| response("307 Temporary Redirect", &location, b"")).await;
        let server = registry(TOKEN, bearer(tokens.port)).await;
        let trouble = trouble(resolve(&server, Some(login)).await);
        assert!(matches!(trouble, Trouble::Token { why: "a redirection" }), "{trouble}");
    }
    assert!(thief.asked().is_empty());
}

#[tokio::test]
async fn a_registry_with_tls_has_a_realm_with_tls() {
    let tokens = Server::new(|_| given()).await;
    let challenge = bearer(tokens.port);
    let header = format!("www-authenticate: {challenge}\r\n");
    let (port, authority) = serve_tls(move |_| response("401 Unauthorized", &header, b""));
    let host = format!("127.0.0.1:{port}");
    let registries = Registries {
        known: [(host.parse().unwrap(), Registry::default())].into(),
        logins: [(host.parse().unwrap(), password())].into(),
    };
    let web = coracle_fetch::Options { authorities: authority.into_bytes(), ..Default::default() };
    let client = Client::new(&web, registries, Limits::default()).unwrap();
    let resolved = client.resolve(&tagged(&host, "v1"), Platform::V1).await;
    assert!(matches!(trouble(resolved), Trouble::Realm { why: "not https" }));
    assert!(tokens.asked().is_empty());
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(
        format!("{:?} {:?}", Secret::from("hidden"), password()),
        "Secret Password { user: \"me\", password: Secret }"
    );
}
