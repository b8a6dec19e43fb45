//! A store in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coracle_registry::{Descriptor, Digest, Incoming, Store};

#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Digest, Vec<u8>>,
    begun: usize,
    at_once: usize,
    most_at_once: usize,
    progress: Vec<(Digest, u64)>,
    broken: bool,
}

struct Place {
    store: Memory,
    digest: Digest,
    bytes: Vec<u8>,
}

impl Memory {
    /// Has these already.
    pub fn with(blobs: &[&[u8]]) -> Self {
        let memory = Self::default();
        memory.0.lock().unwrap().kept =
            blobs.iter().map(|blob| (crate::image::sha256(blob), blob.to_vec())).collect();
        memory
    }

    /// Takes nothing.
    pub fn broken() -> Self {
        let memory = Self::default();
        memory.0.lock().unwrap().broken = true;
        memory
    }

    pub fn kept(&self) -> BTreeMap<Digest, Vec<u8>> {
        self.0.lock().unwrap().kept.clone()
    }

    /// How many blobs were begun, and how many of them were on their way at once.
    pub fn begun(&self) -> (usize, usize) {
        let inner = self.0.lock().unwrap();
        assert_eq!(inner.at_once, 0);
        (inner.begun, inner.most_at_once)
    }

    /// What was said of a blob.
    pub fn progress(&self, digest: Digest) -> Vec<u64> {
        let inner = self.0.lock().unwrap();
        inner.progress.iter().filter(|(of, _)| *of == digest).map(|(_, bytes)| *bytes).collect()
    }
}

#[async_trait]
impl Store for Memory {
    async fn has(&self, blob: &Descriptor) -> io::Result<bool> {
        Ok(self.0.lock().unwrap().kept.contains_key(&blob.digest))
    }

    async fn begin(&self, blob: &Descriptor) -> io::Result<Box<dyn Incoming>> {
        let mut inner = self.0.lock().unwrap();
        inner.begun += 1;
        inner.at_once += 1;
        inner.most_at_once = inner.most_at_once.max(inner.at_once);
        Ok(Box::new(Place { store: self.clone(), digest: blob.digest, bytes: Vec::new() }))
    }

    fn progress(&self, blob: &Descriptor, bytes: u64) {
        self.0.lock().unwrap().progress.push((blob.digest, bytes));
    }
}

#[async_trait]
impl Incoming for Place {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.store.0.lock().unwrap().broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn keep(mut self: Box<Self>) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        self.store.0.lock().unwrap().kept.insert(self.digest, bytes);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.store.0.lock().unwrap().at_once -= 1;
    }
}
