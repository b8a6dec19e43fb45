//! The channel manifest: what a publisher offers to one line of machines.
//!
//! JSON, signed as a target of the repository. Times are RFC 3339 in UTC, digests and root hashes 64 hexadecimal
//! digits, sizes bytes.
//!
//! **Growing.** `schema` changes when old readers must not read on. A field that a reader does not know is ignored,
//! unless the list `critical` names it (`barrier`, `waves.points`): then the manifest is refused by those who do not
//! know it. A release that old machines cannot reach directly has `min_from` and a stepping stone before it.

mod check;
mod error;
mod release;

use coracle_layout::OsVersion;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use release::{Delta, Files, OpsFile, Release, RootImage, UkiImage};

use crate::{
    label::{Label, Line},
    text,
};

/// The longest manifest, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most releases in one.
pub const MAX_RELEASES: usize = 64;
/// The most versions recalled.
pub const MAX_RECALLED: usize = 256;
/// The most deltas of one release.
pub const MAX_DELTAS: usize = 16;
/// The most points of one ramp.
pub const MAX_POINTS: usize = 32;
/// The longest header of an ops file, in bytes.
pub const MAX_HEADER_BYTES: u64 = 4 << 20;
/// The largest UKI, in bytes: the ESP's size.
pub const MAX_UKI_BYTES: u64 = 512 << 20;
/// The longest address of release notes, in bytes.
pub const MAX_NOTES: usize = 512;

/// The form of this module's types.
const SCHEMA: u32 = 1;
/// Every field that is honoured here, by its path without indices: what `critical` may name.
const KNOWN: &[&str] = &[
    "arch",
    "channel",
    "paused",
    "product",
    "recalled",
    "releases",
    "releases.barrier",
    "releases.deltas",
    "releases.epoch",
    "releases.full",
    "releases.min_from",
    "releases.notes",
    "releases.root",
    "releases.root.min_slot_bytes",
    "releases.uki",
    "releases.version",
    "releases.waves",
    "releases.waves.points",
    "releases.waves.start",
    "security_floor",
];

/// What a channel offers. Read by [`Manifest::parse`] and written by [`Manifest::to_bytes`], which check the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How eager the line is: `stable`, `beta`.
    #[serde(with = "text")]
    pub channel: Label,
    /// The processor architecture.
    #[serde(with = "text")]
    pub arch: Label,
    /// The image's name.
    #[serde(with = "text")]
    pub product: Label,
    /// Nothing is started, and no machine reboots for an update.
    #[serde(default)]
    pub paused: bool,
    /// Versions that must not be installed any more, nor booted where they are staged.
    #[serde(default, with = "text::list")]
    pub recalled: Vec<OsVersion>,
    /// The lowest version that may be installed, even when an operator asks.
    #[serde(with = "text")]
    pub security_floor: OsVersion,
    /// The releases, the lowest version first.
    pub releases: Vec<Release>,
}

/// What decides whether the rest may be read.
#[derive(Deserialize)]
struct Head {
    schema: u32,
    #[serde(default)]
    critical: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

impl Manifest {
    /// Reads a manifest of at most [`MAX_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::TooLarge { got: bytes.len(), limit: MAX_BYTES });
        }
        let head: Head = read(bytes)?;
        if head.schema != SCHEMA {
            return Err(Error::Schema { got: head.schema });
        }
        if let Some(name) = head.critical.into_iter().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(Error::Critical { name });
        }
        let manifest: Self = read(bytes)?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// Writes it for people too: one field a line.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        check::manifest(self)?;
        let mut bytes = serde_json::to_vec_pretty(&Document { schema: SCHEMA, manifest: self })
            .map_err(|source| Error::Field { field: String::new(), source })?;
        bytes.push(b'\n');
        if bytes.len() > MAX_BYTES {
            return Err(Error::TooLarge { got: bytes.len(), limit: MAX_BYTES });
        }
        Ok(bytes)
    }

    /// The line of releases that this is the manifest of.
    pub fn line(&self) -> Line {
        Line { channel: self.channel.clone(), arch: self.arch.clone(), product: self.product.clone() }
    }
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Error::Field { field: error.path().to_string(), source: error.into_inner() })?;
    reader.end().map_err(|source| Error::Field { field: ".".to_owned(), source })?;
    Ok(value)
}

#[cfg(test)]
mod tests;
