//! One release: what it is and the files that bring it.

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    label::TargetName,
    system::{Epoch, System},
    text,
    waves::Waves,
};

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    #[serde(with = "text")]
    pub version: OsVersion,
    /// Never lower than that of an earlier version.
    pub epoch: Epoch,
    /// A stepping stone: no machine goes past it without having run it.
    #[serde(default)]
    pub barrier: bool,
    /// The oldest version that may come here in one step; absent: any.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub min_from: Option<OsVersion>,
    /// Where people read about it: an `https` address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The root filesystem.
    pub root: RootImage,
    /// The kernel with everything that is signed with it.
    pub uki: UkiImage,
    /// What brings it to a machine of any version.
    pub full: Files,
    /// What brings it to a machine of one other version.
    #[serde(default)]
    pub deltas: Vec<Delta>,
    /// Who gets it when; absent: everybody at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Waves>,
}

/// A root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootImage {
    /// The root hash of its verity tree, which is built on the machine.
    #[serde(with = "text")]
    pub hash: RootHash,
    /// Its size: whole blocks of 4096 bytes.
    pub bytes: u64,
    /// The least size of a slot that holds it.
    pub min_slot_bytes: u64,
}

/// A unified kernel image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UkiImage {
    /// Digest of the whole file.
    #[serde(with = "text")]
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
}

/// The two files that bring a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Operations that make the root filesystem.
    pub root: OpsFile,
    /// Operations that make the UKI.
    pub uki: OpsFile,
}

/// A file of operations. Its header is trusted by its digest, and has the digest of everything after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpsFile {
    /// Its name in the repository.
    #[serde(with = "text")]
    pub target: TargetName,
    /// Its size.
    pub bytes: u64,
    /// The size of its header, from byte 0.
    pub header_bytes: u64,
    /// Digest of the header.
    #[serde(with = "text")]
    pub header_sha256: Digest,
}

/// What turns one other release into this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The version that must be running.
    #[serde(with = "text")]
    pub from: OsVersion,
    /// And its root.
    #[serde(with = "text")]
    pub from_root: RootHash,
    /// What brings the release from there.
    pub files: Files,
}

impl Release {
    /// What it is.
    pub fn system(&self) -> System {
        System { version: self.version, root: self.root.hash }
    }
}
