//! A machine's update agent, asked over the socket that its hypervisor made for it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_operator::Error as Asked;
use coracle_rollout::operator::{Answer, Report, Request};

/// The agent answers from its loop; a machine that has just booted has none yet.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or one that broke.
    #[error("ask the machine at {}", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody answered in time: the machine is down, or has no updater.
    #[error("no answer from the machine at {} within {} s: does it run, and has its image an [update] section?", socket.display(), PATIENCE.as_secs())]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// Not an answer of an agent.
    #[error("the machine at {} answered something else", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: serde_json::Error,
    },
    /// The agent does not do it.
    #[error("{0}")]
    Refused(String),
}

/// Asks an agent, and waits for its answer.
///
/// # Errors
/// [`Error`].
pub fn ask(socket: &Path, request: Request) -> Result<Report, Error> {
    let socket_of = || socket.to_owned();
    let answer = coracle_operator::ask(socket, request, PATIENCE).map_err(|error| match error {
        Asked::Socket(source) if matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Error::Silent { socket: socket_of() }
        }
        Asked::Socket(source) => Error::Socket { socket: socket_of(), source },
        Asked::Answer(source) => Error::Answer { socket: socket_of(), source },
    })?;
    match answer {
        Answer::Ok(report) => Ok(*report),
        Answer::Error(why) => Err(Error::Refused(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    fn answered_with(answer: &'static str) -> Result<Report, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let agent = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            line
        });
        let report = ask(&path, Request::Hold);
        assert_eq!(agent.join().unwrap(), "{\"verb\":\"hold\"}\n");
        report
    }

    #[test]
    fn a_refusal_and_nonsense_are_told_apart() {
        let refused = answered_with("{\"error\": \"not now\"}\n").unwrap_err();
        assert!(matches!(&refused, Error::Refused(why) if why == "not now"), "{refused:?}");
        assert!(matches!(answered_with("hello\n").unwrap_err(), Error::Answer { .. }));
        assert!(matches!(answered_with("").unwrap_err(), Error::Answer { .. }));
        let gone = ask(Path::new("/nonexistent/socket"), Request::Status).unwrap_err();
        assert!(gone.to_string().starts_with("ask the machine at"), "{gone}");
    }
}
