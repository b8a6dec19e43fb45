//! Files that are each genuine and do not belong together, and what is not followed here.

use coracle_rollout::{Trusted, digest::Digest};
use coracle_trust::{Error, Target};
use serde_json::json;

use crate::chain;
use crate::forge::sha256;
use crate::machine::{Machine, forge as good, line, manifest};
use crate::server::Server;

#[tokio::test]
async fn a_good_repository() {
    let mut forge = good();
    forge.targets.insert("os-1.2.0-root.ops".to_owned(), vec![7; 5000]);
    let server = Server::new(forge.files());
    let refreshed = Machine::new().refresh(&server).await.unwrap();
    assert_eq!(refreshed.notes, []);
    let found: Trusted<Target> = refreshed.repository.target(&"os-1.2.0-root.ops".parse().unwrap()).unwrap();
    assert_eq!((found.bytes(), found.sha256().to_string()), (5000, sha256(&[7; 5000])));
    assert_eq!(found.path().unwrap().as_str(), format!("targets/{}.os-1.2.0-root.ops", sha256(&[7; 5000])));
    let manifest = refreshed.repository.manifest(&line(), &*server).await.unwrap();
    assert_eq!(manifest.line(), line());
}

#[tokio::test]
async fn mix_and_match() {
    let old = good();
    let mut new = good();
    (new.versions.timestamp, new.versions.snapshot, new.versions.targets) = (2, 2, 2);
    new.targets.insert("os-1.2.0-root.ops".to_owned(), vec![7; 5000]);
    let (old, new) = (old.files(), new.files());
    for (under, from) in [
        ("metadata/2.snapshot.json", &old["metadata/1.snapshot.json"]),
        ("metadata/2.targets.json", &old["metadata/1.targets.json"]),
        ("metadata/2.targets.json", &new["metadata/2.snapshot.json"]),
        ("metadata/2.snapshot.json", &new["metadata/timestamp.json"]),
    ] {
        let server = Server::new(new.clone());
        server.put([(under.to_owned(), from.clone())].into());
        let error = Machine::new().refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_manifest_for_other_machines() {
    let mut forge = good();
    let other = String::from_utf8(manifest()).unwrap().replace("\"stable\"", "\"beta\"");
    forge.targets.insert(line().manifest_name().to_string(), other.into());
    let server = Server::new(forge.files());
    let repository = Machine::new().refresh(&server).await.unwrap().repository;
    let error = repository.manifest(&line(), &*server).await.unwrap_err();
    assert!(matches!(error, Error::OtherLine { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_manifest_that_is_not_one() {
    let mut forge = good();
    forge.targets.insert(line().manifest_name().to_string(), b"{\"schema\": 9}".to_vec());
    let server = Server::new(forge.files());
    let repository = Machine::new().refresh(&server).await.unwrap().repository;
    let error = repository.manifest(&line(), &*server).await.unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn no_manifest() {
    let mut forge = good();
    forge.targets.clear();
    let server = Server::new(forge.files());
    let repository = Machine::new().refresh(&server).await.unwrap().repository;
    let error = repository.manifest(&line(), &*server).await.unwrap_err();
    assert!(matches!(error, Error::NoTarget { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn names_with_a_slash_are_not_there() {
    let mut forge = good();
    forge.targets.insert("a/b.ops".to_owned(), vec![1]);
    forge.targets.insert("../c.ops".to_owned(), vec![1]);
    let repository = Machine::new().refresh(&Server::new(forge.files())).await.unwrap().repository;
    for name in ["b.ops", "c.ops"] {
        assert!(matches!(repository.target(&name.parse().unwrap()), Err(Error::NoTarget { .. })));
    }
    assert!(repository.target(&line().manifest_name()).is_ok());
}

#[tokio::test]
async fn files_that_change_under_one_name() {
    let (mut machine, mut forge) = (Machine::new(), good());
    forge.consistent = false;
    machine.embedded.root = forge.root();
    let mut files = forge.files();
    for name in ["snapshot", "targets"] {
        let bytes = files[&format!("metadata/1.{name}.json")].clone();
        files.insert(format!("metadata/{name}.json"), bytes);
    }
    let error = machine.refresh(&Server::new(files)).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn delegated_targets() {
    let forge = good();
    let mut targets = forge.targets_part();
    targets["delegations"] = json!({ "keys": {}, "roles": [] });
    let error = Machine::new().refresh(&Server::new(forge.files_with(&targets))).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn an_ops_file_of_another_length() {
    let mut forge = good();
    forge.targets.insert("os-1.2.0-root.ops".to_owned(), vec![7; 5000]);
    let repository = Machine::new().refresh(&Server::new(forge.files())).await.unwrap().repository;
    let mut file = coracle_rollout::manifest::OpsFile {
        target: "os-1.2.0-root.ops".parse().unwrap(),
        bytes: 5000,
        header_bytes: 100,
        header_sha256: Digest::new([1; 32]),
    };
    assert!(repository.ops(&file).is_ok());
    file.bytes = 5001;
    assert!(matches!(repository.ops(&file), Err(Error::TargetBytes { listed: 5000, wanted: 5001, .. })));
}
