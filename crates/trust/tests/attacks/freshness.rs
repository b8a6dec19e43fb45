//! Metadata that nobody vouches for any more.

use coracle_trust::{Clock, Error, Role};

use crate::chain;
use crate::machine::{Machine, forge as good, time};
use crate::server::Server;

const ROLES: [(&str, Role); 4] = [
    ("root", Role::Root),
    ("timestamp", Role::Timestamp),
    ("snapshot", Role::Snapshot),
    ("targets", Role::Targets),
];

#[tokio::test]
async fn expired_metadata() {
    for (name, role) in ROLES {
        for expires in ["2026-11-20T10:00:00Z", "2026-11-10T00:00:00Z", "1969-01-01T00:00:00Z"] {
            let (mut machine, mut forge) = (Machine::new(), good());
            *forge.expires.of(name) = expires;
            machine.embedded.root = forge.root();
            let error = machine.refresh(&Server::new(forge.files())).await.unwrap_err();
            assert!(matches!(error, Error::Expired { role: got, .. } if got == role), "{}", chain(&error));
        }
    }
}

#[tokio::test]
async fn an_expired_root_with_a_successor() {
    let (mut machine, mut forge) = (Machine::new(), good());
    forge.expires.root = "2026-11-10T00:00:00Z";
    machine.embedded.root = forge.root();
    let server = Server::new(forge.files());
    forge.versions.root = 2;
    forge.expires.root = "2027-11-10T00:00:00Z";
    server.put(forge.files());
    assert_eq!(machine.versions(&server).await[0], 2);
}

#[tokio::test]
async fn freeze() {
    let machine = Machine::new();
    let server = Server::new(good().files());
    machine.versions(&server).await;
    // The server goes on to serve what it did: at some time that is over.
    let at = |text| Clock::Set(time(text));
    assert!(machine.refresh_at(&server, at("2026-11-21T23:59:59Z")).await.is_ok());
    let error = machine.refresh_at(&server, at("2026-11-22T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, Error::Expired { role: Role::Timestamp, .. }), "{}", chain(&error));
    // Nothing is lost by that.
    let mut forge = good();
    forge.versions.timestamp = 2;
    forge.expires.timestamp = "2026-11-24T00:00:00Z";
    server.put(forge.files());
    assert!(machine.refresh_at(&server, at("2026-11-22T00:00:00Z")).await.is_ok());
}

#[tokio::test]
async fn the_first_to_expire_is_told() {
    let refreshed = Machine::new().refresh(&Server::new(good().files())).await.unwrap();
    assert_eq!(refreshed.repository.expires(), time("2026-11-22T00:00:00Z"));
}
