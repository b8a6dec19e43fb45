//! The bytes of metadata that went by while it was verified: what was written anew would have other ones.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use coracle_trust::transport::{Body, Fault, Path, collect};
use coracle_trust::{Limits, Transport};

/// A transport that keeps the metadata that came through it.
#[derive(Debug)]
pub(super) struct Seen {
    from: Arc<dyn Transport>,
    metadata: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Seen {
    pub(super) fn new(from: Arc<dyn Transport>) -> Self {
        Self { from, metadata: Mutex::default() }
    }

    /// The metadata of that name, if it came.
    pub(super) fn take(&self, name: &str) -> Option<Vec<u8>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }
}

#[async_trait]
impl Transport for Seen {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        let body = self.from.whole(path).await?;
        let Some(name) = path.as_str().strip_prefix("metadata/") else { return Ok(body) };
        let bytes = collect(body, Limits::default().targets).await?;
        let mut metadata = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        metadata.insert(name.to_owned(), bytes.clone());
        Ok(Body::of(bytes))
    }

    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        self.from.part(path, bytes, len).await
    }
}
