//! How an image wants its machine kept up to date: what the builder writes into it and the agent reads, as JSON.
//!
//! Times are RFC 3339 in UTC, spans seconds. Whoever reads it trusts it: it is part of the verified root. An unknown field is an
//! error all the same, so that a builder and an agent that do not fit are noticed.

use std::time::Duration;

use coracle_layout::OsVersion;
use serde::{Deserialize, Serialize};

use crate::{label::Line, machine::Approval, system::Epoch, text, time::Time, window::Schedule};

pub mod check;

/// The longest settings, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// The most of each: addresses of the repository, gates.
pub const MAX_LISTED: usize = 16;
/// The most time servers: as many as are asked at a time.
pub const MAX_TIME_SERVERS: usize = 8;
/// The longest address, in bytes.
pub const MAX_ADDRESS: usize = 512;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The line of releases that the machine follows.
    pub line: Line,
    /// The image's epoch.
    pub epoch: Epoch,
    /// When it was made: no clock is believed that shows less.
    #[serde(with = "text")]
    pub built: Time,
    /// Where the repository is: `http` or `https` addresses of folders that have the same, at least one.
    pub repositories: Vec<String>,
    /// The highest version that the machine may have.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub max: Option<OsVersion>,
    /// When it may reboot.
    #[serde(default)]
    pub schedule: Schedule,
    /// Who decides that it does.
    #[serde(default)]
    pub approval: Approval,
    /// The least time from the beginning of one update to that of the next.
    pub min_between_seconds: u32,
    /// Its place in the waves, in thousandths of the fleet; absent: drawn for each version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_permille: Option<u16>,
    /// Who else has to agree to a reboot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Servers of the time, `HOST` or `HOST:PORT`; none: the machine's own clock is taken as it is.
    #[serde(default)]
    pub time_servers: Vec<String>,
    /// The server that HTTP requests go through, an `http` address; absent: straight to their servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// How a new system proves itself.
    pub health: Health,
}

/// Who else has to agree to a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lock {
    /// A server of the FleetLock protocol.
    FleetLock {
        /// Its address.
        url: String,
        /// The group that the machine is of.
        group: String,
    },
}

/// How a new system proves itself: within the boot's deadline all of it holds, for so long without a break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// For so long.
    pub stable_seconds: u32,
    /// Whether the repository has to answer.
    pub repository: Reach,
    /// What else has to hold.
    #[serde(default)]
    pub gates: Vec<Gate>,
}

/// Whether a server has to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Without it a new system is not good.
    #[default]
    Required,
    /// The machine may be where none is.
    Optional,
}

/// Something that has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// This address answers with status 200 to 399.
    Http(String),
    /// Something listens there, `ADDRESS:PORT`.
    Tcp(String),
    /// This file is there, on the host.
    File(String),
    /// This pod runs.
    Container(String),
}

/// Settings that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// Too many bytes.
    #[error("the settings have {got} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Their length.
        got: usize,
    },
    /// Not settings, by the field's path.
    #[error("{field}: not as it should be")]
    Field {
        /// Its path.
        field: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Out of range.
    #[error("{what}")]
    Range {
        /// What is, and what would be right.
        what: &'static str,
    },
}

impl Settings {
    /// Reads settings of at most [`MAX_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadSettings> {
        if bytes.len() > MAX_BYTES {
            return Err(BadSettings::TooLarge { got: bytes.len() });
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let settings: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            BadSettings::Field { field: error.path().to_string(), source: error.into_inner() }
        })?;
        reader.end().map_err(|source| BadSettings::Field { field: ".".to_owned(), source })?;
        settings.check()?;
        Ok(settings)
    }

    /// Writes them for people too.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BadSettings> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| BadSettings::Field { field: ".".to_owned(), source })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The least time from the beginning of one update to that of the next.
    pub fn min_between(&self) -> Duration {
        Duration::from_secs(self.min_between_seconds.into())
    }

    /// Whether all of it can be meant.
    pub fn check(&self) -> Result<(), BadSettings> {
        check::repositories(self.repositories.len())?;
        self.repositories.iter().try_for_each(|address| check::repository(address))?;
        check::time_servers(self.time_servers.len())?;
        self.time_servers.iter().try_for_each(|server| check::time_server(server))?;
        check::gates(self.health.gates.len())?;
        self.health.gates.iter().try_for_each(check::gate)?;
        self.schedule.windows.iter().try_for_each(check::window)?;
        self.schedule.blackouts.iter().try_for_each(check::blackout)?;
        self.lock.iter().try_for_each(check::lock)?;
        self.proxy.iter().try_for_each(|address| check::proxy(address))?;
        check::place(self.place_permille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"{
        "line": {"channel": "stable", "arch": "x86_64", "product": "hello"},
        "epoch": 0,
        "built": "2026-11-25T00:00:00Z",
        "repositories": ["https://updates.example.org/"],
        "min_between_seconds": 600,
        "health": {"stable_seconds": 60, "repository": "required"}
    }"#;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let mut settings = Settings::parse(SMALLEST.as_bytes()).unwrap();
        assert_eq!((settings.approval, settings.lock.clone()), (Approval::Automatic, None));
        settings.lock =
            Some(Lock::FleetLock { url: "https://lock.example.org/".to_owned(), group: "web".to_owned() });
        settings.health.gates =
            vec![Gate::Http("http://127.0.0.1:8080/".to_owned()), Gate::Container("web".to_owned())];
        settings.max = Some("1.9.0".parse().unwrap());
        assert_eq!(Settings::parse(&settings.to_bytes().unwrap()).unwrap(), settings);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let with = |from: &str, to: &str| {
            Settings::parse(SMALLEST.replace(from, to).as_bytes()).unwrap_err().to_string()
        };
        assert!(with("\"epoch\"", "\"epok\"").starts_with("epok"));
        assert_eq!(with("\"https://updates.example.org/\"", ""), "at least one repository");
        assert!(with("https://updates.example.org/", "a b").starts_with("a repository is"));
        let blackout = r#""schedule": {"blackouts": [{"from": "2026-12-27", "to": "2026-12-24"}]}, "epoch""#;
        assert_eq!(with("\"epoch\"", blackout), "a blackout ends on its first day or later");
        assert_eq!(with("\"epoch\"", "\"place_permille\": 1001, \"epoch\""), "a place is at most 1000");
        assert!(Settings::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
    }
}
