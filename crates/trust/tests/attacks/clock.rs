//! Clocks that are wrong.

use coracle_trust::{Clock, Error, Note, Role};

use crate::chain;
use crate::machine::{Machine, NOW, forge as good, time};
use crate::server::Server;

#[tokio::test]
async fn a_clock_that_nobody_set() {
    // What expired before the image was made is expired on every clock.
    let (machine, mut forge) = (Machine::new(), good());
    forge.expires.timestamp = "2026-10-31T00:00:00Z";
    let server = Server::new(forge.files());
    let error = machine.refresh_at(&server, Clock::Unset).await.unwrap_err();
    assert!(matches!(error, Error::Expired { role: Role::Timestamp, .. }), "{}", chain(&error));
    // What expired since then may pass until the clock is set.
    forge.expires.timestamp = "2026-11-10T00:00:00Z";
    server.put(forge.files());
    assert!(machine.refresh_at(&server, Clock::Unset).await.is_ok());
    assert!(matches!(machine.refresh(&server).await, Err(Error::Expired { role: Role::Timestamp, .. })));
}

#[tokio::test]
async fn a_clock_that_nobody_set_after_one_that_was() {
    let (machine, mut forge) = (Machine::new(), good());
    let server = Server::new(forge.files());
    machine.versions(&server).await;
    forge.versions.timestamp = 2;
    forge.expires.timestamp = "2026-11-20T09:59:59Z";
    server.put(forge.files());
    let error = machine.refresh_at(&server, Clock::Unset).await.unwrap_err();
    assert!(matches!(error, Error::Expired { role: Role::Timestamp, .. }), "{}", chain(&error));
}

#[tokio::test]
async fn clock_in_2031_and_back() {
    let (machine, mut forge) = (Machine::new(), good());
    let server = Server::new(forge.files());
    // Everything looks expired; nothing of it stays.
    let in_2031 = Clock::Set(time("2031-01-01T00:00:00Z"));
    assert!(matches!(machine.refresh_at(&server, in_2031).await, Err(Error::Expired { .. })));
    assert_eq!(machine.refresh(&server).await.unwrap().notes, []);
    // Metadata that is still good then makes the machine believe its clock.
    for (name, expires) in
        ["root", "timestamp", "snapshot", "targets"].map(|name| (name, "2040-01-01T00:00:00Z"))
    {
        *forge.expires.of(name) = expires;
    }
    forge.versions.root = 2;
    server.put(forge.files());
    assert!(machine.refresh_at(&server, in_2031).await.is_ok());
    // The clock is set right: said once, and all goes on.
    let refreshed = machine.refresh(&server).await.unwrap();
    assert_eq!(refreshed.notes, [Note::ClockSetBack { noted: time("2031-01-01T00:00:00Z") }]);
    assert_eq!(machine.refresh(&server).await.unwrap().notes, []);
    forge.versions.timestamp = 2;
    forge.expires.timestamp = "2026-11-22T00:00:00Z";
    server.put(forge.files());
    assert!(machine.refresh_at(&server, Clock::Set(time(NOW))).await.is_ok());
}
