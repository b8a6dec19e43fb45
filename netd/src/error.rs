//! What this program cannot go on without, and what it can.

use std::{io, path::PathBuf};

use nix::errno::Errno;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("usage: netd [--root FOLDER] [INTERFACE...]: {word:?} is not the name of an interface")]
    Argument { word: String },
    #[error("usage: netd [--root FOLDER] [INTERFACE...]: --root without a folder")]
    NoRoot,
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("another netd holds {}", path.display())]
    Held { path: PathBuf },
    #[error("lock {}", path.display())]
    Lock { path: PathBuf, source: Errno },
    #[error("open route netlink")]
    Netlink(#[source] coracle_netlink::Error),
    #[error("wait for events")]
    Poll(#[source] Errno),
    #[error("open a packet socket")]
    Packet(#[source] coracle_fence::Error),
    #[error("{operation} on port 68")]
    Udp { operation: &'static str, source: Errno },
    #[error("send a packet")]
    Send(#[source] Errno),
    #[error("ask for random bytes")]
    Random(#[source] rustix::io::Errno),
}
