//! Why there is no answer.

use std::{io, path::PathBuf, time::Duration};

use coracle_trust::Fault;

use crate::text;
use crate::wire::Wrong;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket of the process that talks to servers.
    #[error("connect to {socket:?}")]
    Connect {
        /// Where it is.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The request could not be sent.
    #[error("send the request")]
    Send {
        /// Why not.
        source: io::Error,
    },
    /// The request is longer than the other half takes.
    #[error("a request of {bytes} bytes is too long")]
    Long {
        /// How long it is.
        bytes: usize,
    },
    /// The answer could not be read.
    #[error("read the answer")]
    Read {
        /// Why not.
        source: io::Error,
    },
    /// The other half ended the connection before its answer was whole.
    #[error("the process that talks to servers is gone")]
    Gone,
    /// Nothing came in time.
    #[error("the process that talks to servers is silent for {} s", within.as_secs())]
    Late {
        /// In which time.
        within: Duration,
    },
    /// What came is not a frame, or not one for this place.
    #[error("the process that talks to servers sent {what}")]
    Frame {
        /// What came.
        what: &'static str,
    },
    /// What came is not what is said at this place.
    #[error("the process that talks to servers sent other words")]
    Words {
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// The other half does not understand the request.
    #[error("the request was refused: {why}")]
    Refused {
        /// What it says.
        why: String,
    },
    /// The server's fault.
    #[error("ask the server")]
    Server(#[source] Fault),
    /// No server's answer to the question of the time can be used.
    #[error("no server says what time it is: {why}")]
    NoTime {
        /// What each said.
        why: String,
    },
    /// The servers do not agree on the time.
    #[error("the servers do not agree on the time: {why}")]
    Disagree {
        /// What each said.
        why: String,
    },
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        let fault = match wrong {
            Wrong::Missing {} => Fault::Missing,
            Wrong::Busy { status, retry_after } => {
                Fault::Busy { status, retry_after: retry_after.map(Duration::from_secs) }
            }
            Wrong::Status { status } => Fault::Status { status },
            Wrong::Unreachable { why } => Fault::Unreachable { source: text::cut(why).into() },
            Wrong::TooSlow { least, within } => Fault::TooSlow { least, within: Duration::from_secs(within) },
            Wrong::TooLong { limit } => Fault::TooLong { limit },
            Wrong::TooShort { missing } => Fault::TooShort { missing },
            Wrong::NoParts {} => Fault::NoParts,
            Wrong::OtherPart { want, got } => Fault::OtherPart { want: text::cut(want), got: text::cut(got) },
            Wrong::Request { why } => return Self::Refused { why: text::cut(why) },
            Wrong::NoTime { why } => return Self::NoTime { why: text::cut(why) },
            Wrong::Disagree { why } => return Self::Disagree { why: text::cut(why) },
        };
        Self::Server(fault)
    }
}

/// For who knows servers only: this half's own troubles are no answer.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(fault) => fault,
            other => Self::Unreachable { source: Box::new(other) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_arrive_as_they_left() {
        let faults = || {
            [
                Fault::Missing,
                Fault::Busy { status: 429, retry_after: Some(Duration::from_secs(7)) },
                Fault::Busy { status: 503, retry_after: None },
                Fault::Status { status: 500 },
                Fault::Unreachable { source: "no route".into() },
                Fault::TooSlow { least: 65536, within: Duration::from_secs(16) },
                Fault::TooLong { limit: 10 },
                Fault::TooShort { missing: 3 },
                Fault::NoParts,
                Fault::OtherPart { want: "bytes 0-1/2".to_owned(), got: "x".to_owned() },
            ]
        };
        for (sent, want) in faults().into_iter().zip(faults()) {
            let json = serde_json::to_vec(&Wrong::from(sent)).unwrap();
            let came: Wrong = serde_json::from_slice(&json).unwrap();
            assert_eq!(format!("{:?}", Fault::from(Error::from(came))), format!("{want:?}"));
        }
    }

    #[test]
    fn long_texts_are_cut_on_either_side() {
        let long = || "ü\"\\\u{1}".repeat(1000);
        let sent = Wrong::from(Fault::OtherPart { want: long(), got: long() });
        assert!(serde_json::to_vec(&sent).unwrap().len() <= crate::wire::MAX_WORDS);
        let Fault::OtherPart { got, .. } =
            Fault::from(Error::from(Wrong::OtherPart { want: long(), got: long() }))
        else {
            panic!("another fault");
        };
        assert!(got.len() <= 512);
    }
}
