//! A repository in a folder: a medium that somebody carries to the machine, or the publisher's own.

use std::{io, ops::Range, path::PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom, Take};

use super::{Body, Chunks, Fault, Path, Transport};

const CHUNK: usize = 64 << 10;

/// A repository in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    base: PathBuf,
}

impl Folder {
    /// The folder that has `metadata` and `targets`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    async fn file(&self, path: &Path) -> Result<(File, u64), Fault> {
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Fault::Missing,
            _ => Fault::Io(error),
        };
        let path = self.base.join(path.as_str());
        // Opening anything but a file could wait for ever.
        let about = tokio::fs::metadata(&path).await.map_err(missing)?;
        if !about.is_file() {
            return Err(Fault::Missing);
        }
        Ok((File::open(&path).await.map_err(missing)?, about.len()))
    }
}

#[async_trait]
impl Transport for Folder {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        Ok(Body::open(self.file(path).await?.0.take(u64::MAX)))
    }

    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        let (mut file, has) = self.file(path).await?;
        if has != len || bytes.end > len || bytes.is_empty() {
            let want = format!("{}-{}/{len}", bytes.start, bytes.end);
            return Err(Fault::OtherPart { want, got: format!("0-{has}/{has}") });
        }
        file.seek(SeekFrom::Start(bytes.start)).await?;
        let wanted = bytes.end - bytes.start;
        Ok(Body::exactly(file.take(wanted), wanted))
    }
}

#[async_trait]
impl Chunks for Take<File> {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut chunk = vec![0; CHUNK];
        let read = self.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok((read > 0).then(|| chunk.into()))
    }
}
