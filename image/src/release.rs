//! What a build says of its result: `release.json` and `summary.json`.

use std::collections::BTreeMap;

use serde::Serialize;

/// Name of the file that says what was built.
pub const RELEASE: &str = "release.json";
/// Name of the file that lists what was written.
pub const SUMMARY: &str = "summary.json";

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// The recipe's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub arch: &'static str,
    /// The moment that the image says it was made, in seconds since 1970.
    pub epoch: u64,
    /// Root hash of the root filesystem.
    pub root_hash: String,
    /// The kernel.
    pub kernel: Kernel,
    /// The signed part of the command line.
    pub cmdline: String,
    /// Digest of each program of the image, by path.
    pub programs: BTreeMap<String, String>,
    /// Embedded images.
    pub images: Vec<Image>,
    /// Services and pods that PID 1 starts, by name.
    pub services: Vec<String>,
    /// Embedded pods.
    pub pods: Vec<Pod>,
    /// Digest of each file on the EFI system partition, by path.
    pub boot_files: BTreeMap<String, String>,
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// Files written beside this one, by purpose.
    pub files: BTreeMap<&'static str, String>,
}

/// The kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// What `uname -r` says.
    pub release: String,
    /// `virtio` or `full`.
    pub profile: &'static str,
    /// SHA-256 of the source archive.
    pub source: String,
    /// SHA-256 of the kernel.
    pub sha256: String,
}

/// An embedded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// How pods name it.
    pub reference: String,
    /// Its manifest's digest.
    pub digest: String,
}

/// An embedded pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The image it runs.
    pub image: String,
}

/// A partition of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its label.
    pub label: &'static str,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// One written file, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
    /// The most it may have, where there is such a number.
    pub budget: Option<u64>,
}

/// What was written, and what in it has a budget; one object in `summary.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Every file, by name.
    #[serde(flatten)]
    pub files: BTreeMap<String, File>,
    /// `init`, the program, and `stage1.zst`, the first root as it would be compressed: what is inside the files.
    #[serde(flatten)]
    pub parts: BTreeMap<&'static str, File>,
}
