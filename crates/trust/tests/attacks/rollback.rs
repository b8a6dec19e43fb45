//! Versions from the past, and versions that were put out of reach.

use coracle_trust::{Error, Role, Versions};

use crate::chain;
use crate::forge::{Forge, about};
use crate::machine::{Machine, forge as good};
use crate::server::Server;

/// A repository with these versions of timestamp, snapshot and targets.
fn at([timestamp, snapshot, targets]: [u64; 3]) -> Forge {
    let mut forge = good();
    (forge.versions.timestamp, forge.versions.snapshot, forge.versions.targets) =
        (timestamp, snapshot, targets);
    forge
}

#[tokio::test]
async fn rollback_of_each_role() {
    let machine = Machine::new();
    let server = Server::new(at([5, 5, 5]).files());
    assert_eq!(machine.versions(&server).await, [1, 5, 5, 5]);
    for (versions, role) in [
        ([4, 5, 5], Role::Timestamp),
        ([4, 6, 6], Role::Timestamp),
        ([6, 4, 5], Role::Snapshot),
        ([6, 4, 6], Role::Snapshot),
        ([6, 6, 4], Role::Targets),
        ([1, 1, 1], Role::Timestamp),
    ] {
        server.only(at(versions).files());
        let error = machine.refresh(&server).await.unwrap_err();
        assert!(
            matches!(error, Error::Rollback { role: got, floor: 5, .. } if got == role),
            "{}",
            chain(&error)
        );
    }
    server.only(at([5, 5, 5]).files());
    assert_eq!(machine.versions(&server).await, [1, 5, 5, 5]);
    server.only(at([6, 5, 5]).files());
    assert_eq!(machine.versions(&server).await, [1, 6, 5, 5]);
}

#[tokio::test]
async fn rollback_below_what_the_image_knows() {
    let mut machine = Machine::new();
    machine.embedded.versions = Versions { root: 1, timestamp: 3, snapshot: 3, targets: 3 };
    let error = machine.refresh(&Server::new(at([2, 3, 3]).files())).await.unwrap_err();
    assert!(
        matches!(error, Error::Rollback { role: Role::Timestamp, floor: 3, got: 2 }),
        "{}",
        chain(&error)
    );
    assert_eq!(machine.versions(&Server::new(at([3, 3, 3]).files())).await, [1, 3, 3, 3]);
}

#[tokio::test]
async fn compromised_timestamp_key() {
    let machine = Machine::new();
    let server = Server::new(at([5, 5, 5]).files());
    machine.versions(&server).await;
    // Whoever has the key can name an old snapshot …
    server.only(at([6, 4, 4]).files());
    let error = machine.refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::Rollback { role: Role::Snapshot, .. }), "{}", chain(&error));
    // … or one that there is not …
    let good = at([5, 5, 5]);
    server.only(good.files());
    let mut thief = at([6, 5, 5]);
    thief.versions.timestamp = 6;
    server.put([("metadata/timestamp.json".to_owned(), thief.timestamp(&about(9, b"{}")))].into());
    assert!(matches!(machine.refresh(&server).await, Err(Error::Fetch { .. })));
    // … and put the version out of reach.
    server.only(at([u64::MAX >> 12, 5, 5]).files());
    machine.versions(&server).await;
    server.only(at([7, 5, 5]).files());
    assert!(matches!(machine.refresh(&server).await, Err(Error::Rollback { role: Role::Timestamp, .. })));
    // A root with another key gives it back …
    let mut rotated = at([7, 5, 5]);
    rotated.rotate("timestamp-2", "snapshot");
    server.only(rotated.files());
    assert_eq!(machine.versions(&server).await, [2, 7, 5, 5]);
    // … once: from then on it is protected as before.
    rotated.versions.timestamp = 6;
    server.only(rotated.files());
    assert!(matches!(machine.refresh(&server).await, Err(Error::Rollback { role: Role::Timestamp, .. })));
}

#[tokio::test]
async fn a_rotation_that_is_cut_short_does_not_lower_the_floor_twice() {
    let machine = Machine::new();
    let server = Server::new(at([900, 900, 900]).files());
    machine.versions(&server).await;
    let mut rotated = at([3, 3, 3]);
    rotated.rotate("timestamp-2", "snapshot-2");
    // The new root comes through, the rest does not.
    server.only(rotated.files());
    server.remove("metadata/timestamp.json");
    assert!(machine.refresh(&server).await.is_err());
    server.only(rotated.files());
    assert_eq!(machine.versions(&server).await, [2, 3, 3, 3]);
    rotated.versions.snapshot = 2;
    server.only(rotated.files());
    assert!(matches!(machine.refresh(&server).await, Err(Error::Rollback { role: Role::Snapshot, .. })));
}
