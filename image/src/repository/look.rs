//! A repository as a machine will see it, before its last files are in their places.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_rollout::Time;
use coracle_trust::store::Store;
use coracle_trust::transport::{self, Body, Fault, Folder};
use coracle_trust::{Client, Clock, Embedded, Limits, Transport, Versions};

use super::files::UNFINISHED;
use super::{Error, METADATA};

/// Follows the repository as a machine would that knows its first root. `pending` are files of its metadata that are not
/// written yet, by name.
pub(super) fn look(repo: &Path, pending: &[(String, Vec<u8>)], now: Time) -> Result<Versions, Error> {
    let scratch = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(repo);
    let scratch = scratch.map_err(Error::file("make a folder in", repo))?;
    let root = repo.join(METADATA).join("1.root.json");
    let embedded = Embedded {
        root: fs::read(&root).map_err(Error::file("read", root))?,
        versions: Versions::default(),
        built: now,
    };
    let files = pending.iter().map(|(name, bytes)| (format!("{METADATA}/{name}"), bytes.clone()));
    let from = Pending { folder: Folder::new(repo), files: files.collect() };
    let store = Store::new(scratch.path().join("kept"));
    let client = Client::new(store, scratch.path().join("scratch"), embedded, Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(Error::file("start to look at", repo))?;
    let refreshed = runtime.block_on(client.refresh(Arc::new(from), Clock::Set(now)));
    Ok(refreshed.map_err(|error| Error::Look(Box::new(error)))?.repository.versions())
}

/// The repository as it will be.
#[derive(Debug)]
struct Pending {
    folder: Folder,
    files: HashMap<String, Vec<u8>>,
}

#[async_trait]
impl Transport for Pending {
    async fn whole(&self, path: &transport::Path) -> Result<Body, Fault> {
        match self.files.get(path.as_str()) {
            Some(bytes) => Ok(Body::of(bytes.clone())),
            None => self.folder.whole(path).await,
        }
    }

    async fn part(
        &self,
        path: &transport::Path,
        bytes: std::ops::Range<u64>,
        len: u64,
    ) -> Result<Body, Fault> {
        self.folder.part(path, bytes, len).await
    }
}
