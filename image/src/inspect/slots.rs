//! The two slots: which root hash each has, whether every block agrees with it, and what is in the root filesystem.

use std::path::Path;

use coracle_erofs::read as erofs;
use coracle_layout::{RootHash, Slot, paths};
use coracle_rollout::Settings;
use coracle_verity::{BLOCK, Block, Damage, Digest, SUPERBLOCK_LEN, Superblock, top_block_hash};

use super::report::{Fault, Faults, SlotContent, SlotFacts, UpdateFacts, chain};
use super::window::Window;

/// Damaged blocks that are named one by one; more of one slot are only counted.
const NAMED: usize = 16;
/// The longest settings of an updater, in bytes.
const MAX_SETTINGS: u64 = 1 << 20;

/// A slot that was looked at but not yet judged.
pub(super) struct Found<'a> {
    slot: Slot,
    root: Window<'a>,
    verity: Window<'a>,
    superblock: Option<Superblock>,
    /// The hash of the top block.
    pub root_hash: Option<RootHash>,
    content: SlotContent,
}

/// The label of the partition that holds a slot's data, and of the one with its tree.
fn places(slot: Slot) -> (&'static str, &'static str) {
    use coracle_layout::partition::Partition::{Root, Verity};
    (Root(slot).label(), Verity(slot).label())
}

/// Reads superblock and top block, which tell a slot's root hash.
pub(super) fn find<'a>(slot: Slot, root: Window<'a>, verity: Window<'a>, all: &mut Vec<Fault>) -> Found<'a> {
    let place = places(slot).1;
    let mut found =
        Found { slot, root, verity, superblock: None, root_hash: None, content: SlotContent::Damaged };
    let mut faults = Faults { place, all };
    match superblock(&found) {
        Err(what) => faults.add_at(0, what),
        Ok(Err(content)) => found.content = content,
        Ok(Ok(superblock)) => {
            match top_hash(&found, &superblock) {
                Ok(hash) => found.root_hash = Some(RootHash::new(hash)),
                Err(what) => faults.add(what),
            }
            found.superblock = Some(superblock);
        }
    }
    found
}

fn superblock(found: &Found<'_>) -> Result<Result<Superblock, SlotContent>, String> {
    let bytes = found.verity.bytes_at::<SUPERBLOCK_LEN>(0).map_err(|error| chain(&error))?;
    if bytes == [0; SUPERBLOCK_LEN] {
        let head: Block = found.root.bytes_at(0).map_err(|error| chain(&error))?;
        return Ok(Err(if head == [0; BLOCK] { SlotContent::Empty } else { SlotContent::Unsealed }));
    }
    let superblock = Superblock::parse(&bytes).map_err(|error| chain(&error))?;
    let (covered, present) = (superblock.data_blocks.get() * BLOCK as u64, found.root.len());
    if covered > present {
        return Err(format!("its tree covers {covered} bytes, the root partition has {present}"));
    }
    Ok(Ok(superblock))
}

fn top_hash(found: &Found<'_>, superblock: &Superblock) -> Result<Digest, String> {
    let block = match superblock.data_blocks.get() {
        1 => found.root.bytes_at(0),
        _ => found.verity.bytes_at(BLOCK as u64),
    };
    Ok(top_block_hash(superblock.salt.as_bytes(), &block.map_err(|error| chain(&error))?))
}

impl Found<'_> {
    /// Checks every block against `wanted`, or where no boot entry names this slot, against its own tree's top.
    pub fn judge(self, wanted: Option<RootHash>, all: &mut Vec<Fault>) -> SlotFacts {
        let before = all.len();
        let (mut names, mut update) = (None, None);
        if let Some(superblock) = &self.superblock {
            self.scan(superblock, wanted, all);
            (names, update) = self.list(superblock, all).unzip();
        }
        let content = match (&self.superblock, all.len() == before) {
            (Some(_), true) => SlotContent::Sound,
            (Some(_), false) => SlotContent::Damaged,
            (None, _) => self.content,
        };
        SlotFacts {
            slot: self.slot.to_string(),
            content,
            root_hash: self.root_hash.map(|hash| hash.to_string()),
            bytes: self.superblock.map_or(0, |superblock| superblock.data_blocks.get() * BLOCK as u64),
            names,
            update: update.flatten(),
        }
    }

    fn scan(&self, superblock: &Superblock, wanted: Option<RootHash>, all: &mut Vec<Fault>) {
        let (root_place, verity_place) = places(self.slot);
        let Some(target) = wanted.or(self.root_hash) else { return };
        let (mut count, blocks) = (0, superblock.data_blocks);
        let scanned = coracle_verity::scan(
            &mut self.root.clone(),
            &mut self.verity.clone(),
            target.as_bytes(),
            |damage| {
                count += 1;
                let in_data = matches!(damage, Damage::Data { .. }) || superblock.data_blocks.get() == 1;
                let place = if in_data { root_place } else { verity_place };
                let offset = if in_data && blocks.get() == 1 { 0 } else { damage.offset(blocks) };
                if count <= NAMED {
                    Faults { place, all }.add_at(offset, damage.to_string());
                }
            },
        );
        if count > NAMED {
            Faults { place: root_place, all }.add(format!("{} more blocks are damaged", count - NAMED));
        }
        if let Err(error) = scanned {
            Faults { place: root_place, all }.add(chain(&error));
        }
    }

    /// Lists the root filesystem, which must lie within what the tree covers: how many names, and what it follows.
    fn list(&self, superblock: &Superblock, all: &mut Vec<Fault>) -> Option<(usize, Option<UpdateFacts>)> {
        let mut faults = Faults { place: places(self.slot).0, all };
        let covered = self.root.head(superblock.data_blocks.get() * BLOCK as u64);
        let listed = erofs::Image::open(covered).and_then(|mut image| {
            let entries = image.entries(erofs::Limits::default())?;
            let path = Path::new(paths::UPDATE).join(paths::UPDATE_SETTINGS);
            let path = path.as_os_str().as_encoded_bytes();
            let settings = entries.iter().find(|entry| path.strip_prefix(b"/") == Some(&entry.path[..]));
            let settings = settings.map(|entry| image.content(entry, MAX_SETTINGS)).transpose()?.flatten();
            Ok((entries.len(), settings))
        });
        let (names, settings) = listed.map_err(|error| faults.add(chain(&error))).ok()?;
        let settings = settings.map(|bytes| Settings::parse(&bytes)).transpose();
        let settings = settings.map_err(|error| faults.add(chain(&error))).ok().flatten();
        let update = settings.map(|settings| UpdateFacts {
            channel: settings.line.channel.to_string(),
            repositories: settings.repositories,
        });
        Some((names, update))
    }
}
