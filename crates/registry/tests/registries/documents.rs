//! Manifests and indexes that are not what they should be.

use coracle_registry::document::BadDocument;
use coracle_registry::{Error, Image, Platform, Trouble};
use coracle_trust::Fault;
use serde_json::json;

use crate::image::{INDEX, MANIFEST, Shelf, entry, noise, pinned, sha256, tagged};
use crate::listener::response;
use crate::server::{Say, Server, Then, trouble};

const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Says this, whatever is asked for.
async fn says(headers: &str, body: &[u8]) -> Server {
    let said = response("200 OK", headers, body);
    Server::new(move |_| said.clone()).await
}

async fn resolve(server: &Server) -> Result<Image, Error> {
    server.client().resolve(&tagged(&server.host(), "v1"), Platform::V1).await
}

fn typed(media_type: &str) -> String {
    format!("content-type: {media_type}\r\n")
}

#[tokio::test]
async fn wrong_types() {
    let (_, manifest) = Shelf::with(&[]).documents["v1"].clone();
    for headers in [
        String::new(),
        typed("text/html; charset=utf-8"),
        typed("application/json"),
        typed("application/vnd.oci.image.config.v1+json"),
        typed(&"x".repeat(10_000)),
    ] {
        let Trouble::ContentType { got } = trouble(resolve(&says(&headers, &manifest).await).await) else {
            panic!("{headers}")
        };
        assert!(got.len() <= 128);
    }
    let other = resolve(&says(&typed(INDEX), &manifest).await).await;
    assert!(matches!(other, Err(Error::Document { source: BadDocument::OtherType(_), .. })), "{other:?}");
}

#[tokio::test]
async fn schema_1_is_refused_by_name() {
    let body = json!({ "schemaVersion": 1, "name": "app", "tag": "v1", "fsLayers": [], "history": [] });
    let body = serde_json::to_vec(&body).unwrap();
    let named = resolve(&says(&typed(SCHEMA_1), &body).await).await;
    let said = named.as_ref().unwrap_err().to_string();
    assert!(said.contains("schema 1"), "{said}");
    assert!(matches!(trouble(named), Trouble::Document(BadDocument::Schema1)));
    let unnamed = resolve(&says(&typed(MANIFEST), &body).await).await;
    assert!(matches!(unnamed, Err(Error::Document { source: BadDocument::Schema1, .. })), "{unnamed:?}");
}

#[tokio::test]
async fn too_long() {
    let long = trouble(resolve(&says(&typed(MANIFEST), &vec![b' '; (4 << 20) + 1]).await).await);
    assert!(matches!(long, Trouble::Server(Fault::TooLong { limit: 4_194_304 })), "{long}");
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", typed(MANIFEST)).into_bytes();
    let server = Server::new(move |_| Say(head.clone(), Then::Repeats(&[b' '; 4096]))).await;
    assert!(matches!(trouble(resolve(&server).await), Trouble::Server(Fault::TooLong { .. })));
}

#[tokio::test]
async fn no_document() {
    for body in [b"".as_slice(), b"null", b"{\"schemaVersion\":2", &[b'['; 100_000]] {
        let broken = resolve(&says(&typed(MANIFEST), body).await).await;
        assert!(matches!(broken, Err(Error::Document { source: BadDocument::Json(_), .. })), "{broken:?}");
    }
}

#[tokio::test]
async fn another_than_was_named() {
    let mut shelf = Shelf::default();
    let (wanted, other) = (shelf.image(&[noise(10, 1)]), shelf.image(&[noise(10, 2)]));
    let server = says(&typed(MANIFEST), &other).await;
    let pinned = server.client().resolve(&pinned(&server.host(), sha256(&wanted)), Platform::V1).await;
    assert!(matches!(trouble(pinned), Trouble::Digest { got } if got == sha256(&other)));
    // What it says of itself.
    let headers = |digest| format!("{}docker-content-digest: {digest}\r\n", typed(MANIFEST));
    let lied = resolve(&says(&headers(sha256(&wanted)), &other).await).await;
    assert!(matches!(trouble(lied), Trouble::Digest { got } if got == sha256(&other)));
    assert!(resolve(&says(&headers(sha256(&other)), &other).await).await.is_ok());
}

#[tokio::test]
async fn another_than_the_index_says() {
    let mut shelf = Shelf::default();
    let manifest = shelf.image(&[]);
    let right = entry(MANIFEST, &manifest);
    let (mut longer, mut of_another_type) = (right.clone(), right.clone());
    longer["size"] = json!(manifest.len() + 1);
    of_another_type["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    let mut giant = right.clone();
    giant["size"] = json!(5 << 20);
    for (tag, entry) in [("longer", longer), ("other", of_another_type), ("giant", giant), ("right", right)] {
        let index = shelf.document(INDEX, &json!({ "schemaVersion": 2, "manifests": [entry] }));
        shelf.tag(tag, INDEX, &index);
    }
    let server =
        Server::new(move |asked| match shelf.documents.get(asked.path.rsplit('/').next().unwrap()) {
            Some((media_type, bytes)) => response("200 OK", &typed(media_type), bytes),
            None => response("404 Not Found", "", b""),
        })
        .await;
    let resolve = async |tag| server.client().resolve(&tagged(&server.host(), tag), Platform::V1).await;
    assert!(matches!(trouble(resolve("longer").await), Trouble::Size { .. }));
    assert!(matches!(trouble(resolve("other").await), Trouble::ContentType { .. }));
    assert!(matches!(trouble(resolve("giant").await), Trouble::Server(Fault::TooLong { .. })));
    assert!(resolve("right").await.is_ok());
}
