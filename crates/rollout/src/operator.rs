//! What an operator and an agent say to each other: a line of JSON each way.
//!
//! | request | |
//! |---|---|
//! | `{"verb": "status"}` | tell how things stand |
//! | `{"verb": "check"}` | ask the repository now |
//! | `{"verb": "apply"}` | take what is offered, without waiting for wave, window and approval |
//! | `{"verb": "hold"}`, `{"verb": "unhold"}` | take nothing and do not reboot for an update; the opposite |
//! | `{"verb": "pin", "version": "1.4.0", "downgrade": "Refuse"}`, `{"verb": "unpin"}` | go to that version and stay; the opposite |
//! | `{"verb": "rollback"}` | boot what is in the other slot |
//! | `{"verb": "retry", "version": "1.4.1"}` | forget failures and the rejection of that version; without one, of all |
//!
//! The answer is `{"ok": REPORT}` or `{"error": "SENTENCE"}`.

use coracle_layout::OsVersion;
use serde::{Deserialize, Serialize};

use crate::{
    deny::Denial,
    machine::{Trouble, Verb},
    orders::{Downgrade, Orders, Pin},
    system::{Epoch, System},
    text,
    time::Time,
};

/// The longest request, in bytes, its line break included.
pub const MAX_REQUEST: usize = 4 << 10;
/// The longest answer, in bytes: a deny list that is full fits.
pub const MAX_ANSWER: usize = 1 << 20;

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// To know how things stand.
    Status,
    /// See [`Verb::Check`].
    Check,
    /// See [`Verb::Apply`].
    Apply,
    /// See [`Verb::Hold`].
    Hold,
    /// See [`Verb::Unhold`].
    Unhold,
    /// See [`Verb::Pin`].
    Pin {
        /// The version.
        #[serde(with = "text")]
        version: OsVersion,
        /// Whether it may be lower than what runs.
        downgrade: Downgrade,
    },
    /// See [`Verb::Unpin`].
    Unpin,
    /// See [`Verb::Rollback`].
    Rollback,
    /// See [`Verb::Retry`].
    Retry {
        /// Which version; absent: all.
        #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
        version: Option<OsVersion>,
    },
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was taken; so things stand now.
    Ok(Box<Report>),
    /// It was not, and this is why.
    Error(String),
}

/// How things stand on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What runs.
    pub running: System,
    /// In which slot: `A` or `B`.
    pub slot: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The state of its update, as `docs/update-state-machine.md` names it.
    pub state: String,
    /// What is being done or waited for.
    pub doing: String,
    /// Until when, where that is known.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// What the update leads to, if one is under way.
    pub update: Option<System>,
    /// The trouble that it had last.
    pub trouble: Option<Trouble>,
    /// What is in the other slot and could be booted.
    pub other: Option<System>,
    /// What was blessed last.
    pub confirmed: Option<System>,
    /// What the operator ordered.
    pub orders: Orders,
    /// What was rejected, the latest last.
    pub denied: Vec<Denial>,
    /// The repository.
    pub repository: Repository,
    /// What was fetched for the update under way, or the last one.
    pub traffic: Traffic,
    /// Whether this boot's health gates hold, and the first that does not.
    pub health: Option<String>,
    /// The most memory that the agent had resident since it began, in bytes; 0 where the kernel does not say.
    pub peak_memory: u64,
    /// The machine's time.
    #[serde(with = "text")]
    pub time: Time,
    /// Whether a time server has set it since the boot.
    pub time_is_sure: bool,
}

/// What is known of the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Which address is asked.
    pub address: String,
    /// When it answered last, since the agent started.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// When it is asked next.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// When the first part of its metadata expires.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Why the last question got no good answer.
    pub error: Option<String>,
}

/// Bytes of an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes that were fetched.
    pub fetched: u64,
    /// Bytes that the full files have.
    pub full: u64,
}

impl Request {
    /// What it means to the state machine; `None` for a question.
    pub fn verb(self) -> Option<Verb> {
        Some(match self {
            Self::Status => return None,
            Self::Check => Verb::Check,
            Self::Apply => Verb::Apply,
            Self::Hold => Verb::Hold,
            Self::Unhold => Verb::Unhold,
            Self::Pin { version, downgrade } => Verb::Pin(Pin { version, downgrade }),
            Self::Unpin => Verb::Unpin,
            Self::Rollback => Verb::Rollback,
            Self::Retry { version } => Verb::Retry(version),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_of_json() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        let version: OsVersion = "1.4.0".parse().unwrap();
        for (text, want) in [
            (r#"{"verb": "status"}"#, Request::Status),
            (
                r#"{"verb": "pin", "version": "1.4.0", "downgrade": "Allow"}"#,
                Request::Pin { version, downgrade: Downgrade::Allow },
            ),
            (r#"{"verb": "retry"}"#, Request::Retry { version: None }),
            (r#"{"verb": "retry", "version": "1.4.0"}"#, Request::Retry { version: Some(version) }),
        ] {
            let request = read(text).unwrap();
            assert_eq!(request, want);
            assert_eq!(read(&serde_json::to_string(&request).unwrap()).unwrap(), want);
        }
        for bad in [r#"{"verb": "reboot"}"#, r#"{"verb": "pin"}"#, r#"{"verb": "retry", "all": true}"#, "[]"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
