//! Taking requests: the half that faces the network.

mod desk;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coracle_layout::paths;
use coracle_trust::transport::BadServer;
use tokio::net;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use desk::Desk;

/// The most requests at once; others wait until they are connected.
pub const SLOTS: usize = 8;
/// How often in a row a connection may fail to be taken, and how long to wait after it did.
const FAILURES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// How servers are reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// The certificates, in PEM, of the authorities that a server's certificate may come from.
    pub authorities: Vec<u8>,
    /// What the machine calls itself.
    pub agent: String,
    /// The address of a proxy for repositories and FleetLock.
    pub proxy: Option<String>,
    /// The file that names the name servers.
    pub resolv_conf: PathBuf,
    /// Their port.
    pub dns_port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            agent: "coracle".to_owned(),
            proxy: None,
            resolv_conf: paths::RESOLV_CONF.into(),
            dns_port: 53,
        }
    }
}

/// Why no requests are taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No runtime.
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    /// The socket cannot be listened at.
    #[error("listen at the socket")]
    Listen(#[source] io::Error),
    /// The options do not hold.
    #[error("set up the clients")]
    Options(#[source] BadServer),
    /// Connections cannot be taken, again and again.
    #[error("take a connection")]
    Accept(#[source] io::Error),
}

/// Takes requests, and never ends but by an error.
pub fn serve(listener: UnixListener, options: Options) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(Error::Runtime)?.block_on(run(listener, options))
}

/// The same within a runtime.
pub async fn run(listener: UnixListener, options: Options) -> Result<(), Error> {
    listener.set_nonblocking(true).map_err(Error::Listen)?;
    let listener = net::UnixListener::from_std(listener).map_err(Error::Listen)?;
    let desk = Arc::new(Desk::new(options).map_err(Error::Options)?);
    let slots = Arc::new(Semaphore::new(SLOTS));
    let mut failures = 0;
    loop {
        // Nobody closes it.
        let Ok(slot) = slots.clone().acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                failures = 0;
                let desk = desk.clone();
                tokio::spawn(async move {
                    desk.talk(stream).await;
                    drop(slot);
                });
            }
            Err(source) if failures >= FAILURES => return Err(Error::Accept(source)),
            Err(_) => {
                failures += 1;
                sleep(PAUSE).await;
            }
        }
    }
}
