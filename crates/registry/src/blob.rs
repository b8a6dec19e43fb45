//! A config or layer as it comes.
//!
//! A transfer that breaks goes on where it broke, at whoever is asked next: what comes is hashed as one, whoever gives it, so no `ETag`
//! is needed to tell whether it is still the same. Whoever knows no ranges sends all of it again, and what was there is passed over.

use std::fmt;

use bytes::Bytes;
use coracle_fetch::direct::Answer;
use coracle_trust::Fault;
use coracle_trust::transport::Body;

use crate::asking::Asking;
use crate::client::Client;
use crate::digest::Hasher;
use crate::document::{Descriptor, brief};
use crate::error::{Error, Trouble};
use crate::registries::Endpoint;

/// A config or layer as it comes. Its end comes only once all that came was what was wanted; what comes before the end is not verified.
pub struct Blob<'a> {
    client: &'a Client,
    asking: Asking,
    descriptor: Descriptor,
    at: u64,
    hasher: Hasher,
    coming: Option<Coming>,
}

/// An answer on its way.
struct Coming {
    body: Body,
    /// How much of it is there already.
    over: u64,
}

impl<'a> Blob<'a> {
    pub(crate) fn new(client: &'a Client, asking: Asking, descriptor: Descriptor) -> Self {
        let hasher = descriptor.digest.hasher();
        Self { client, asking, descriptor, at: 0, hasher, coming: None }
    }

    /// The next bytes; `None` at the end, if size and digest are those of the descriptor. Whoever stops waiting loses nothing of
    /// what came.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Descriptor { digest: want, size, .. } = self.descriptor;
        while self.at < size {
            let Some(coming) = &mut self.coming else {
                let endpoint = self.asking.next().await?;
                match self.open(&endpoint).await {
                    Ok(coming) => self.coming = Some(coming),
                    Err(trouble) => self.asking.failed(trouble),
                }
                continue;
            };
            match coming.next(size - self.at).await {
                Ok(chunk) => {
                    self.hasher.update(&chunk);
                    self.at += chunk.len() as u64;
                    self.asking.gained(chunk.len() as u64);
                    return Ok(Some(chunk));
                }
                Err(fault) => {
                    self.coming = None;
                    self.asking.failed(fault.into());
                }
            }
        }
        self.coming = None;
        match self.hasher.clone().finish() {
            got if got == want => Ok(None),
            got => Err(self.asking.refuse(Trouble::Digest { got })),
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Coming, Trouble> {
        let (from, size) = (self.at, self.descriptor.size);
        let url = endpoint.url("blobs", &self.descriptor.digest.to_string()).ok_or(Trouble::Address)?;
        let range = format!("bytes={from}-");
        let headers = [("range", range.as_str())];
        let headers = if from > 0 { headers.as_slice() } else { &[] };
        let answer = self.client.session.get(endpoint, url, headers).await?;
        let over = over(&answer, from, size)?;
        Ok(Coming { body: answer.body, over })
    }
}

/// How much of an answer is there already: nothing if it is the rest that was asked for, all that came before if it is the whole.
fn over(answer: &Answer, from: u64, size: u64) -> Result<u64, Trouble> {
    let length = answer.length;
    let right = |want| match length {
        Some(got) if got != want => Err(Trouble::Size { want, got }),
        _ => Ok(()),
    };
    if answer.status == 200 {
        right(size)?;
        return Ok(from);
    }
    let want = format!("bytes {from}-{}/{size}", size.saturating_sub(1));
    match answer.header("content-range").unwrap_or_default() {
        _ if from == 0 => Err(Fault::Status { status: answer.status }.into()),
        got if got == want => right(size - from).map(|()| 0),
        got => Err(Fault::OtherPart { want, got: brief(got) }.into()),
    }
}

impl Coming {
    /// Bytes that are not there yet, and no more than are left.
    async fn next(&mut self, left: u64) -> Result<Bytes, Fault> {
        loop {
            let mut chunk = self.body.chunk().await?.ok_or(Fault::TooShort { missing: left })?;
            let over = self.over.min(chunk.len() as u64);
            self.over -= over;
            // Not more than a chunk has.
            let chunk = chunk.split_off(over as usize);
            if chunk.len() as u64 > left {
                return Err(Fault::TooLong { limit: left });
            }
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}

impl fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptor, at, .. } = self;
        f.debug_struct("Blob").field("descriptor", descriptor).field("at", at).finish_non_exhaustive()
    }
}
