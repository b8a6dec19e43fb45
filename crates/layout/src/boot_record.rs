//! The boot record: what is known of boots that did not come to a good end.
//!
//! Stage 1 counts an attempt before it hands over; PID 1 takes it back when the boot proves healthy. What left evidence stays counted
//! until a boot has lasted, or the machine is shut down in order: a block that rots may be read late. The partition holds two copies, at byte 0 and at byte [`COPY_STRIDE`], written
//! alternately: a write that is cut short leaves the older copy, which is one event behind and never garbage.
//!
//! One copy is one 512-byte sector, little endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `CORABOOT` |
//! | 8 | 4 | format, 1 |
//! | 12 | 8 | sequence number; the higher valid copy counts |
//! | 20 | 4 | number of entries, at most [`MAX_ENTRIES`] |
//! | 24 | 4 × 104 | entries, the most recently touched first; the unused ones are zero |
//! | 440 | 68 | zero |
//! | 508 | 4 | CRC-32 (IEEE) of bytes 0 to 507 |
//!
//! One entry:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 32 | root hash |
//! | 32 | 2 | attempts since the last good end, without those that proved healthy and left no evidence after all |
//! | 34 | 2 | of these, the ones that left evidence of a failure |
//! | 36 | 1 | [`Evidence`] of the last failure, 0 for none |
//! | 37 | 1 | length of the reason, at most [`MAX_REASON`] |
//! | 38 | 66 | reason, UTF-8, then zeros |

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use crate::RootHash;

/// Bytes from the first copy to the second: apart by one physical sector of any disk in use.
pub const COPY_STRIDE: u64 = 4096;
/// Bytes of one copy.
pub const COPY_LEN: usize = 512;
/// Root hashes remembered: two slots, and what they held before.
pub const MAX_ENTRIES: usize = 4;
/// Bytes of the longest reason; a longer one is cut at a character.
pub const MAX_REASON: usize = 66;

/// Attempts with evidence of a failure after which an entry without a boot counter counts as rotten.
pub const ATTEMPTS_WITH_EVIDENCE: u16 = 3;
/// Attempts without any after which it does: cut power alone is not a bad release.
pub const ATTEMPTS_WITHOUT: u16 = 6;

/// CRC-32 (IEEE) without a table: the inputs are short, and a table would be as long as what reads them.
const CRC32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
const MAGIC: [u8; 8] = *b"CORABOOT";
const FORMAT: u32 = 1;
const ENTRIES_AT: usize = 24;
const ENTRY_LEN: usize = 104;
const REASON_AT: usize = 38;
const CRC_AT: usize = COPY_LEN - 4;

const _: () = assert!(ENTRIES_AT + MAX_ENTRIES * ENTRY_LEN <= CRC_AT);
const _: () = assert!(REASON_AT + MAX_REASON == ENTRY_LEN);

/// Where the proof of a failed boot came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Stage 1 gave up and said why.
    Stage1 = 1,
    /// The kernel left a crash record in pstore.
    Pstore = 2,
    /// The watchdog's status says that it fired.
    Watchdog = 3,
    /// PID 1 ended it: it did not prove itself in time.
    Deadline = 4,
    /// Something that a newer system knows.
    Other = 255,
}

/// What is known of one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The root that was booted.
    pub root: RootHash,
    /// Boots begun since the last one that came to a good end, without those that settled.
    pub attempts: u16,
    /// Of these, the ones that left evidence of a failure.
    pub evidenced: u16,
    /// The last failure and its reason.
    pub failure: Option<(Evidence, String)>,
}

/// The record of all roots that were tried lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootRecord {
    sequence: u64,
    entries: Vec<Entry>,
}

/// The place of the next write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Bytes from the start of the partition.
    pub offset: u64,
    /// One sector.
    pub bytes: [u8; COPY_LEN],
}

impl BootRecord {
    /// Chooses the newer valid copy. Where none is valid, as on a new disk, nothing is known yet: a record.
    pub fn choose(first: &[u8; COPY_LEN], second: &[u8; COPY_LEN]) -> Self {
        match (decode(first), decode(second)) {
            (Some(a), Some(b)) => {
                if a.sequence >= b.sequence {
                    a
                } else {
                    b
                }
            }
            (a, b) => a.or(b).unwrap_or_default(),
        }
    }

    /// What is known of `root`.
    pub fn entry(&self, root: &RootHash) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.root == *root)
    }

    /// What was touched last: the root of the last boot, until the next one begins.
    pub fn latest(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// Counts a boot of `root` that has just begun. Drops what was touched longest ago when there is no room.
    pub fn begin(&mut self, root: RootHash) {
        let entry = self.touch(root);
        entry.attempts = entry.attempts.saturating_add(1);
    }

    /// Notes that a boot of `root` has failed, and how that is known. One that had settled counts again.
    pub fn fail(&mut self, root: RootHash, evidence: Evidence, reason: &str) {
        let entry = self.touch(root);
        entry.evidenced = entry.evidenced.saturating_add(1);
        entry.attempts = entry.attempts.max(entry.evidenced);
        entry.failure = Some((evidence, cut(reason).to_owned()));
    }

    /// Notes that the boot of `root` proved healthy. Earlier ones that left evidence still count.
    pub fn settle(&mut self, root: RootHash) {
        let entry = self.touch(root);
        entry.attempts = entry.evidenced;
    }

    /// Notes that the boot of `root` came to a good end. The reason of the last failure stays, to be reported.
    pub fn good(&mut self, root: RootHash) {
        let entry = self.touch(root);
        (entry.attempts, entry.evidenced) = (0, 0);
    }

    /// Forgets `root`.
    pub fn forget(&mut self, root: &RootHash) {
        self.entries.retain(|entry| entry.root != *root);
    }

    /// Whether `root` failed so often that another good entry should be booted in its place.
    pub fn is_rotten(&self, root: &RootHash) -> bool {
        self.entry(root).is_some_and(|entry| {
            entry.evidenced >= ATTEMPTS_WITH_EVIDENCE || entry.attempts >= ATTEMPTS_WITHOUT
        })
    }

    /// The next write: the copy that is not the newest, with the next sequence number.
    pub fn next_write(&mut self) -> Write {
        self.sequence = self.sequence.wrapping_add(1);
        Write { offset: (self.sequence & 1) * COPY_STRIDE, bytes: encode(self) }
    }

    fn touch(&mut self, root: RootHash) -> &mut Entry {
        match self.entries.iter().position(|entry| entry.root == root) {
            Some(index) => self.entries[..=index].rotate_right(1),
            None => {
                self.entries.truncate(MAX_ENTRIES - 1);
                self.entries.insert(0, Entry { root, attempts: 0, evidenced: 0, failure: None });
            }
        }
        &mut self.entries[0]
    }
}

/// The longest start of `reason` that fits and ends at a character.
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON)]
}

fn encode(record: &BootRecord) -> [u8; COPY_LEN] {
    let mut sector = [0; COPY_LEN];
    sector[..8].copy_from_slice(&MAGIC);
    sector[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    sector[12..20].copy_from_slice(&record.sequence.to_le_bytes());
    sector[20..24].copy_from_slice(&(record.entries.len() as u32).to_le_bytes());
    for (entry, bytes) in record.entries.iter().zip(sector[ENTRIES_AT..].chunks_exact_mut(ENTRY_LEN)) {
        bytes[..32].copy_from_slice(entry.root.as_bytes());
        bytes[32..34].copy_from_slice(&entry.attempts.to_le_bytes());
        bytes[34..36].copy_from_slice(&entry.evidenced.to_le_bytes());
        if let Some((evidence, reason)) = &entry.failure {
            bytes[36] = *evidence as u8;
            bytes[37] = reason.len() as u8;
            bytes[REASON_AT..][..reason.len()].copy_from_slice(reason.as_bytes());
        }
    }
    let crc = CRC32.checksum(&sector[..CRC_AT]);
    sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    sector
}

/// `None` for anything that [`encode`] did not write.
fn decode(sector: &[u8; COPY_LEN]) -> Option<BootRecord> {
    let crc = u32::from_le_bytes(*sector.last_chunk()?);
    let (magic, rest) = sector.split_first_chunk::<8>()?;
    let (format, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (count, _) = rest.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let known = *magic == MAGIC && u32::from_le_bytes(*format) == FORMAT && count <= MAX_ENTRIES;
    if !known || CRC32.checksum(sector.get(..CRC_AT)?) != crc {
        return None;
    }
    let entries = sector.get(ENTRIES_AT..)?.chunks_exact(ENTRY_LEN).take(count).map(decode_entry);
    Some(BootRecord { sequence: u64::from_le_bytes(*sequence), entries: entries.collect::<Option<_>>()? })
}

fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let (root, rest) = bytes.split_first_chunk::<32>()?;
    let (attempts, rest) = rest.split_first_chunk::<2>()?;
    let (evidenced, rest) = rest.split_first_chunk::<2>()?;
    let ([evidence, length], reason) = rest.split_first_chunk::<2>()?;
    let reason = std::str::from_utf8(reason.get(..usize::from(*length))?).ok()?;
    let evidence = match evidence {
        0 => None,
        1 => Some(Evidence::Stage1),
        2 => Some(Evidence::Pstore),
        3 => Some(Evidence::Watchdog),
        4 => Some(Evidence::Deadline),
        // A newer system on this disk may know more: the attempts count all the same.
        _ => Some(Evidence::Other),
    };
    Some(Entry {
        root: RootHash::new(*root),
        attempts: u16::from_le_bytes(*attempts),
        evidenced: u16::from_le_bytes(*evidenced),
        failure: evidence.map(|evidence| (evidence, reason.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANK: [u8; COPY_LEN] = [0; COPY_LEN];

    fn root(n: u8) -> RootHash {
        RootHash::new([n; 32])
    }

    /// A disk of two copies, as the partition holds them.
    #[derive(Clone)]
    struct Disk([[u8; COPY_LEN]; 2]);

    impl Disk {
        fn read(&self) -> BootRecord {
            BootRecord::choose(&self.0[0], &self.0[1])
        }

        fn write(&mut self, write: &Write) {
            self.0[(write.offset / COPY_STRIDE) as usize] = write.bytes;
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut disk = Disk([BLANK; 2]);
        for round in 0..9 {
            let mut record = disk.read();
            record.begin(root(round));
            record.fail(root(round), Evidence::Deadline, "2 units have not settled");
            disk.write(&record.next_write());
            assert_eq!(disk.read(), record);
        }
        assert_eq!(disk.read().entries.len(), MAX_ENTRIES, "the oldest are dropped");
        assert!(disk.read().entry(&root(8)).is_some() && disk.read().entry(&root(4)).is_none());
    }

    #[test]
    fn a_write_cut_at_any_byte_leaves_the_old_record_or_the_new() {
        let mut disk = Disk([BLANK; 2]);
        for round in 0..4 {
            let old = disk.read();
            let mut new = old.clone();
            new.begin(root(round));
            let write = new.next_write();
            for cut in 0..=COPY_LEN {
                let mut torn = disk.clone();
                torn.0[(write.offset / COPY_STRIDE) as usize][..cut].copy_from_slice(&write.bytes[..cut]);
                let read = torn.read();
                assert!(read == old || read == new, "round {round}, cut at byte {cut}");
            }
            disk.write(&write);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_invalidates_the_copy() {
        let mut record = BootRecord::default();
        record.begin(root(1));
        record.fail(root(1), Evidence::Watchdog, "no progress for 60 s");
        let good = record.next_write().bytes;
        for bit in 0..COPY_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BootRecord::choose(&bad, &BLANK), BootRecord::default(), "bit {bit}");
        }
    }

    #[test]
    fn sealed_nonsense_is_not_a_record() {
        for (offset, value) in [(8, 2), (20, 5), (ENTRIES_AT + 37, 67), (ENTRIES_AT + 38, 0xff)] {
            let mut record = BootRecord::default();
            record.begin(root(1));
            record.fail(root(1), Evidence::Stage1, "x");
            let mut sector = record.next_write().bytes;
            sector[offset] = value;
            let crc = CRC32.checksum(&sector[..CRC_AT]);
            sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(BootRecord::choose(&sector, &BLANK), BootRecord::default(), "offset {offset}");
        }
    }

    #[test]
    fn evidence_that_only_a_newer_system_knows_counts() {
        let mut record = BootRecord::default();
        record.begin(root(1));
        record.fail(root(1), Evidence::Other, "x");
        let mut sector = record.next_write().bytes;
        sector[ENTRIES_AT + 36] = 9;
        let crc = CRC32.checksum(&sector[..CRC_AT]);
        sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(BootRecord::choose(&sector, &BLANK), record);
    }

    #[test]
    fn cut_power_needs_twice_the_attempts_of_a_proven_failure() {
        let mut record = BootRecord::default();
        for attempt in 1..=ATTEMPTS_WITHOUT {
            record.begin(root(1));
            assert_eq!(record.is_rotten(&root(1)), attempt == ATTEMPTS_WITHOUT, "attempt {attempt}");
        }
        for attempt in 1..=ATTEMPTS_WITH_EVIDENCE {
            record.begin(root(2));
            record.fail(root(2), Evidence::Pstore, "kernel panic");
            assert_eq!(record.is_rotten(&root(2)), attempt == ATTEMPTS_WITH_EVIDENCE, "attempt {attempt}");
        }
        record.good(root(1));
        assert!(!record.is_rotten(&root(1)) && record.is_rotten(&root(2)));
        assert!(!record.is_rotten(&root(3)), "nothing is known of it");
        assert_eq!(record.latest().map(|entry| entry.root), Some(root(1)), "a good end touches too");
        assert_eq!(BootRecord::default().latest(), None);
        record.forget(&root(2));
        assert!(record.entry(&root(2)).is_none() && record.entry(&root(1)).is_some());
    }

    #[test]
    fn a_boot_that_fails_after_it_settled_counts_all_the_same() {
        let mut record = BootRecord::default();
        let known =
            |record: &BootRecord| record.entry(&root(1)).map(|entry| (entry.attempts, entry.evidenced));
        for failed in 0..ATTEMPTS_WITH_EVIDENCE {
            assert!(!record.is_rotten(&root(1)));
            record.begin(root(1));
            record.settle(root(1));
            assert_eq!(known(&record), Some((failed, failed)));
            record.fail(root(1), Evidence::Pstore, "kernel crash");
        }
        assert!(record.is_rotten(&root(1)));
        record.begin(root(1));
        record.good(root(1));
        assert_eq!(known(&record), Some((0, 0)));
    }

    #[test]
    fn evidence_never_outnumbers_attempts_and_reasons_are_cut_at_a_character() {
        let mut record = BootRecord::default();
        let reason = "é".repeat(MAX_REASON);
        record.fail(root(1), Evidence::Stage1, &reason);
        let write = record.next_write();
        let read = BootRecord::choose(&BLANK, &write.bytes);
        let entry = read.entry(&root(1)).unwrap();
        assert_eq!((entry.attempts, entry.evidenced), (1, 1));
        assert_eq!(entry.failure, Some((Evidence::Stage1, "é".repeat(MAX_REASON / 2))));
    }
}
