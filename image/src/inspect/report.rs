//! What an inspection says: facts, and faults.

use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;

/// Everything that was found. Its JSON form is what `coracle inspect --json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The inspected file.
    pub image: String,
    /// `raw`, `raw.zst`, `qcow2`, `vmdk` or `vhd`.
    pub format: &'static str,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the disk that it holds.
    pub disk_bytes: u64,
    /// Which disk it is.
    pub disk_guid: Option<String>,
    /// The partition table.
    pub partitions: Vec<PartitionFacts>,
    /// The boot manager, as it calls itself.
    pub loader: Option<String>,
    /// Unified kernel images on the EFI system partition.
    pub entries: Vec<EntryFacts>,
    /// The two places of a root filesystem.
    pub slots: Vec<SlotFacts>,
    /// What the boot record knows of boots so far.
    pub boot_record: Vec<BootFacts>,
    /// The state filesystem.
    pub state: Option<StateFacts>,
    /// Whether the boot files were held against the `release.json` beside the image.
    pub release_compared: bool,
    /// What is wrong. Empty: all that can be checked holds.
    pub faults: Vec<Fault>,
}

/// One partition.
#[derive(Debug, Serialize)]
pub struct PartitionFacts {
    /// Its number.
    pub number: u32,
    /// Its label.
    pub label: String,
    /// First byte.
    pub start: u64,
    /// How many.
    pub bytes: u64,
    /// Its own identifier.
    pub guid: String,
}

/// One UKI.
#[derive(Debug, Default, Serialize)]
pub struct EntryFacts {
    /// Path on the EFI system partition.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
    /// The version of the operating system, from its os-release.
    pub version: Option<String>,
    /// `good`, `bad` or `indeterminate`, from its name.
    pub assessment: Option<&'static str>,
    /// The kernel, as it calls itself.
    pub kernel: Option<String>,
    /// The root hash on its command line.
    pub root_hash: Option<String>,
    /// The slot that has this root hash.
    pub slot: Option<String>,
    /// The whole command line.
    pub command_line: Option<String>,
    /// Whether it carries a signature; which is not checked.
    pub signed: bool,
    /// Its sections and their sizes.
    pub sections: Vec<(String, u64)>,
}

/// One slot.
#[derive(Debug, Serialize)]
pub struct SlotFacts {
    /// `A` or `B`.
    pub slot: String,
    /// What is in it.
    pub content: SlotContent,
    /// The root hash of its tree.
    pub root_hash: Option<String>,
    /// Bytes that the tree covers.
    pub bytes: u64,
    /// Names in its root filesystem.
    pub names: Option<usize>,
    /// What it follows, if it keeps itself up to date.
    pub update: Option<UpdateFacts>,
}

/// Whence a root takes its successors.
#[derive(Debug, Serialize)]
pub struct UpdateFacts {
    /// The channel.
    pub channel: String,
    /// Addresses, in the order in which they are asked.
    pub repositories: Vec<String>,
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotContent {
    /// Zeros.
    Empty,
    /// Something without a verity superblock: half written, or emptied by an update.
    Unsealed,
    /// A root filesystem whose every block agrees with its tree.
    Sound,
    /// Something that is not what it should be.
    Damaged,
}

/// A root in the boot record.
#[derive(Debug, Serialize)]
pub struct BootFacts {
    /// Its root hash.
    pub root_hash: String,
    /// Boots begun since the last good end.
    pub attempts: u16,
    /// Of these, the ones that left evidence of a failure.
    pub evidenced: u16,
    /// Why the last one failed.
    pub failure: Option<String>,
}

/// The state filesystem.
#[derive(Debug, Serialize)]
pub struct StateFacts {
    /// Its label.
    pub label: String,
    /// Its identifier.
    pub uuid: String,
    /// Its size.
    pub bytes: u64,
    /// Whether its journal is to be replayed at the next mount.
    pub needs_replay: bool,
}

/// Something that is wrong, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The partition's label, `gpt`, or the file itself.
    pub place: String,
    /// Bytes from the start of the partition; of the disk for `gpt`.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Faults of one place as they are found.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    pub place: &'a str,
    pub all: &'a mut Vec<Fault>,
}

impl Faults<'_> {
    /// Something is wrong with the whole.
    pub fn add(&mut self, what: impl Into<String>) {
        self.all.push(Fault { place: self.place.to_owned(), offset: None, what: what.into() });
    }

    /// Something is wrong at a place.
    pub fn add_at(&mut self, offset: u64, what: impl Into<String>) {
        self.all.push(Fault { place: self.place.to_owned(), offset: Some(offset), what: what.into() });
    }
}

/// An error and its causes in one line. A cause whose words are in the line already is left out.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}
