//! Too much, too little, too slowly.

use std::time::Duration;

use coracle_trust::{Error, Fault};
use serde_json::json;

use crate::chain;
use crate::forge::{about, sha256};
use crate::machine::{Machine, forge as good, line};
use crate::server::{Served, Server};

const FILES: [&str; 4] = [
    "metadata/2.root.json",
    "metadata/timestamp.json",
    "metadata/1.snapshot.json",
    "metadata/1.targets.json",
];

#[tokio::test]
async fn endless_data() {
    for name in FILES {
        let server = Server::new(good().files());
        server.set(name, Served::Endless);
        let error = Machine::new().refresh(&server).await.unwrap_err();
        let named = matches!(&error, Error::Fetch { file, source: Fault::TooLong { .. } } if file == name);
        assert!(named, "{name}: {}", chain(&error));
    }
}

#[tokio::test]
async fn oversized_metadata() {
    let forge = good();
    // Valid and signed, but with 64 KiB of blanks behind it; the timestamp says that this is how it should be.
    let padded = |name: &str| {
        let mut bytes = forge.files()[name].clone();
        bytes.resize(bytes.len() + (64 << 10), b' ');
        bytes
    };
    let server = Server::new(forge.files());
    let snapshot = padded("metadata/1.snapshot.json");
    server.put([("metadata/timestamp.json".to_owned(), forge.timestamp(&about(1, &snapshot)))].into());
    server.put([("metadata/1.snapshot.json".to_owned(), snapshot)].into());
    for name in ["metadata/1.snapshot.json", "metadata/timestamp.json"] {
        if name == "metadata/timestamp.json" {
            server.put([(name.to_owned(), padded(name))].into());
        }
        let error = Machine::new().refresh(&server).await.unwrap_err();
        let named =
            matches!(&error, Error::Fetch { file, source: Fault::TooLong { limit: 65_536 } } if file == name);
        assert!(named, "{name}: {}", chain(&error));
    }
}

#[tokio::test]
async fn zero_length() {
    for name in FILES {
        let server = Server::new(good().files());
        server.set(name, Served::These(Vec::new()));
        let error = Machine::new().refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. } | Error::Fetch { .. }), "{name}: {}", chain(&error));
    }
}

#[tokio::test]
async fn a_page_instead_of_metadata() {
    for name in FILES {
        let server = Server::new(good().files());
        server.set(name, Served::These(b"<html><title>Sign in</title></html>".to_vec()));
        let error = Machine::new().refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{name}: {}", chain(&error));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    for name in FILES {
        let server = Server::new(good().files());
        server.set(name, Served::Silence);
        let mut machine = Machine::new();
        machine.limits.time = Duration::from_millis(300);
        let error = machine.refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Late { .. }), "{name}: {}", chain(&error));
    }
}

#[tokio::test]
async fn oversized_manifest() {
    let mut forge = good();
    forge.targets.insert(line().manifest_name().to_string(), vec![b' '; (1 << 20) + 1]);
    let server = Server::new(forge.files());
    let repository = Machine::new().refresh(&server).await.unwrap().repository;
    server.asked();
    let error = repository.manifest(&line(), &*server).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{}", chain(&error));
    assert_eq!(server.asked(), [""; 0], "it was fetched");
}

#[tokio::test]
async fn a_manifest_with_more_or_fewer_bytes_than_listed() {
    let forge = good();
    let server = Server::new(forge.files());
    let repository = Machine::new().refresh(&server).await.unwrap().repository;
    let (name, bytes) = forge.targets.iter().next().unwrap();
    let path = format!("targets/{}.{name}", sha256(bytes));
    let mut longer = bytes.clone();
    longer.push(b'\n');
    let mut other = bytes.clone();
    other[0] ^= 1;
    for served in [longer, bytes[1..].to_vec(), Vec::new(), other]
        .map(Served::These)
        .into_iter()
        .chain([Served::Endless])
    {
        server.set(&path, served);
        let error = repository.manifest(&line(), &*server).await.unwrap_err();
        assert!(matches!(error, Error::Fetch { .. } | Error::TargetContent { .. }), "{}", chain(&error));
    }
    server.set(&path, Served::These(bytes.clone()));
    assert_eq!(repository.manifest(&line(), &*server).await.unwrap().line(), line());
}

#[tokio::test]
async fn a_length_that_is_a_lie() {
    // The timestamp may name any length: the limit holds all the same.
    let forge = good();
    let server = Server::new(forge.files());
    let lie = json!({ "version": 1, "length": 1u64 << 50 });
    server.put([("metadata/timestamp.json".to_owned(), forge.timestamp(&lie))].into());
    server.set("metadata/1.snapshot.json", Served::Endless);
    let error = Machine::new().refresh(&server).await.unwrap_err();
    assert!(
        matches!(error, Error::Fetch { source: Fault::TooLong { limit: 65_536 }, .. }),
        "{}",
        chain(&error)
    );
}
