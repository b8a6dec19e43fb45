//! A machine that follows a repository: its folder, its clock, what its image brought.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use coracle_rollout::{Line, Manifest, Time};
use coracle_trust::store::Store;
use coracle_trust::{Client, Clock, Embedded, Error, Limits, Refreshed, Transport, Versions};
use serde_json::json;

use crate::forge::Forge;
use crate::server::Server;

/// The image was made on this day; the tests take place some weeks later.
pub const BUILT: &str = "2026-11-01T00:00:00Z";
pub const NOW: &str = "2026-11-20T10:00:00Z";

pub struct Machine {
    folder: tempfile::TempDir,
    pub embedded: Embedded,
    pub limits: Limits,
}

impl Machine {
    /// A new machine; its image knows the first root.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            embedded: Embedded {
                root: Forge::new().root(),
                versions: Versions::default(),
                built: time(BUILT),
            },
            limits: Limits::default(),
        }
    }

    pub async fn refresh(&self, server: &Arc<Server>) -> Result<Refreshed, Error> {
        self.refresh_at(server, Clock::Set(time(NOW))).await
    }

    pub async fn refresh_at(&self, server: &Arc<Server>, clock: Clock) -> Result<Refreshed, Error> {
        self.refresh_from(server.clone(), clock).await
    }

    pub async fn refresh_from(&self, from: Arc<dyn Transport>, clock: Clock) -> Result<Refreshed, Error> {
        let scratch = self.folder.path().join("scratch");
        let client = Client::new(Store::new(self.kept()), &scratch, self.embedded.clone(), self.limits);
        let done = client.refresh(from, clock).await;
        assert_eq!(fs::read_dir(scratch).map_or(0, Iterator::count), 0, "something was left behind");
        done
    }

    /// What must not go wrong.
    pub async fn versions(&self, server: &Arc<Server>) -> [u64; 4] {
        let versions = self.refresh(server).await.unwrap().repository.versions();
        [versions.root, versions.timestamp, versions.snapshot, versions.targets]
    }

    /// The folder of its memory.
    pub fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }
}

pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

pub fn line() -> Line {
    Line {
        channel: "stable".parse().unwrap(),
        arch: "x86_64".parse().unwrap(),
        product: "hello".parse().unwrap(),
    }
}

/// A manifest without releases.
pub fn manifest() -> Vec<u8> {
    let json = json!({
        "schema": 1, "channel": "stable", "arch": "x86_64", "product": "hello", "security_floor": "1.0.0", "releases": [],
    });
    Manifest::parse(&serde_json::to_vec(&json).unwrap()).unwrap().to_bytes().unwrap()
}

/// A repository that offers the manifest.
pub fn forge() -> Forge {
    let mut forge = Forge::new();
    forge.targets.insert(line().manifest_name().to_string(), manifest());
    forge
}
