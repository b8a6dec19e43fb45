//! A machine's update agent, asked over the machine's own socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_rollout::operator::Answer;
pub use coracle_rollout::operator::{Report, Request, Traffic};

use crate::{Deadline, Error, Machine};

/// An agent that is there answers within this; one that is not may miss the question.
const ANSWER: Duration = Duration::from_secs(4);
/// An order is asked once, and may have to wait for what the agent is at.
const ORDER: Duration = Duration::from_secs(60);
/// How long a machine may take until it has an agent.
const PATIENCE: u64 = 180;

/// Who gives orders to the agent of a machine that has [`Config::operator`](crate::Config::operator).
#[derive(Debug, Clone)]
pub struct Operator {
    socket: PathBuf,
}

impl Operator {
    /// That of a machine as it runs now: after its retry or another start there is another.
    pub fn of(machine: &Machine) -> Self {
        Self { socket: machine.operator() }
    }

    /// Asks as soon as there is an agent, which may be after a boot; an order is given once.
    ///
    /// # Errors
    /// [`Error::Operator`] if none answers, [`Error::Refused`] if it does not do it.
    pub fn ask(&self, request: Request) -> Result<Report, Error> {
        let deadline = Deadline::seconds(PATIENCE);
        loop {
            match ask(&self.socket, Request::Status, ANSWER) {
                Ok(Answer::Ok(report)) if request == Request::Status => return Ok(*report),
                Ok(Answer::Ok(_)) => break,
                Ok(Answer::Error(why)) => return Err(Error::Refused { request: Request::Status, why }),
                Err(_) if deadline.pause() => {}
                Err(source) => return Err(Error::Operator { socket: self.socket.clone(), source }),
            }
        }
        self.ask_within(request, ORDER)
    }

    /// Asks once, of an agent that is there, and waits no longer for its answer.
    ///
    /// # Errors
    /// [`Error::Operator`], [`Error::Refused`].
    pub fn ask_within(&self, request: Request, patience: Duration) -> Result<Report, Error> {
        match ask(&self.socket, request, patience) {
            Ok(Answer::Ok(report)) => Ok(*report),
            Ok(Answer::Error(why)) => Err(Error::Refused { request, why }),
            Err(source) => Err(Error::Operator { socket: self.socket.clone(), source }),
        }
    }

    /// Asks for the status, again and again, until it is as wanted.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask), and [`Error::Timeout`] with the last report.
    pub fn wait_until(&self, wanted: impl Fn(&Report) -> bool, deadline: Deadline) -> Result<Report, Error> {
        loop {
            let report = self.ask(Request::Status)?;
            if wanted(&report) {
                return Ok(report);
            }
            if !deadline.pause() {
                let (pattern, tail) = ("the status that is wanted".to_owned(), format!("{report:#?}"));
                return Err(Error::Timeout { pattern, waited: deadline.waited(), tail });
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn ask(socket: &Path, request: Request, patience: Duration) -> io::Result<Answer> {
    coracle_operator::ask(socket, request, patience).map_err(|error| match error {
        coracle_operator::Error::Socket(source) => source,
        coracle_operator::Error::Answer(source) => source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    fn answered_with(answer: &'static str) -> Result<Report, Error> {
        let folder = tempfile::tempdir().unwrap();
        let operator = Operator { socket: folder.path().join("socket") };
        let listener = UnixListener::bind(&operator.socket).unwrap();
        let agent = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            line
        });
        let report = operator.ask_within(Request::Hold, Duration::from_secs(5));
        assert_eq!(agent.join().unwrap(), "{\"verb\":\"hold\"}\n");
        report
    }

    #[test]
    fn a_refusal_and_nonsense_are_told_apart() {
        let refused = answered_with("{\"error\": \"not now\"}\n").unwrap_err();
        assert!(matches!(&refused, Error::Refused { why, .. } if why == "not now"), "{refused:?}");
        assert!(matches!(answered_with("hello\n").unwrap_err(), Error::Operator { .. }));
        assert!(matches!(answered_with("").unwrap_err(), Error::Operator { .. }));
    }
}
