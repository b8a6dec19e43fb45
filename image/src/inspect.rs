//! `coracle inspect`: everything that an image says of itself, held against everything else that it says.
//!
//! | checked | by |
//! |---|---|
//! | both partition tables, the partitions of the layout | `table` |
//! | the EFI system partition, boot manager, UKIs and what they boot | `esp`, `payload` |
//! | the boot files' digests | `release`, if there is a `release.json` beside the image |
//! | a slot with the root hash of each UKI's command line | here |
//! | every block of each slot, its filesystem | `slots` |
//! | boot record, state filesystem's superblock | `state` |
//!
//! Nothing is stopped at: all faults come in one report. What no checksum covers is not judged: unused space, the free
//! clusters of the EFI system partition, the state filesystem behind its superblock (`e2fsck -f` reads that).

mod esp;
mod payload;
mod release;
mod report;
mod show;
mod slots;
mod source;
mod state;
mod table;
mod window;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use coracle_layout::partition::Partition;
use coracle_layout::{RootHash, Slot};

pub use release::RELEASE;
pub use report::{BootFacts, EntryFacts, Fault, PartitionFacts, Report, SlotContent, SlotFacts, StateFacts};
pub use source::{Form, decompress, form};

use report::Faults;
use table::Partitions;

/// The disk could not be had out of the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("open {}", path.display())]
    Open {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The zstd frame is damaged, or holds too much.
    #[error("decompress {}", path.display())]
    Decompress {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `qemu-img` did not start.
    #[error("read {} by qemu-img (Debian package qemu-utils)", path.display())]
    QemuImg {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `qemu-img` found no sound disk in it.
    #[error("read {}: {said}", path.display())]
    Convert {
        /// The image.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// There is no room for the raw disk.
    #[error("write the raw disk to a temporary file")]
    Temporary(#[source] io::Error),
}

/// Inspects an image of any form. Damage is no error but part of the report.
///
/// # Errors
/// The file cannot be read, or the container that holds the disk is damaged itself.
pub fn inspect(path: &Path) -> Result<Report, Error> {
    let disk = source::open(path)?;
    let mut report = Report {
        image: path.display().to_string(),
        format: disk.form.name(),
        file_bytes: disk.file_bytes,
        disk_bytes: disk.len,
        ..Report::default()
    };
    let mut faults = Vec::new();
    let table = table::read(&disk.raw, disk.len, &mut Faults { place: "gpt", all: &mut faults });
    if let Some(partitions) = table {
        report.disk_guid = Some(partitions.disk_guid());
        report.partitions = partitions.facts();
        look_inside(path, &partitions, &mut report, &mut faults);
    }
    report.faults = faults;
    Ok(report)
}

fn look_inside(path: &Path, partitions: &Partitions<'_>, report: &mut Report, all: &mut Vec<Fault>) {
    let window = |partition: Partition, all: &mut Vec<Fault>| {
        partitions.window(partition, &mut Faults { place: partition.label(), all })
    };
    if let Some(content) = window(Partition::Esp, all) {
        let faults = &mut Faults { place: Partition::Esp.label(), all };
        let esp = esp::read(content, faults);
        report.release_compared = release::compare(path, &esp.digests, faults);
        (report.loader, report.entries) = (esp.loader, esp.entries);
    }
    let mut found = Vec::new();
    for slot in Slot::BOTH {
        let parts = (window(Partition::Root(slot), all), window(Partition::Verity(slot), all));
        if let (Some(root), Some(verity)) = parts {
            found.push((slot, slots::find(slot, root, verity, all)));
        }
    }
    let present: Vec<_> = found.iter().map(|(slot, found)| (*slot, found.root_hash)).collect();
    let homeless = match_entries(&mut report.entries, &present, all);
    let named: BTreeSet<_> = report.entries.iter().filter_map(|entry| entry.slot.clone()).collect();
    for (slot, found) in found {
        // A slot that no entry names, and one entry without a slot: the damage is in the top of the tree.
        let wanted = homeless.filter(|_| !named.contains(&slot.to_string()));
        report.slots.push(found.judge(wanted, all));
    }
    let known: Vec<RootHash> =
        roots(&report.entries).chain(present.iter().filter_map(|(_, root)| *root)).collect();
    let known: Vec<RootHash> = known.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if let Some(content) = window(Partition::BootRecord, all) {
        let faults = &mut Faults { place: Partition::BootRecord.label(), all };
        report.boot_record = state::boot_record(&content, &known, faults);
    }
    if let Some(content) = window(Partition::State, all) {
        report.state = state::state(&content, &mut Faults { place: Partition::State.label(), all });
    }
}

fn roots(entries: &[EntryFacts]) -> impl Iterator<Item = RootHash> {
    entries.iter().filter_map(|entry| entry.root_hash.as_ref()?.parse().ok())
}

/// Finds each entry's slot by content. Gives the root hash that no slot has, if there is exactly one.
fn match_entries(
    entries: &mut [EntryFacts],
    present: &[(Slot, Option<RootHash>)],
    all: &mut Vec<Fault>,
) -> Option<RootHash> {
    let mut homeless = BTreeSet::new();
    for entry in entries {
        let Some(root) = roots(std::slice::from_ref(entry)).next() else { continue };
        match present.iter().find(|(_, hash)| *hash == Some(root)) {
            Some((slot, _)) => entry.slot = Some(slot.to_string()),
            None => {
                let mut faults = Faults { place: Partition::Esp.label(), all };
                faults.add(format!("{}: no slot has its root hash {root}", entry.path));
                homeless.insert(root);
            }
        }
    }
    homeless.first().copied().filter(|_| homeless.len() == 1)
}
