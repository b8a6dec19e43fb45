//! A whole image, into the caller's store.

use std::io;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::client::{Client, Image};
use crate::document::Descriptor;
use crate::error::Error;
use crate::platform::Platform;
use crate::reference::Reference;

/// Where blobs go.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whether it has the blob, whole.
    async fn has(&self, blob: &Descriptor) -> io::Result<bool>;

    /// A place for a blob. What is put there is not verified until it is kept, and not wanted if it never is.
    async fn begin(&self, blob: &Descriptor) -> io::Result<Box<dyn Incoming>>;

    /// So many bytes of the blob are there; all of them, if it was there before.
    fn progress(&self, blob: &Descriptor, bytes: u64) {
        let _ = (blob, bytes);
    }
}

/// A blob on its way into a store. Dropped, it is to be forgotten.
#[async_trait]
pub trait Incoming: Send {
    /// The next bytes.
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()>;

    /// It is whole, and what its digest says.
    async fn keep(self: Box<Self>) -> io::Result<()>;
}

impl Client {
    /// Puts config and layers into the store, some of them at once, and gives the manifest and the indexes before it: whoever keeps those
    /// last has whole images only.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: Platform,
        store: &dyn Store,
    ) -> Result<Image, Error> {
        let image = self.resolve(reference, platform).await?;
        stream::iter(image.manifest.blobs())
            .map(Ok)
            .try_for_each_concurrent(self.limits.parallel.max(1), |blob| self.take(reference, blob, store))
            .await?;
        Ok(image)
    }

    async fn take(&self, reference: &Reference, blob: Descriptor, store: &dyn Store) -> Result<(), Error> {
        let failed = |source| Error::Store { digest: blob.digest, source };
        if store.has(&blob).await.map_err(failed)? {
            store.progress(&blob, blob.size);
            return Ok(());
        }
        let mut from = self.blob(reference, blob);
        let mut to = store.begin(&blob).await.map_err(failed)?;
        let mut bytes = 0;
        while let Some(chunk) = from.chunk().await? {
            to.write(&chunk).await.map_err(failed)?;
            bytes += chunk.len() as u64;
            store.progress(&blob, bytes);
        }
        to.keep().await.map_err(failed)
    }
}
