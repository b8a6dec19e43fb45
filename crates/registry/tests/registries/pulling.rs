//! Images from a registry that is as it should be.

use coracle_registry::{Error, Limits, Platform};
use serde_json::json;

use crate::image::{INDEX, MANIFEST, Shelf, entry, noise, pinned, sha256, sha512, tagged};
use crate::server::{Server, client, trouble};
use crate::store::Memory;

#[tokio::test]
async fn a_whole_image() {
    let layers: Vec<_> = (0..6).map(|seed| noise(200_000 + seed, seed as u32)).collect();
    let shelf = Shelf::with(&[layers.clone(), vec![layers[0].clone(), Vec::new()]].concat());
    let (_, manifest) = shelf.documents["v1"].clone();
    let blobs = shelf.blobs.clone();
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let client = server.client();
    for reference in [
        tagged(&server.host(), "v1"),
        pinned(&server.host(), sha256(&manifest)),
        pinned(&server.host(), sha512(&manifest)),
    ] {
        let store = Memory::default();
        let image = client.pull(&reference, Platform::V1, &store).await.unwrap();
        assert_eq!((image.documents.len(), &image.documents[0].bytes), (1, &manifest));
        assert_eq!(image.documents[0].digest, reference.digest().copied().unwrap_or(sha256(&manifest)));
        assert_eq!(image.manifest.layers.len(), 8);
        let kept = store.kept();
        assert_eq!(kept.len(), blobs.len());
        assert!(kept.iter().all(|(digest, bytes)| blobs[&digest.to_string()] == *bytes));
        // What is there twice is fetched once; some at once, never more than may be.
        let (begun, at_once) = store.begun();
        assert_eq!(begun, 8);
        assert!((2..=3).contains(&at_once), "{at_once}");
        for layer in &layers {
            let progress = store.progress(sha256(layer));
            assert!(progress.is_sorted() && progress.last() == Some(&(layer.len() as u64)), "{progress:?}");
        }
    }
    assert_eq!(server.count(&sha256(b"").to_string()), 0, "nothing has to be asked for");
}

#[tokio::test]
async fn what_is_there_is_not_fetched() {
    let layers = [noise(1000, 1), noise(1000, 2)];
    let shelf = Shelf::with(&layers);
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let store = Memory::with(&[&layers[0]]);
    server.client().pull(&tagged(&server.host(), "v1"), Platform::V1, &store).await.unwrap();
    assert_eq!(store.begun().0, 2);
    assert_eq!(server.count(&sha256(&layers[0]).to_string()), 0);
    assert_eq!(store.progress(sha256(&layers[0])), [1000]);
}

#[tokio::test]
async fn a_store_that_takes_nothing() {
    let shelf = Shelf::with(&[noise(1000, 1)]);
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let pulled = server.client().pull(&tagged(&server.host(), "v1"), Platform::V1, &Memory::broken()).await;
    assert!(matches!(pulled, Err(Error::Store { .. })), "{pulled:?}");
}

/// An index of images for these platforms; gives each one's manifest as well.
fn index(shelf: &mut Shelf, platforms: &[(&str, &str)]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut entries = Vec::new();
    let mut manifests = Vec::new();
    for (number, (architecture, variant)) in platforms.iter().enumerate() {
        let manifest = shelf.image(&[noise(100, number as u32)]);
        let mut entry = entry(MANIFEST, &manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture, "variant": variant });
        entries.push(entry);
        manifests.push(manifest);
    }
    let index = shelf.document(INDEX, &json!({ "schemaVersion": 2, "manifests": entries }));
    (index, manifests)
}

#[tokio::test]
async fn an_index() {
    let mut shelf = Shelf::default();
    let (top, manifests) = index(&mut shelf, &[("arm64", "v8"), ("amd64", "v3"), ("amd64", "")]);
    shelf.tag("v1", INDEX, &top);
    let (foreign, _) = index(&mut shelf, &[("riscv64", "")]);
    shelf.tag("foreign", INDEX, &foreign);
    // The first of them leads nowhere; the second is within another.
    let outer = json!({ "schemaVersion": 2, "manifests": [entry(INDEX, &foreign), entry(INDEX, &top)] });
    let outer = shelf.document(INDEX, &outer);
    shelf.tag("outer", INDEX, &outer);
    let deep = shelf.document(INDEX, &json!({ "schemaVersion": 2, "manifests": [entry(INDEX, &outer)] }));
    shelf.tag("deep", INDEX, &deep);
    let many = vec![entry(INDEX, &foreign); 9];
    let many = shelf.document(INDEX, &json!({ "schemaVersion": 2, "manifests": many }));
    shelf.tag("many", INDEX, &many);
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let client = server.client();
    for (reference, platform, want) in [
        (tagged(&server.host(), "v1"), Platform::V1, vec![&top, &manifests[2]]),
        (tagged(&server.host(), "v1"), Platform::V4, vec![&top, &manifests[1]]),
        (pinned(&server.host(), sha256(&top)), Platform::V1, vec![&top, &manifests[2]]),
        (tagged(&server.host(), "outer"), Platform::V1, vec![&outer, &top, &manifests[2]]),
    ] {
        let image = client.resolve(&reference, platform).await.unwrap();
        let documents: Vec<_> = image.documents.iter().map(|document| &document.bytes).collect();
        assert_eq!(documents, want, "{reference}");
        assert!(image.documents.iter().all(|document| document.digest == sha256(&document.bytes)));
    }
    let none = client.resolve(&tagged(&server.host(), "foreign"), Platform::V1).await;
    assert!(matches!(none, Err(Error::NoPlatform { .. })), "{none:?}");
    for tag in ["deep", "many"] {
        let nested = client.resolve(&tagged(&server.host(), tag), Platform::V1).await;
        assert!(matches!(nested, Err(Error::Nested { limit: 2, .. })), "{tag}: {nested:?}");
    }
}

#[tokio::test]
async fn limits_are_the_callers() {
    let shelf = Shelf::with(&[noise(1000, 1), noise(1000, 2)]);
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let reference = tagged(&server.host(), "v1");
    let with = |limits| {
        coracle_registry::Client::new(&coracle_fetch::Options::default(), server.plain(), limits).unwrap()
    };
    for limits in [Limits { layers: 1, ..Limits::default() }, Limits { layer: 999, ..Limits::default() }] {
        let pulled = with(limits).pull(&reference, Platform::V1, &Memory::default()).await;
        assert!(matches!(pulled, Err(Error::Document { .. })), "{pulled:?}");
    }
    let long = with(Limits { document: 100, ..Limits::default() }).resolve(&reference, Platform::V1).await;
    assert!(format!("{:?}", trouble(long)).contains("TooLong { limit: 100 }"));
    let alone = with(Limits { parallel: 1, ..Limits::default() });
    let store = Memory::default();
    alone.pull(&reference, Platform::V1, &store).await.unwrap();
    assert_eq!(store.begun(), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_registry_on_this_machine_may_speak_plainly() {
    let shelf = Shelf::with(&[]);
    let server = Server::new(move |asked| shelf.answer(asked)).await;
    let client = client(Default::default());
    assert!(client.resolve(&tagged(&server.host(), "v1"), Platform::V1).await.is_ok());
}
