//! What the updater says to PID 1, and what PID 1 answers: packets of text on a `SOCK_SEQPACKET` socket at [`paths::CONTROL`],
//! one request each, one answer each.
//!
//! | request | what PID 1 does | answer |
//! |---|---|---|
//! | `status` | nothing | `ok`, then a [`Status`], a fact a line |
//! | `good` | takes this boot as proved: its deadline is off, the boot record cleared | `ok` |
//! | `drain` | asks every pod to end, and kills it after its grace | `ok`, at once |
//! | `undrain` | starts the pods again | `ok`, at once |
//! | `failed` | takes this boot as failed: notes so in the boot record, then as `reboot` | `ok`, before it does |
//! | `reboot` | shuts down in order and reboots | `ok`, before it does |
//!
//! Anything else is answered `error`, a space and a sentence; so is what cannot be done: `good` while the state partition is
//! missing, and all but `status` while the machine is going down. A packet of no bytes is the end of the connection.
//!
//! [`paths::CONTROL`]: crate::paths::CONTROL

use std::{fmt, str::FromStr};

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 16;
/// The longest answer, in bytes: what the kernel takes as one packet while its limits are its own, and more than two full
/// folders of start plans come to.
pub const MAX_ANSWER: usize = 192 << 10;

/// What the updater may want of PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// How it stands.
    Status,
    /// This boot is proved.
    Good,
    /// The pods shall end.
    Drain,
    /// They shall run again.
    Undrain,
    /// This boot does not prove itself: the machine shall reboot.
    Failed,
    /// The machine shall reboot.
    Reboot,
}

/// How a machine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where `/var` is.
    pub state: State,
    /// Whether this boot has proved itself.
    pub assessment: Assessment,
    /// Services and pods.
    pub units: Vec<Unit>,
}

/// Where `/var` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On its partition.
    Mounted,
    /// In memory, since the partition could not be used. The pods run.
    Volatile,
    /// The same, and the pods are held.
    Recovery,
}

/// Whether a boot has proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assessment {
    /// Not yet.
    Pending,
    /// It has.
    Good,
    /// Its deadline went by.
    Missed,
}

/// A service or a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Whose it is.
    pub kind: Kind,
    /// Its name, without spaces.
    pub name: String,
    /// What it is doing.
    pub phase: Phase,
    /// For how long, in whole seconds; of one that waits to be started again, 0.
    pub seconds: u64,
}

/// Whose a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host's.
    Service,
    /// The recipe's.
    Pod,
}

/// What a unit is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is about to be started, the first time or again.
    Waiting,
    /// It runs.
    Running,
    /// It was asked to end.
    Stopping,
    /// It came to a good end by itself, and is not started again.
    Done,
    /// It is gone, and is not started again.
    Ended,
}

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}")]
pub struct BadText {
    what: &'static str,
}

/// One spelling for each value, used both ways.
macro_rules! spelled { ($type:ident, $what:literal, $($value:ident = $text:literal),* $(,)?) => {
    impl fmt::Display for $type {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self { $(Self::$value => $text),* })
        }
    }

    impl FromStr for $type {
        type Err = BadText;

        fn from_str(text: &str) -> Result<Self, BadText> {
            match text {
                $($text => Ok(Self::$value),)*
                _ => Err(BadText { what: $what }),
            }
        }
    }
} }

spelled!(
    Request,
    "a request",
    Status = "status",
    Good = "good",
    Drain = "drain",
    Undrain = "undrain",
    Failed = "failed",
    Reboot = "reboot",
);
spelled!(State, "a state", Mounted = "mounted", Volatile = "volatile", Recovery = "recovery");
spelled!(Assessment, "an assessment", Pending = "pending", Good = "good", Missed = "missed");
spelled!(Kind, "a kind of unit", Service = "service", Pod = "pod");
spelled!(
    Phase,
    "a phase",
    Waiting = "waiting",
    Running = "running",
    Stopping = "stopping",
    Done = "done",
    Ended = "ended",
);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state {}\nassessment {}\n", self.state, self.assessment)?;
        self.units
            .iter()
            .try_for_each(|unit| writeln!(f, "{} {} {} {}", unit.kind, unit.phase, unit.seconds, unit.name))
    }
}

impl FromStr for Status {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bad = || BadText { what: "a status" };
        let mut lines = text.lines();
        let mut fact = |key| lines.next().and_then(|line| line.strip_prefix(key)).ok_or_else(bad);
        let (state, assessment) = (fact("state ")?.parse()?, fact("assessment ")?.parse()?);
        let unit = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().ok_or_else(bad);
            let (kind, phase) = (word()?.parse()?, word()?.parse()?);
            let seconds = word()?.parse().map_err(|_| bad())?;
            Ok(Unit { kind, phase, seconds, name: word()?.to_owned() })
        };
        Ok(Self { state, assessment, units: lines.map(unit).collect::<Result<_, BadText>>()? })
    }
}

/// The answer to a request that was done.
pub fn ok(text: &dyn fmt::Display) -> String {
    format!("ok\n{text}")
}

/// The answer to one that was not.
pub fn error(why: &dyn fmt::Display) -> String {
    format!("error {why}")
}

/// What follows `ok` in an answer; what follows `error` as an error.
pub fn answer(text: &str) -> Result<&str, &str> {
    match (text.strip_prefix("ok\n"), text.strip_prefix("error ")) {
        (Some(rest), _) => Ok(rest),
        (None, Some(why)) => Err(why),
        (None, None) => Err("an answer that is none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let unit = |kind, name: &str, phase, seconds| Unit { kind, name: name.to_owned(), phase, seconds };
        let status = Status {
            state: State::Mounted,
            assessment: Assessment::Pending,
            units: vec![
                unit(Kind::Service, "netd", Phase::Running, 61),
                unit(Kind::Pod, "web", Phase::Waiting, 0),
            ],
        };
        let text = status.to_string();
        assert_eq!(text, "state mounted\nassessment pending\nservice running 61 netd\npod waiting 0 web\n");
        assert_eq!(answer(&ok(&status)).unwrap().parse(), Ok(status));
        for bad in ["", "state mounted", "state x\nassessment good", &text.replace("61", "-1"), "\n\n"] {
            assert!(bad.parse::<Status>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_status_fits() {
        let unit =
            Unit { kind: Kind::Service, name: "n".repeat(128), phase: Phase::Stopping, seconds: u64::MAX };
        let units = vec![unit; 2 * crate::paths::MAX_PLANS];
        let status = Status { state: State::Recovery, assessment: Assessment::Pending, units };
        assert!(ok(&status).len() <= MAX_ANSWER);
    }

    #[test]
    fn requests_have_one_spelling_and_fit() {
        for request in [
            Request::Status,
            Request::Good,
            Request::Drain,
            Request::Undrain,
            Request::Failed,
            Request::Reboot,
        ] {
            let text = request.to_string();
            assert!(text.len() <= MAX_REQUEST);
            assert_eq!(text.parse(), Ok(request));
        }
        assert!("Status".parse::<Request>().is_err() && "".parse::<Request>().is_err());
        assert_eq!((answer("error no"), answer("hm")), (Err("no"), Err("an answer that is none")));
    }
}
