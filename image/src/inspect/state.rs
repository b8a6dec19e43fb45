//! The state partition's ext4 superblock, and the boot record.
//!
//! Of the superblock, 1024 bytes from byte 1024 on (Linux' `Documentation/filesystems/ext4/super.rst`):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x4, 0x150 | 4, 4 | blocks: low and high half |
//! | 0x18 | 4 | block size: 1024 to this power of two |
//! | 0x38 | 2 | 0xef53 |
//! | 0x3a | 2 | state: 1 cleanly unmounted, 2 errors found |
//! | 0x60 | 4 | incompatible features: 4 journal to be replayed, 0x80 block counts of 64 bits |
//! | 0x64 | 4 | read-only compatible features: 0x400 checksums |
//! | 0x68 | 16 | UUID |
//! | 0x78 | 16 | label |
//! | 0x175 | 1 | kind of checksum: 1 is CRC-32C |
//! | 0x3fc | 4 | CRC-32C of what is before it, not inverted at the end |

use coracle_layout::RootHash;
use coracle_layout::boot_record::{BootRecord, COPY_LEN, COPY_STRIDE};

use super::report::{BootFacts, Faults, StateFacts, chain};
use super::window::Window;

const AT: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
const HAS_ERRORS: u16 = 2;
const RECOVER: u32 = 0x4;
const IS_64_BIT: u32 = 0x80;
const METADATA_CSUM: u32 = 0x400;
const CRC32C: u8 = 1;

/// Reads the superblock and says what is wrong with it.
pub(super) fn state(window: &Window<'_>, faults: &mut Faults<'_>) -> Option<StateFacts> {
    let bytes = match window.bytes_at::<LEN>(AT) {
        Ok(bytes) => bytes,
        Err(error) => {
            faults.add_at(AT, format!("read the superblock: {error}"));
            return None;
        }
    };
    let (facts, wrong) = superblock(&bytes, window.len());
    wrong.into_iter().for_each(|what| faults.add_at(AT, what));
    facts
}

fn superblock(bytes: &[u8; LEN], partition: u64) -> (Option<StateFacts>, Vec<String>) {
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let long = |at: usize| u32::from(short(at)) | u32::from(short(at + 2)) << 16;
    if short(0x38) != MAGIC {
        return (None, vec!["no ext4 superblock".into()]);
    }
    let mut wrong = Vec::new();
    if long(0x64) & METADATA_CSUM == 0 || bytes[0x175] != CRC32C {
        wrong.push("superblock: metadata has no checksums".into());
    }
    let (want, got) = (long(0x3fc), crc32c(&bytes[..0x3fc]));
    if want != got {
        wrong.push(format!("superblock: its checksum is {got:08x}, not {want:08x}"));
    }
    if short(0x3a) & HAS_ERRORS != 0 {
        wrong.push("the kernel found errors in this filesystem".into());
    }
    let high = if long(0x60) & IS_64_BIT != 0 { u64::from(long(0x150)) << 32 } else { 0 };
    let blocks = high | u64::from(long(0x4));
    let size = 1024u64.checked_shl(long(0x18)).filter(|size| *size <= 1 << 16).unwrap_or(0);
    let len = blocks.saturating_mul(size);
    if len == 0 || len > partition {
        wrong.push(format!(
            "superblock: {blocks} blocks of {size} bytes are not a filesystem in {partition} bytes"
        ));
    }
    let uuid = bytes[0x68..0x78].iter().fold(0, |uuid, byte| uuid << 8 | u128::from(*byte));
    let label = bytes[0x78..0x88].split(|byte| *byte == 0).next().unwrap_or_default();
    let facts = StateFacts {
        label: String::from_utf8_lossy(label).into_owned(),
        uuid: coracle_gpt::Guid::from_u128(uuid).to_string(),
        bytes: len,
        needs_replay: long(0x60) & RECOVER != 0,
    };
    (Some(facts), wrong)
}

/// CRC-32C (Castagnoli, reflected), begun with ones and not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

/// Reads both copies; one that is neither blank nor whole is a fault.
pub(super) fn boot_record(
    window: &Window<'_>,
    known: &[RootHash],
    faults: &mut Faults<'_>,
) -> Vec<BootFacts> {
    let blank = [0; COPY_LEN];
    let copies = [0, COPY_STRIDE].map(|at| match window.bytes_at::<COPY_LEN>(at) {
        Ok(copy) => {
            if copy != blank && BootRecord::choose(&copy, &blank) == BootRecord::default() {
                faults.add_at(at, "this copy of the boot record is damaged");
            }
            copy
        }
        Err(error) => {
            faults.add_at(at, format!("read the boot record: {}", chain(&error)));
            blank
        }
    });
    let record = BootRecord::choose(&copies[0], &copies[1]);
    let entries = known.iter().filter_map(|root| record.entry(root));
    entries
        .map(|entry| BootFacts {
            root_hash: entry.root.to_string(),
            attempts: entry.attempts,
            evidenced: entry.evidenced,
            failure: entry.failure.as_ref().map(|(evidence, reason)| format!("{evidence:?}: {reason}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::process::Command;

    use coracle_layout::boot_record::Evidence;

    use super::*;
    use crate::inspect::report::Fault;

    fn faults_of(look: impl FnOnce(&mut Faults<'_>)) -> Vec<Fault> {
        let mut all = Vec::new();
        look(&mut Faults { place: "here", all: &mut all });
        all
    }

    #[test]
    fn what_mke2fs_makes_is_sound_and_any_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        File::create(&path).unwrap().set_len(16 << 20).unwrap();
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        mke2fs
            .args(["-q", "-t", "ext4", "-O", "verity,quota,project,metadata_csum", "-L", "state"])
            .arg(&path);
        assert!(mke2fs.status().unwrap().success());
        let file = File::open(&path).unwrap();
        let window = Window::new(&file, 0, 16 << 20);
        let mut facts = None;
        assert_eq!(faults_of(|faults| facts = state(&window, faults)), []);
        let facts = facts.unwrap();
        assert_eq!((facts.label.as_str(), facts.bytes, facts.needs_replay), ("state", 16 << 20, false));

        let good = window.bytes_at::<LEN>(AT).unwrap();
        for at in 0..LEN {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(!superblock(&bad, 16 << 20).1.is_empty(), "byte {at}");
        }
        assert!(superblock(&good, (16 << 20) - 1).1[0].contains("not a filesystem in"));
        assert!(
            faults_of(|faults| drop(state(&window.head(2000), faults)))[0]
                .what
                .contains("read the superblock")
        );
    }

    #[test]
    fn boot_records_are_listed_and_a_bent_copy_is_found() {
        let root = RootHash::new([7; 32]);
        let mut record = BootRecord::default();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 8192]).unwrap();
        let window = Window::new(&file, 0, 8192);
        assert_eq!(faults_of(|faults| assert!(boot_record(&window, &[root], faults).is_empty())), []);
        let mut last = 0;
        for _ in 0..2 {
            record.begin(root);
            record.fail(root, Evidence::Stage1, "no slot");
            let write = record.next_write();
            std::os::unix::fs::FileExt::write_all_at(&file, &write.bytes, write.offset).unwrap();
            last = write.offset;
        }
        let mut facts = Vec::new();
        assert_eq!(faults_of(|faults| facts = boot_record(&window, &[root], faults)), []);
        assert_eq!((facts[0].attempts, facts[0].failure.as_deref()), (2, Some("Stage1: no slot")));
        std::os::unix::fs::FileExt::write_all_at(&file, &[9], last + 100).unwrap();
        let faults = faults_of(|faults| facts = boot_record(&window, &[root], faults));
        assert_eq!((faults.len(), faults[0].offset, facts[0].attempts), (1, Some(last), 1));
    }
}
