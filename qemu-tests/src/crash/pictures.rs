//! Which states of a disk are the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::{Loss, SECTOR, State};
use crate::writes::Event;

/// Tells states apart: the sum of a hash of each sector that is not as it was at first. The same bytes, the same sum, by
/// whatever writes.
pub(super) struct Pictures {
    /// Per event, its first sector and the hash of each.
    hashes: Vec<(u64, Vec<u128>)>,
    before: HashMap<u64, u128>,
    /// The sectors that the events before this one changed, and their sum.
    flushed: usize,
    owed: HashMap<u64, u128>,
    sum: u128,
}

impl Pictures {
    pub(super) fn new(events: &[Event<'_>], base: &File) -> io::Result<Self> {
        let mut before = HashMap::new();
        let mut hashes = Vec::new();
        for event in events {
            let mut written = (0, Vec::new());
            if let Event::Write { offset, bytes, .. } = event {
                written.0 = offset / SECTOR as u64;
                for (sector, bytes) in (written.0..).zip(bytes.chunks(SECTOR)) {
                    written.1.push(hash(sector, bytes));
                    if let Entry::Vacant(unknown) = before.entry(sector) {
                        let mut old = [0; SECTOR];
                        base.read_exact_at(&mut old, sector * SECTOR as u64)?;
                        unknown.insert(hash(sector, &old));
                    }
                }
            }
            hashes.push(written);
        }
        Ok(Self { hashes, before, flushed: 0, owed: HashMap::new(), sum: 0 })
    }

    /// The event before which everything is owed.
    pub(super) fn flushed(&self) -> usize {
        self.flushed
    }

    /// From now on everything before the event `flush` is owed.
    pub(super) fn flush(&mut self, events: &[Event<'_>], flush: usize) {
        let all = State::new(flush, Loss::Nothing);
        let (sum, changed) = self.look(&all, events);
        self.sum = sum;
        self.owed.extend(changed);
        self.flushed = flush;
    }

    /// The picture of a state.
    pub(super) fn of(&self, state: &State, events: &[Event<'_>]) -> u128 {
        self.look(state, events).0
    }

    /// The picture of a state, and the sectors that what is not owed changed in it.
    fn look(&self, state: &State, events: &[Event<'_>]) -> (u128, HashMap<u64, u128>) {
        let (mut sum, mut changed) = (self.sum, HashMap::new());
        for (event, part) in state.kept(events, self.flushed) {
            let (first, hashes) = &self.hashes[event];
            for (sector, hash) in (*first..).zip(hashes).skip(part.start).take(part.len()) {
                let known = changed.insert(sector, *hash).or_else(|| self.owed.get(&sector).copied());
                let old = known.unwrap_or_else(|| self.before[&sector]);
                sum = sum.wrapping_add(*hash).wrapping_sub(old);
            }
        }
        (sum, changed)
    }
}

fn hash(sector: u64, bytes: &[u8]) -> u128 {
    let digest = Sha256::new().chain_update(sector.to_le_bytes()).chain_update(bytes).finalize();
    digest.iter().take(16).fold(0, |value, byte| value << 8 | u128::from(*byte))
}
