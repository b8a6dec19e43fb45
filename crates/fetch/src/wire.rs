//! What the two halves say to each other.
//!
//! A Unix stream socket, a connection for each request. The agent sends one request and then nothing more; if anything comes, or the
//! connection ends, whatever is being done for it stops.
//!
//! **The request** is a [`Request`] as JSON on one line: at most [`MAX_REQUEST`] bytes, of which the last is `\n` (0x0a), and the only
//! one.
//!
//! **The answer** is frames, each at most [`MAX_FRAME`] bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | kind: `A`, `D`, `E` or `F` |
//! | 1 | 4 | length of the payload, little-endian: at most 65531, and at most [`MAX_WORDS`] in `A` and `F` |
//! | 5 | length | payload |
//!
//! | kind | payload | when |
//! |---|---|---|
//! | `A` (0x41) answer | JSON: see [`Request`] | first, if the answer is not `F` |
//! | `D` (0x44) data | bytes of a body, at least one | any number of them, after `A`; only for `get` and `post` |
//! | `E` (0x45) end | none | last: the answer is whole |
//! | `F` (0x46) fault | JSON: a [`Wrong`] | last, at any place: there is no answer, or no more of it |
//!
//! So an answer is `A D* E`, `A D* F` or `F`; a connection that ends otherwise broke. Texts in `F` have at most [`MAX_TEXT`] bytes.
//! JSON objects have no other keys than those named here: both halves are one program, of one version.

use std::time::Duration;

use coracle_trust::Fault;
use serde::{Deserialize, Serialize};

use crate::text;

/// The longest request, with its end of line.
pub const MAX_REQUEST: usize = 64 << 10;
/// The longest frame, with its head.
pub const MAX_FRAME: usize = 64 << 10;
/// The longest JSON of a frame.
pub const MAX_WORDS: usize = 8 << 10;
/// The longest text that says what went wrong.
pub const MAX_TEXT: usize = 512;
/// How much of a body comes back from a `post`.
pub const MAX_POSTED: usize = 16 << 10;
/// The most servers of a `time`.
pub const MAX_SERVERS: usize = 8;

/// What the agent asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A file of a repository; `A` is a [`Found`], `D` its bytes, unless it is the same.
    Get {
        /// The repository's folder on its server, `http` or `https`.
        base: String,
        /// `metadata/NAME` or `targets/NAME`.
        path: String,
        /// Not the whole file.
        part: Option<Part>,
        /// The whole file, unless it is still what this tag was given for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unless: Option<String>,
    },
    /// A request of the FleetLock protocol; `A` is [`Posted`], `D` the first [`MAX_POSTED`] bytes of the body.
    Post(Post),
    /// Whether an address answers a `GET`; `A` is a [`Status`].
    ProbeHttp {
        /// `http` or `https`.
        url: String,
    },
    /// Whether a port takes a connection; `A` is [`Accepts`].
    ProbeTcp {
        /// `HOST:PORT`.
        address: String,
    },
    /// What time it is; `A` is an [`Offset`].
    Time {
        /// `HOST` or `HOST:PORT`, one to [`MAX_SERVERS`].
        servers: Vec<String>,
        /// A time that has passed, in Unix seconds: that of the image's making.
        not_before: u64,
    },
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The first.
    pub from: u64,
    /// After the last.
    pub to: u64,
    /// How long the whole file is.
    pub len: u64,
}

/// A `POST`. No redirection is followed: that is an answer too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// `http` or `https`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: String,
}

/// The head of the answer to a [`Post`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// What the server said.
    pub status: u16,
    /// When it wants to be asked again, in seconds.
    pub retry_after: Option<u64>,
}

/// What a server said to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// A status code of HTTP.
    pub status: u16,
}

/// Whether a port takes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepts {
    /// It does.
    pub accepts: bool,
}

/// How far the clock is from the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// What to add to the system's clock, in nanoseconds.
    pub offset_ns: i64,
    /// How long the answer was on its way, there and back, in nanoseconds.
    pub delay_ns: u64,
    /// The server that said so, as it was named in the request.
    pub server: String,
    /// How many of the servers agree with it.
    pub agree: usize,
}

/// The `A` of a `get`. Both keys are left out where they say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Found {
    /// It is what the tag was given for: no `D` follows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same: bool,
    /// What the server calls it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Why there is no answer. The first nine are those of [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Fault")]
pub enum Wrong {
    /// [`Fault::Missing`].
    Missing {},
    /// [`Fault::Busy`]; seconds.
    Busy { status: u16, retry_after: Option<u64> },
    /// [`Fault::Status`].
    Status { status: u16 },
    /// [`Fault::Unreachable`], and what else has no word here.
    Unreachable { why: String },
    /// [`Fault::TooSlow`]; seconds.
    TooSlow { least: u64, within: u64 },
    /// [`Fault::TooLong`].
    TooLong { limit: u64 },
    /// [`Fault::TooShort`].
    TooShort { missing: u64 },
    /// [`Fault::NoParts`].
    NoParts {},
    /// [`Fault::OtherPart`].
    OtherPart { want: String, got: String },
    /// The request is not one, or asks for what nobody can do.
    Request { why: String },
    /// No server's answer to the question of the time can be used.
    NoTime { why: String },
    /// The servers do not agree on the time.
    Disagree { why: String },
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        let seconds = |time: Duration| time.as_secs();
        match fault {
            Fault::Missing => Self::Missing {},
            Fault::Busy { status, retry_after } => {
                Self::Busy { status, retry_after: retry_after.map(seconds) }
            }
            Fault::Status { status } => Self::Status { status },
            Fault::Unreachable { source } => Self::Unreachable { why: text::chain(&*source) },
            Fault::TooSlow { least, within } => Self::TooSlow { least, within: seconds(within) },
            Fault::TooLong { limit } => Self::TooLong { limit },
            Fault::TooShort { missing } => Self::TooShort { missing },
            Fault::NoParts => Self::NoParts {},
            Fault::OtherPart { want, got } => Self::OtherPart { want: text::cut(want), got: text::cut(got) },
            Fault::Name { .. } => Self::Request { why: text::chain(&fault) },
            other => Self::Unreachable { why: text::chain(&other) },
        }
    }
}
