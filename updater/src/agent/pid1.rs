//! Speaking with PID 1; the words are `coracle_layout::control`'s.

use std::path::PathBuf;
use std::time::Duration;

use coracle_layout::control::{self, Request, Status};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with, sockopt,
};

use super::Error;

/// PID 1 answers from its loop, at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where PID 1 listens.
#[derive(Debug, Clone)]
pub(crate) struct Pid1 {
    path: PathBuf,
}

impl Pid1 {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// How the machine stands.
    pub fn status(&self) -> Result<Status, Error> {
        self.ask(Request::Status)?.parse().map_err(Error::Status)
    }

    /// Has something done.
    pub fn order(&self, request: Request) -> Result<(), Error> {
        self.ask(request).map(drop)
    }

    fn ask(&self, request: Request) -> Result<String, Error> {
        let failed = |errno: rustix::io::Errno| Error::Pid1 { request, source: errno.into() };
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
        for side in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&socket, side, Some(PATIENCE)).map_err(failed)?;
        }
        connect(&socket, &SocketAddrUnix::new(&self.path).map_err(failed)?).map_err(failed)?;
        send(&socket, request.to_string().as_bytes(), SendFlags::NOSIGNAL).map_err(failed)?;
        let mut answer = vec![0; control::MAX_ANSWER];
        let (_, len) = recv(&socket, &mut answer, RecvFlags::empty()).map_err(failed)?;
        answer.truncate(len);
        let text = String::from_utf8_lossy(&answer);
        control::answer(&text)
            .map(str::to_owned)
            .map_err(|why| Error::Refused { request, why: why.to_owned() })
    }
}
