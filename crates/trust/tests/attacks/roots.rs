//! The chain of roots: gaps, false links, links from the past.

use std::fs;

use coracle_trust::{Error, Fault, Note, Role};

use crate::chain;
use crate::forge::Forge;
use crate::machine::{Machine, forge as good};
use crate::server::{Served, Server};

/// Three roots, each with new online keys.
fn three_roots() -> (Vec<Forge>, std::sync::Arc<Server>) {
    let mut forge = good();
    let mut all = vec![forge.clone()];
    for keys in ["2", "3"] {
        forge.rotate(if keys == "2" { "timestamp-2" } else { "timestamp-3" }, "snapshot");
        all.push(forge.clone());
    }
    let server = Server::new(all[0].files());
    server.put(all[1].files());
    server.put(all[2].files());
    (all, server)
}

#[tokio::test]
async fn a_chain_of_roots_is_walked_once() {
    let (_, server) = three_roots();
    let machine = Machine::new();
    assert_eq!(machine.versions(&server).await, [3, 1, 1, 1]);
    assert!(server.asked().contains(&"metadata/2.root.json".to_owned()));
    assert_eq!(machine.versions(&server).await, [3, 1, 1, 1]);
    assert!(!server.asked().contains(&"metadata/2.root.json".to_owned()), "the newest root was not kept");
}

#[tokio::test]
async fn missed_root_version() {
    let (_, server) = three_roots();
    server.remove("metadata/2.root.json");
    let error = Machine::new().refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::Signatures { role: Role::Timestamp, .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_root_with_the_number_of_another() {
    let (all, server) = three_roots();
    server.set("metadata/2.root.json", Served::These(all[2].root()));
    let error = Machine::new().refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_root_signed_only_by_its_own_keys() {
    for signers in [vec!["new-1", "new-2"], vec!["new-1", "root-1"]] {
        let mut forge = good();
        let server = Server::new(forge.files());
        forge.versions.root = 2;
        forge.keys.root = vec!["new-1", "new-2", "new-3"];
        forge.signers.root = signers;
        server.put(forge.files());
        let error = Machine::new().refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Signatures { role: Role::Root, .. }), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_root_signed_only_by_the_keys_before() {
    let mut forge = good();
    let server = Server::new(forge.files());
    forge.versions.root = 2;
    forge.keys.root = vec!["new-1", "new-2", "new-3"];
    server.put(forge.files());
    let machine = Machine::new();
    let error = machine.refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::Signatures { role: Role::Root, .. }), "{}", chain(&error));
    forge.signers.root = vec!["root-1", "root-2", "new-1", "new-2"];
    server.put(forge.files());
    assert_eq!(machine.versions(&server).await[0], 2);
}

#[tokio::test]
async fn the_last_good_root_is_kept_when_the_next_is_bad() {
    let (all, server) = three_roots();
    let machine = Machine::new();
    let mut bad = all[2].clone();
    bad.signers.root = vec!["root-1"];
    server.set("metadata/3.root.json", Served::These(bad.root()));
    assert!(matches!(machine.refresh(&server).await, Err(Error::Signatures { role: Role::Root, .. })));
    server.asked();
    server.set("metadata/3.root.json", Served::These(all[2].root()));
    assert_eq!(machine.versions(&server).await[0], 3);
    assert!(!server.asked().contains(&"metadata/2.root.json".to_owned()));
}

#[tokio::test]
async fn root_from_the_past() {
    let (all, server) = three_roots();
    let machine = Machine::new();
    machine.versions(&server).await;
    // The server forgets the newer roots: the machine does not.
    let old = Server::new(all[0].files());
    let error = machine.refresh(&old).await.unwrap_err();
    assert!(matches!(error, Error::Signatures { role: Role::Timestamp, .. }), "{}", chain(&error));
    // The machine forgets its root, too; not that there was one.
    fs::write(machine.kept().join("root.json"), "{").unwrap();
    let error = machine.refresh(&old).await.unwrap_err();
    assert!(matches!(error, Error::Rollback { role: Role::Root, floor: 3, got: 1 }), "{}", chain(&error));
    // An honest server leads back to where it was.
    let refreshed = machine.refresh(&server).await.unwrap();
    assert_eq!(refreshed.notes, [Note::RootDamaged]);
    assert_eq!(machine.refresh(&server).await.unwrap().notes, []);
}

#[tokio::test]
async fn a_newer_image_knows_a_newer_root() {
    let (all, server) = three_roots();
    let mut machine = Machine::new();
    machine.versions(&Server::new(all[0].files())).await;
    machine.embedded.root = all[2].root();
    server.remove("metadata/2.root.json");
    assert_eq!(machine.versions(&server).await[0], 3);
}

#[tokio::test]
async fn a_server_in_trouble_is_not_the_end_of_the_chain() {
    for served in [Served::Busy, Served::Endless] {
        let (_, server) = three_roots();
        server.set("metadata/2.root.json", served);
        let error = Machine::new().refresh(&server).await.unwrap_err();
        assert!(matches!(error, Error::Fetch { .. }), "{}", chain(&error));
    }
}

#[tokio::test]
async fn many_roots_are_walked_in_several_refreshes() {
    let mut forge = good();
    let server = Server::new(forge.files());
    for _ in 0..5 {
        forge.versions.root += 1;
        server.put(forge.files());
    }
    let mut machine = Machine::new();
    machine.limits.roots = 2;
    for _ in 0..2 {
        assert!(matches!(machine.refresh(&server).await, Err(Error::Refused { .. })));
    }
    assert_eq!(machine.versions(&server).await[0], 6);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    for name in ["metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"] {
        let server = Server::new(good().files());
        server.remove(name);
        let error = Machine::new().refresh(&server).await.unwrap_err();
        let named = matches!(&error, Error::Fetch { file, source: Fault::Missing } if file == name);
        assert!(named, "{}", chain(&error));
    }
}
