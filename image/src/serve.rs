//! A folder over HTTP/1.1, for trying a repository: files, ranges, conditions, and nothing else.
//!
//! | module | what it knows |
//! |---|---|
//! | `head` | the head of a request |
//! | `answer` | which bytes of a file a request gets |
//! | `files` | which files there are |
//! | `connection` | one connection, with deadlines |

mod answer;
mod connection;
mod files;
mod head;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::Error as Failed;
use connection::{Timed, converse};
use files::Files;

/// The most connections at once; more are closed.
const CONNECTIONS: usize = 64;
/// What a thread may take: a handshake needs the most.
const STACK: usize = 1 << 20;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of TLS is not PEM, or not of that kind.
    #[error("{} has no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not serve.
    #[error("set up TLS with that certificate and key")]
    Tls(#[from] rustls::Error),
    /// A file or folder cannot be read.
    #[error(transparent)]
    File(#[from] Failed),
}

/// What is served, and how.
#[derive(Debug)]
pub struct Server {
    files: Files,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    /// A server of a folder; with the files of a certificate and its key, by TLS.
    pub fn new(folder: &Path, tls: Option<(&Path, &Path)>) -> Result<Self, Error> {
        let tls = tls.map(|(certificate, key)| config(certificate, key)).transpose()?;
        Ok(Self { files: Files::open(folder)?, tls: tls.map(Arc::new) })
    }

    /// What addresses of it begin with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves for ever. `log` gets one line a request.
    pub fn run(self, listener: &TcpListener, log: fn(&str)) -> ! {
        let (server, open) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: others will be closed.
                    log(&format!("no connection: {error}"));
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            let place = Place::new(&open);
            if place.number > CONNECTIONS {
                log("too many connections: one closed");
                continue;
            }
            let server = Arc::clone(&server);
            let talk = move || {
                let _place = place;
                server.talk(stream, log);
            };
            if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(talk) {
                log(&format!("no connection: {error}"));
            }
        }
    }

    fn talk(&self, stream: TcpStream, log: fn(&str)) {
        let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |peer| peer.ip().to_string());
        let mut line = |request: &str, status: u16, sent: u64| {
            let shown: String = request.chars().take(300).collect();
            log(&format!("{peer} {} {status} {sent}", shown.escape_debug()));
        };
        let timed = Timed::new(stream);
        let done = match &self.tls {
            None => converse(&mut { timed }, &self.files, &mut line),
            Some(config) => match rustls::ServerConnection::new(Arc::clone(config)) {
                Ok(tls) => converse(&mut rustls::StreamOwned::new(tls, timed), &self.files, &mut line),
                Err(error) => Err(std::io::Error::other(error)),
            },
        };
        // That a client goes away, or is silent between two requests, is how connections end.
        if let Err(error) = done
            && !matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock)
        {
            log(&format!("{peer} connection lost: {error}"));
        }
    }
}

/// A place among the connections, free again when it is dropped.
struct Place {
    open: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        Self { open: Arc::clone(open), number: open.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, Error> {
    let read = |path: &Path| fs::read(path).map_err(Failed::file("read", path));
    let refused = |path: &Path, what| {
        let path = path.to_owned();
        move |source| Error::Pem { path, what, source }
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(refused(certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(refused(key, "private key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(chain, key)?)
}
