//! Asking: the agent's half.
//!
//! Everything here runs within a runtime of tokio. What the other half sends is as foreign as what servers send to it: at most a frame
//! is held, an answer has at most the bytes and the time that its kind of request may take, and a process that is gone is an error.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_layout::paths;
use coracle_trust::transport::{self, Body, Chunks, Path, Tag};
use coracle_trust::{Fault, Transport};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::frame::{Frame, Frames, words};
use crate::wire::{Accepts, Found, MAX_POSTED, MAX_REQUEST, Offset, Part, Post, Posted, Request, Status};
use crate::{http, time};

/// The longest wait until a file begins to come: a bit longer than the other half's own.
const BEGIN: Duration = Duration::from_secs(30);
/// What the other half gets beyond its own deadlines.
const MORE: Duration = Duration::from_secs(5);

/// The process that talks to servers.
#[derive(Debug, Clone)]
pub struct Remote {
    socket: Arc<PathBuf>,
}

/// The answer to a [`Post`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What the server said.
    pub status: u16,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The first 16 KiB of the body.
    pub body: Vec<u8>,
}

impl Default for Remote {
    fn default() -> Self {
        Self::new(paths::FETCH)
    }
}

impl Remote {
    /// The one that listens at that socket. Nothing is asked yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: Arc::new(socket.into()) }
    }

    /// The repository in that folder of a server, `http` or `https`.
    pub fn repository(&self, base: &str) -> Repository {
        Repository { remote: self.clone(), base: base.to_owned() }
    }

    /// Sends a request of the FleetLock protocol. Every answer of the server is one, whatever its status.
    pub async fn post(&self, post: Post) -> Result<Response, Error> {
        within(http::POST + MORE, async {
            let mut answer = self.ask(&Request::Post(post)).await?;
            let Posted { status, retry_after } = answer.words().await?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.data().await? {
                if body.len() + chunk.len() > MAX_POSTED {
                    return Err(Error::Frame { what: "more data than was asked for" });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Response { status, retry_after: retry_after.map(Duration::from_secs), body })
        })
        .await
    }

    /// The status with which an address answers a `GET`. Redirections are not followed.
    pub async fn probe_http(&self, url: &str) -> Result<u16, Error> {
        let request = Request::ProbeHttp { url: url.to_owned() };
        let Status { status } = self.only_words(http::PROBE + MORE, &request).await?;
        Ok(status)
    }

    /// Whether `HOST:PORT` takes a connection.
    pub async fn probe_tcp(&self, address: &str) -> Result<bool, Error> {
        let request = Request::ProbeTcp { address: address.to_owned() };
        let Accepts { accepts } = self.only_words(http::PROBE + MORE, &request).await?;
        Ok(accepts)
    }

    /// How far the clock is from the time that servers agree on: one to eight of them, `HOST` or `HOST:PORT`. `not_before` is a time
    /// that has passed, in Unix seconds. The clock is not set.
    pub async fn time(&self, servers: &[String], not_before: u64) -> Result<Offset, Error> {
        let request = Request::Time { servers: servers.to_vec(), not_before };
        self.only_words(time::ALL + MORE, &request).await
    }

    async fn only_words<T: DeserializeOwned>(&self, limit: Duration, request: &Request) -> Result<T, Error> {
        within(limit, async {
            let mut answer = self.ask(request).await?;
            let words = answer.words().await?;
            match answer.data().await? {
                None => Ok(words),
                Some(_) => Err(Error::Frame { what: "data that nobody asked for" }),
            }
        })
        .await
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Error> {
        let mut line = serde_json::to_vec(request).map_err(|source| Error::Words { source })?;
        line.push(b'\n');
        if line.len() > MAX_REQUEST {
            return Err(Error::Long { bytes: line.len() });
        }
        let stream = UnixStream::connect(&*self.socket).await;
        let mut stream =
            stream.map_err(|source| Error::Connect { socket: self.socket.to_path_buf(), source })?;
        stream.write_all(&line).await.map_err(|source| Error::Send { source })?;
        Ok(Answer { frames: Frames::new(stream), ended: false })
    }
}

/// One answer as it comes.
#[derive(Debug)]
struct Answer {
    frames: Frames<UnixStream>,
    ended: bool,
}

impl Answer {
    /// What it begins with.
    async fn words<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        match self.frames.next().await? {
            Frame::Answer(payload) => words(&payload),
            Frame::Fault(wrong) => Err(wrong.into()),
            Frame::Data(_) | Frame::End => Err(Error::Frame { what: "no answer before data or end" }),
        }
    }

    /// Bytes of the body; `None` at the end.
    async fn data(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ended {
            return Ok(None);
        }
        match self.frames.next().await? {
            Frame::Data(chunk) => Ok(Some(chunk)),
            Frame::End => {
                self.ended = true;
                Ok(None)
            }
            Frame::Fault(wrong) => Err(wrong.into()),
            Frame::Answer(_) => Err(Error::Frame { what: "a second answer" }),
        }
    }
}

/// [`Body`] sees to time and length.
#[async_trait]
impl Chunks for Answer {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.data().await?)
    }
}

/// A repository behind the other half.
#[derive(Debug, Clone)]
pub struct Repository {
    remote: Remote,
    base: String,
}

impl Repository {
    async fn get(
        &self,
        path: &Path,
        part: Option<Part>,
        tag: Option<&Tag>,
    ) -> Result<(Found, Answer), Fault> {
        let unless = tag.map(Tag::to_string);
        let request = Request::Get { base: self.base.clone(), path: path.to_string(), part, unless };
        let answer = within(BEGIN, async {
            let mut answer = self.remote.ask(&request).await?;
            let found: Found = answer.words().await?;
            if found.same && tag.is_none() {
                return Err(Error::Frame { what: "that a file is the same, though nobody asked" });
            }
            Ok((found, answer))
        });
        Ok(answer.await?)
    }
}

#[async_trait]
impl Transport for Repository {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        Ok(Body::open(self.get(path, None, None).await?.1))
    }

    async fn whole_unless(&self, path: &Path, tag: Option<&Tag>) -> Result<transport::Answer, Fault> {
        let (Found { same, tag }, answer) = self.get(path, None, tag).await?;
        Ok(match same {
            true => transport::Answer::Same,
            false => {
                transport::Answer::New { body: Body::open(answer), tag: tag.as_deref().and_then(Tag::new) }
            }
        })
    }

    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        let part = Part { from: bytes.start, to: bytes.end, len };
        let (_, answer) = self.get(path, Some(part), None).await?;
        Ok(Body::exactly(answer, bytes.end.saturating_sub(bytes.start)))
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, work).await.map_err(|_| Error::Late { within: limit })?
}
