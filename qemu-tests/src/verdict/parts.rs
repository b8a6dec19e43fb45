//! What is found in each part of a disk.

use std::io::{Read as _, Seek as _, SeekFrom};

use coracle_fat::read::{Image as Volume, Kind, Limits};
use coracle_gpt::{SectorSize, check_both};
use coracle_layout::boot_record::{BootRecord, COPY_LEN, COPY_STRIDE};
use coracle_layout::partition::Partition;
use coracle_layout::{RootHash, Slot, VERITY_SALT};
use coracle_loader as loader;
use coracle_verity::{BLOCK, Block, SUPERBLOCK_LEN, Superblock, top_block_hash, verify};
use sha2::{Digest as _, Sha256};

use super::{Found, Judge};
use crate::esp::{FOLDER, is_found_by_content};
use crate::overlay::Overlay;

/// No file on an ESP of ours is longer.
const MAX_FILE: u64 = 1 << 26;
/// The one that may be made anew, and what it is made of; it is not there before the first boot has come to a good end.
const FALLBACK: &str = "EFI/coracle/fallback.efi";
/// What files have while they are being made.
const UNFINISHED: [&str; 2] = [".tmp", ".new"];

impl Judge<'_> {
    pub(super) fn table(&self, disk: &Overlay<'_>) -> Found {
        let len = self.extents.len;
        let both = check_both(&mut disk.window(0..len), len, SectorSize::B512).expect("a readable table");
        assert!(both.is_sound(), "{both:?}");
        Found::Sound
    }

    pub(super) fn record(&self, disk: &Overlay<'_>) -> Found {
        let start = self.extents.of(Partition::BootRecord).start;
        let copies = [0, COPY_STRIDE].map(|offset| {
            let mut copy = [0; COPY_LEN];
            disk.read_exact_at(&mut copy, start + offset).expect("the boot record");
            copy
        });
        let record = BootRecord::choose(&copies[0], &copies[1]);
        assert!(record.entry(&self.releases[0].root).is_some(), "the boot record has forgotten: {record:?}");
        Found::Sound
    }

    /// The entries, after a look at everything else.
    pub(super) fn esp(&self, disk: &Overlay<'_>) -> Found {
        let files = self.files(disk);
        for (path, want) in &self.fixed {
            let found = files.iter().find(|(of, _)| of == path);
            assert!(found.is_some_and(|(_, bytes)| digest(bytes) == *want), "{path} is not as it was");
        }
        if let Some((_, bytes)) = files.iter().find(|(path, _)| path == FALLBACK) {
            assert!(
                self.releases.iter().any(|release| release.uki == digest(bytes)),
                "the fallback is not whole"
            );
        } else {
            panic!("the fallback is gone");
        }
        let in_folder = |path: &str| path.strip_prefix(FOLDER)?.strip_prefix('/').map(str::to_owned);
        let entries = files.iter().filter_map(|(path, bytes)| Some(self.entry(in_folder(path)?, bytes)));
        Found::Entries(entries.collect())
    }

    /// Files that an update has no business with.
    pub(super) fn other_files(&self, disk: &Overlay<'_>) -> Vec<(String, [u8; 32])> {
        let is_other = |path: &str| path != FALLBACK && !path.starts_with(FOLDER);
        let files = self.files(disk).into_iter().filter(|(path, _)| is_other(path));
        files.map(|(path, bytes)| (path, digest(&bytes))).collect()
    }

    fn files(&self, disk: &Overlay<'_>) -> Vec<(String, Vec<u8>)> {
        let extent = self.extents.of(Partition::Esp);
        let len = extent.end - extent.start;
        let mut volume = Volume::open(disk.window(extent), len).expect("a volume");
        let listing = volume.list(Limits::default());
        for fault in &listing.faults {
            assert!(is_found_by_content(fault), "{fault}");
        }
        let files = listing.entries.into_iter().filter(|entry| {
            entry.kind != Kind::Folder && !UNFINISHED.iter().any(|suffix| entry.path.ends_with(suffix))
        });
        files.map(|entry| (entry.path.clone(), volume.content(&entry, MAX_FILE).expect("a file"))).collect()
    }

    /// A file that is not whole is taken for the worst: the boot manager lists it and the firmware refuses it.
    fn entry(&self, name: String, bytes: &[u8]) -> loader::File {
        let own = digest(bytes);
        let content = match self.releases.iter().find(|release| release.uki == own) {
            Some(release) => loader::Content::Whole(release.facts.clone()),
            None if bytes.is_empty() => loader::Content::Nothing,
            None => {
                let named = self.releases.iter().find(|release| name.contains(&release.version));
                loader::Content::Refused(named.expect("an entry of a release").facts.clone())
            }
        };
        loader::File { name, content }
    }

    /// As stage 1 finds it (`init/src/stage1/slots.rs`), and then every block.
    pub(super) fn slot(&self, slot: Slot, disk: &Overlay<'_>) -> Found {
        let mut tree = disk.window(self.extents.of(Partition::Verity(slot)));
        let mut data = disk.window(self.extents.of(Partition::Root(slot)));
        let (mut superblock, mut top): ([u8; SUPERBLOCK_LEN], Block) = ([0; SUPERBLOCK_LEN], [0; BLOCK]);
        tree.read_exact(&mut superblock).expect("a superblock");
        tree.seek(SeekFrom::Start(BLOCK as u64)).expect("the top block");
        tree.read_exact(&mut top).expect("the top block");
        let is_ours = |found: &Superblock| found.salt.as_bytes() == VERITY_SALT;
        let Some(found) = Superblock::parse(&superblock).ok().filter(is_ours) else {
            return Found::Root(None);
        };
        let root = top_block_hash(found.salt.as_bytes(), &top);
        let sound = verify(&mut data, &mut tree, &root).is_ok();
        Found::Root(Some((RootHash::new(root), sound)))
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
