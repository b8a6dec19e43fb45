//! An ops file on a server, as something to read.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use coracle_ops::{Digest, Header, Prologue};
use coracle_rollout::Trusted;
use coracle_rollout::machine::Trouble;
use coracle_rollout::manifest::{MAX_HEADER_BYTES, OpsFile};
use coracle_trust::transport::{Body, Fault, Path, Transport};
use coracle_trust::{Repository, Target};
use tokio::runtime::Runtime;

use super::Error;
use crate::slot::Bodies;

/// Says that what is under way is not wanted any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A server, and how to wait for it.
#[derive(Debug)]
pub(crate) struct Server {
    pub transport: Arc<dyn Transport>,
    pub runtime: Runtime,
    pub stop: Stop,
    /// Bytes that came, over everything that is fetched for one update.
    pub fetched: Arc<AtomicU64>,
}

/// An ops file that the repository lists.
#[derive(Debug)]
pub(crate) struct Download<'s> {
    server: &'s Server,
    path: Path,
    bytes: u64,
    /// What the last request met; the reader can only say that there was something.
    pub fault: Option<Fault>,
}

impl<'s> Download<'s> {
    pub fn new(server: &'s Server, repository: &Repository, file: &OpsFile) -> Result<Self, Error> {
        let target: Trusted<Target> = repository.ops(file).map_err(|error| Error::Trust(Box::new(error)))?;
        let path = target.path().ok_or(Error::Fact { name: "the place of a target" })?;
        Ok(Self { server, path, bytes: file.bytes, fault: None })
    }

    /// The header, which the manifest vouches for; from `kept` if it is that.
    pub fn header(&mut self, file: &OpsFile, kept: Option<&[u8]>) -> Result<(Header, Vec<u8>), Error> {
        let trusted: Digest = *file.header_sha256.as_bytes();
        if let Some(header) = kept.and_then(|bytes| Header::parse(bytes, &trusted).ok()) {
            return Ok((header, kept.unwrap_or_default().to_vec()));
        }
        if !(Prologue::LEN as u64..=MAX_HEADER_BYTES.min(file.bytes)).contains(&file.header_bytes) {
            return Err(Error::Ops(coracle_ops::Error::Truncated));
        }
        let mut bytes = Vec::new();
        let reader = self.open(0..file.header_bytes);
        let read = reader.and_then(|reader| reader.take(file.header_bytes).read_to_end(&mut bytes));
        if let Err(error) = read {
            return Err(self.failed(error));
        }
        let header = Header::parse(&bytes, &trusted).map_err(Error::Ops)?;
        Ok((header, bytes))
    }

    /// What became of a request, once a reader has failed.
    pub fn failed(&mut self, error: io::Error) -> Error {
        match self.fault.take() {
            Some(fault) => Error::Fetch { file: self.path.to_string(), source: fault },
            None => Error::Stopped { source: error },
        }
    }

    fn open(&mut self, bytes: Range<u64>) -> io::Result<Reader<'_>> {
        let Self { server, path, bytes: len, fault } = self;
        let transport = &server.transport;
        let part = server.runtime.block_on(transport.part(path, bytes.clone(), *len));
        let (body, skip) = match part {
            Ok(body) => (Ok(body), 0),
            // A plain server: what comes before is passed over.
            Err(Fault::NoParts) => (server.runtime.block_on(transport.whole(path)), bytes.start),
            Err(other) => (Err(other), 0),
        };
        match body {
            Ok(body) => Ok(Reader {
                server,
                body,
                left: bytes.end - bytes.start,
                skip,
                chunk: Vec::new(),
                at: 0,
                fault,
            }),
            Err(error) => {
                *fault = Some(error);
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }
}

impl Bodies for Download<'_> {
    fn range(&mut self, bytes: Range<u64>) -> io::Result<impl Read> {
        self.open(bytes)
    }
}

/// Bytes as they come.
struct Reader<'d> {
    server: &'d Server,
    body: Body,
    /// How many are wanted.
    left: u64,
    /// How many come before them.
    skip: u64,
    chunk: Vec<u8>,
    at: usize,
    fault: &'d mut Option<Fault>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.chunk.len() && self.left > 0 {
            if self.server.stop.is_wanted() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let chunk = match self.server.runtime.block_on(self.body.chunk()) {
                Ok(chunk) => chunk,
                Err(fault) => {
                    *self.fault = Some(fault);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            };
            let Some(chunk) = chunk else {
                *self.fault = Some(Fault::TooShort { missing: self.left });
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.server.fetched.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            let before = self.skip.min(chunk.len() as u64);
            self.skip -= before;
            self.chunk.clear();
            self.chunk.extend_from_slice(chunk.get(before as usize..).unwrap_or_default());
            self.at = 0;
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer.iter_mut().zip(rest).take(count).for_each(|(to, from)| *to = *from);
        (self.at, self.left) = (self.at + count, self.left - count as u64);
        Ok(count)
    }
}

/// What a fault means for the update.
pub(crate) fn trouble(fault: &Fault) -> Trouble {
    match fault {
        Fault::Missing | Fault::Name { .. } => Trouble::Missing,
        Fault::Busy { retry_after, .. } => Trouble::Unreachable { retry_after: *retry_after },
        Fault::OtherPart { .. } => Trouble::Corrupt,
        _ => Trouble::Unreachable { retry_after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_trust::transport::Folder;

    fn server(folder: &std::path::Path) -> Server {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Server {
            transport: Arc::new(Folder::new(folder)),
            runtime,
            stop: Stop::default(),
            fetched: Arc::default(),
        }
    }

    #[test]
    fn a_part_is_read_to_its_end_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("targets")).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        std::fs::write(folder.path().join("targets/x"), &bytes).unwrap();
        let server = server(folder.path());
        let mut download =
            Download { server: &server, path: Path::new("targets/x").unwrap(), bytes: 200_000, fault: None };
        let mut got = Vec::new();
        download.range(1000..150_000).unwrap().read_to_end(&mut got).unwrap();
        assert!(got == bytes[1000..150_000]);
        assert_eq!(server.fetched.load(Ordering::Relaxed), 149_000);

        server.stop.now();
        let stopped = download.range(0..10).unwrap().read(&mut [0; 10]).unwrap_err();
        assert!(matches!(download.failed(stopped), Error::Stopped { .. }));
        download.path = Path::new("targets/y").unwrap();
        let missing = download.range(0..10).map(drop).unwrap_err();
        assert!(matches!(download.failed(missing), Error::Fetch { source: Fault::Missing, .. }));
    }
}
