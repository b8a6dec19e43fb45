//! Where bytes come from, how many and how fast. Nothing here trusts them.

mod body;
mod client;
mod fault;
mod file;
mod http;
mod path;
mod tag;

use std::{fmt, ops::Range};

use async_trait::async_trait;

pub use body::{Body, Chunks, collect};
pub use client::{BadServer, Options, Redirects, Resolve, client};
pub use fault::Fault;
pub use file::Folder;
pub use http::{ANSWER, Http, retry_after};
pub use path::Path;
pub use tag::{Answer, Tag};

/// A place that has the repository's files.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// A file from its first byte on; how long it is, only its end tells.
    async fn whole(&self, path: &Path) -> Result<Body, Fault>;

    /// The same file, unless it is still what this tag was given for. Where nothing has tags, it is always another.
    async fn whole_unless(&self, path: &Path, tag: Option<&Tag>) -> Result<Answer, Fault> {
        let _ = tag;
        Ok(Answer::New { body: self.whole(path).await?, tag: None })
    }

    /// Just these bytes of a file that has `len`. Never others: a server that cannot give a part of a file, or has another
    /// file by that name, is a fault.
    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault>;
}
