//! Asking a machine's update agent over the socket that its hypervisor made for it.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use coracle_rollout::operator::{Answer, MAX_ANSWER, Request};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, one that broke, or nothing came in time ([`ErrorKind::WouldBlock`], [`ErrorKind::TimedOut`]).
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// Not an answer of an agent.
    #[error(transparent)]
    Answer(#[from] serde_json::Error),
}

/// Asks an agent, and waits for its answer, which may say no.
///
/// # Errors
/// [`Error`].
pub fn ask(socket: &Path, request: Request, patience: Duration) -> Result<Answer, Error> {
    let mut stream = UnixStream::connect(socket)?;
    forget(&mut stream)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_ANSWER as u64).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

/// What was answered to somebody who did not wait for it.
fn forget(stream: &mut UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut old = [0; 4096];
    loop {
        match stream.read(&mut old) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    stream.set_nonblocking(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let agent = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(b"{\"error\": \"not now\"}\n").unwrap();
            line
        });
        let answer = ask(&path, Request::Hold, Duration::from_secs(30)).unwrap();
        assert_eq!(answer, Answer::Error("not now".to_owned()));
        assert_eq!(agent.join().unwrap(), "{\"verb\":\"hold\"}\n");
        let silent = UnixListener::bind(folder.path().join("silent")).unwrap();
        let nothing = ask(&folder.path().join("silent"), Request::Status, Duration::from_millis(50));
        assert!(matches!(nothing, Err(Error::Socket(error)) if error.kind() == ErrorKind::WouldBlock));
        drop(silent);
    }
}
