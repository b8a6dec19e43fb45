//! What a power cut, or a bad disk, can leave of the machine's memory.

use std::fs;

use coracle_trust::{Error, Note, Role};

use crate::chain;
use crate::machine::{Machine, forge as good};
use crate::server::Server;

/// A machine that has seen version 5 of everything, under the second root, and a server that has it.
async fn machine() -> (Machine, std::sync::Arc<Server>) {
    let (machine, mut forge) = (Machine::new(), good());
    let server = Server::new(forge.files());
    (forge.versions.root, forge.versions.timestamp, forge.versions.snapshot, forge.versions.targets) =
        (2, 5, 5, 5);
    server.put(forge.files());
    assert_eq!(machine.versions(&server).await, [2, 5, 5, 5]);
    (machine, server)
}

/// The repository as it was before.
fn past() -> std::sync::Arc<Server> {
    let mut forge = good();
    let server = Server::new(forge.files());
    forge.versions.root = 2;
    forge.versions.timestamp = 4;
    server.put(forge.files());
    server
}

#[tokio::test]
async fn a_truncated_root() {
    let (machine, server) = machine().await;
    let path = machine.kept().join("root.json");
    let whole = fs::read(&path).unwrap();
    for len in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = machine.refresh(&past()).await.unwrap_err();
        assert!(matches!(error, Error::Rollback { role: Role::Timestamp, .. }), "{len}: {}", chain(&error));
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(machine.refresh(&server).await.unwrap().notes, [Note::RootDamaged], "{len}");
        assert_eq!(machine.refresh(&server).await.unwrap().notes, [], "{len}");
    }
}

#[tokio::test]
async fn a_truncated_floor() {
    let (machine, server) = machine().await;
    let path = machine.kept().join("floor.json");
    let whole = fs::read(&path).unwrap();
    for len in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(machine.refresh(&server).await.unwrap().notes, [Note::FloorDamaged], "{len}");
        assert_eq!(machine.refresh(&server).await.unwrap().notes, [], "{len}");
        // It is written anew, and holds.
        assert!(matches!(machine.refresh(&past()).await, Err(Error::Rollback { .. })));
    }
}

#[tokio::test]
async fn files_that_were_about_to_be() {
    let (machine, server) = machine().await;
    for name in ["root.json.tmp", "floor.json.tmp"] {
        fs::write(machine.kept().join(name), "{").unwrap();
    }
    assert!(matches!(machine.refresh(&past()).await, Err(Error::Rollback { .. })));
    assert_eq!(machine.refresh(&server).await.unwrap().notes, []);
}

#[tokio::test]
async fn a_new_root_with_an_old_floor() {
    let (machine, server) = machine().await;
    let root = fs::read(machine.kept().join("root.json")).unwrap();
    // Between the two writes of a refresh.
    let other = Machine::new();
    other.versions(&Server::new(good().files())).await;
    fs::write(other.kept().join("root.json"), root).unwrap();
    assert_eq!(other.versions(&server).await, [2, 5, 5, 5]);
    assert!(matches!(other.refresh(&past()).await, Err(Error::Rollback { .. })));
}

#[tokio::test]
async fn memory_that_cannot_be_kept() {
    let machine = Machine::new();
    fs::write(machine.kept(), "a file where the folder should be").unwrap();
    let error = machine.refresh(&Server::new(good().files())).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_refused_refresh_leaves_the_floor_alone() {
    let (machine, _) = machine().await;
    let before = fs::read(machine.kept().join("floor.json")).unwrap();
    assert!(machine.refresh(&past()).await.is_err());
    let mut forge = good();
    (forge.versions.root, forge.versions.timestamp) = (2, 9);
    forge.expires.snapshot = "2026-11-02T00:00:00Z";
    let server = past();
    server.put(forge.files());
    assert!(machine.refresh(&server).await.is_err());
    assert_eq!(fs::read(machine.kept().join("floor.json")).unwrap(), before);
}
