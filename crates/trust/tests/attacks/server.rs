//! A server that serves what it is told to, and remembers what it was asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use coracle_trust::transport::{Body, Chunks, Fault, Path, Transport};

/// What comes instead of a file.
#[derive(Debug, Clone)]
pub enum Served {
    These(Vec<u8>),
    /// Bytes without end.
    Endless,
    /// A connection, and not one byte.
    Silence,
    /// A status.
    Busy,
}

#[derive(Debug, Default)]
pub struct Server {
    files: Mutex<BTreeMap<String, Served>>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Arc<Self> {
        let server = Arc::new(Self::default());
        server.put(files);
        server
    }

    /// Serves these too.
    pub fn put(&self, files: BTreeMap<String, Vec<u8>>) {
        self.files
            .lock()
            .unwrap()
            .extend(files.into_iter().map(|(name, bytes)| (name, Served::These(bytes))));
    }

    /// Serves these and the roots from before, and nothing else.
    pub fn only(&self, files: BTreeMap<String, Vec<u8>>) {
        self.files.lock().unwrap().retain(|name, _| name.ends_with(".root.json"));
        self.put(files);
    }

    pub fn set(&self, name: &str, served: Served) {
        self.files.lock().unwrap().insert(name.to_owned(), served);
    }

    pub fn remove(&self, name: &str) {
        assert!(self.files.lock().unwrap().remove(name).is_some(), "{name}");
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Server {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        self.asked.lock().unwrap().push(path.to_string());
        let served = self.files.lock().unwrap().get(path.as_str()).cloned();
        match served {
            None => Err(Fault::Missing),
            Some(Served::Busy) => Err(Fault::Busy { status: 503, retry_after: None }),
            Some(served) => Ok(Body::open(served)),
        }
    }

    async fn part(&self, _: &Path, _: Range<u64>, _: u64) -> Result<Body, Fault> {
        Err(Fault::NoParts)
    }
}

#[async_trait]
impl Chunks for Served {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::These(bytes) if bytes.is_empty() => Ok(None),
            Self::These(bytes) => Ok(Some(std::mem::take(bytes).into())),
            Self::Endless => Ok(Some(Bytes::from_static(&[b' '; 4096]))),
            Self::Silence | Self::Busy => std::future::pending().await,
        }
    }
}
