//! One connection: a request, and its answer as long as somebody waits for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use coracle_trust::transport::{Answer, BadServer, Body, Path, Tag};
use coracle_trust::{Fault, Transport as _};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::timeout;

use super::Options;
use crate::frame::{Kind, MAX_DATA, head};
use crate::http::Web;
use crate::names::Names;
use crate::text;
use crate::time;
use crate::wire::{Accepts, Found, MAX_REQUEST, Part, Request, Status, Wrong};

/// The longest wait for a request.
const REQUEST: Duration = Duration::from_secs(5);
/// The longest wait for the agent to take a frame: it may write to a slow disk meanwhile.
const FRAME: Duration = Duration::from_secs(120);

/// What every request is answered with.
#[derive(Debug)]
pub(super) struct Desk {
    names: Arc<Names>,
    web: Web,
}

/// Why an answer ends early.
enum Halt {
    /// The agent is to hear of it.
    Wrong(Wrong),
    /// It is gone, or does not listen.
    Agent,
}

impl Desk {
    pub(super) fn new(options: Options) -> Result<Self, BadServer> {
        let names = Arc::new(Names::new(&options.resolv_conf, options.dns_port));
        Ok(Self { web: Web::new(options, names.clone())?, names })
    }

    /// One request and its answer.
    pub(super) async fn talk(&self, stream: UnixStream) {
        let (mut from, to) = stream.into_split();
        let mut to = Reply(to);
        let answered = match request(&mut from).await {
            Ok(request) => tokio::select! {
                answered = self.answer(request, &mut to) => answered,
                // It says nothing more: if it does, or leaves, nobody waits for an answer.
                _ = from.read_u8() => Err(Halt::Agent),
            },
            Err(halt) => Err(halt),
        };
        if let Err(Halt::Wrong(wrong)) = answered {
            // Whoever is gone needs no fault.
            let _ = to.words(Kind::Fault, &wrong).await;
        }
    }

    async fn answer(&self, request: Request, to: &mut Reply) -> Result<(), Halt> {
        match request {
            Request::Get { base, path, part, unless } => {
                let (found, body) = self.get(&base, path, part, unless).await?;
                to.words(Kind::Answer, &found).await?;
                if let Some(mut body) = body {
                    while let Some(chunk) = body.chunk().await? {
                        to.data(chunk).await?;
                    }
                }
            }
            Request::Post(post) => {
                let (posted, body) = self.web.post(post).await?;
                to.words(Kind::Answer, &posted).await?;
                for chunk in body {
                    to.data(chunk).await?;
                }
            }
            Request::ProbeHttp { url } => {
                let status = self.web.probe(url).await?;
                to.words(Kind::Answer, &Status { status }).await?;
            }
            Request::ProbeTcp { address } => {
                let accepts = self.web.connects(&address).await?;
                to.words(Kind::Answer, &Accepts { accepts }).await?;
            }
            Request::Time { servers, not_before } => {
                let offset = time::ask(&self.names, servers, not_before).await?;
                to.words(Kind::Answer, &offset).await?;
            }
        }
        to.frame(Kind::End, &[]).await
    }

    async fn get(
        &self,
        base: &str,
        path: String,
        part: Option<Part>,
        unless: Option<String>,
    ) -> Result<(Found, Option<Body>), Halt> {
        let refused = |why: &str| Halt::from(Wrong::Request { why: why.to_owned() });
        let http = self.web.repository(base)?;
        let path = Path::new(&path).ok_or(Fault::Name { name: path })?;
        let tag =
            unless.map(|text| Tag::new(&text).ok_or_else(|| refused("the tag of a file"))).transpose()?;
        match (part, tag) {
            (None, tag) => Ok(match http.whole_unless(&path, tag.as_ref()).await? {
                Answer::Same => (Found { same: true, tag: None }, None),
                Answer::New { body, tag } => {
                    (Found { same: false, tag: tag.map(|tag| tag.to_string()) }, Some(body))
                }
            }),
            (Some(Part { from, to, len }), None) if from < to && to <= len => {
                Ok((Found::default(), Some(http.part(&path, from..to, len).await?)))
            }
            (Some(_), None) => Err(refused("a part that no file has")),
            (Some(_), Some(_)) => Err(refused("a part of what may be the same")),
        }
    }
}

/// One line, and that it is a request.
async fn request(from: &mut (impl AsyncRead + Unpin)) -> Result<Request, Halt> {
    let refused = |why: &dyn std::error::Error| Halt::from(Wrong::Request { why: text::chain(why) });
    let mut line = Vec::with_capacity(1024);
    let read = async {
        while line.last() != Some(&b'\n') {
            let left = MAX_REQUEST.saturating_sub(line.len());
            // What follows the line is of no interest: it ends the answer.
            if left == 0 || (&mut *from).take(left as u64).read_buf(&mut line).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line that does not end"));
            }
        }
        Ok(())
    };
    let read = timeout(REQUEST, read).await.map_err(|_| Halt::Agent)?;
    read.map_err(|error| refused(&error))?;
    serde_json::from_slice(&line).map_err(|error| refused(&error))
}

/// Where the answer goes.
struct Reply(OwnedWriteHalf);

impl Reply {
    async fn words(&mut self, kind: Kind, words: &impl Serialize) -> Result<(), Halt> {
        let words = serde_json::to_vec(words).map_err(|_| Halt::Agent)?;
        self.frame(kind, &words).await
    }

    async fn data(&mut self, chunk: Bytes) -> Result<(), Halt> {
        for piece in chunk.chunks(MAX_DATA) {
            self.frame(Kind::Data, piece).await?;
        }
        Ok(())
    }

    async fn frame(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Halt> {
        let head = head(kind, payload.len()).map_err(|_| Halt::Agent)?;
        let mut bytes = Buf::chain(head.as_slice(), payload);
        let written = timeout(FRAME, self.0.write_all_buf(&mut bytes)).await;
        written.map_err(|_| Halt::Agent)?.map_err(|_| Halt::Agent)
    }
}

impl From<Wrong> for Halt {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Wrong(fault.into())
    }
}
