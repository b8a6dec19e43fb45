//! Entries of a folder, with their long names put together again.

use crate::folder::{DIRECTORY, ENTRY_LEN, VOLUME_ID};
use crate::name;

/// Attributes of a part of a long name: a combination that nothing else has.
const LONG: u8 = 0x0f;
const ATTRIBUTES: usize = 11;
/// Which parts of a short name are shown in lower case.
const CASE: usize = 12;
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;
const DELETED: u8 = 0xe5;
/// Stands for 0xe5 at the start of a short name.
const ESCAPED: u8 = 0x05;
const LAST: u8 = 0x40;
/// Parts of the longest name, 255 units.
const MAX_PARTS: u8 = 20;

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub name: String,
    pub is_folder: bool,
    pub cluster: u32,
    pub len: u32,
}

/// What stands in a folder, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub found: Vec<Found>,
    pub faults: Vec<&'static str>,
}

/// Parts of a long name, from the last to the first.
struct Parts {
    checksum: u8,
    /// Number of the part that came last.
    number: u8,
    /// Units, last part first.
    units: Vec<[u16; name::UNITS]>,
}

/// Reads the bytes of a folder up to its end mark. Labels and deleted entries are passed over.
pub(super) fn decode(bytes: &[u8]) -> Listing {
    let mut listing = Listing::default();
    let mut parts: Option<Parts> = None;
    for entry in bytes.as_chunks::<ENTRY_LEN>().0 {
        match (entry[0], entry[ATTRIBUTES]) {
            (0, _) => break,
            (DELETED, _) => {}
            (_, LONG) => {
                match next(parts.take(), entry) {
                    Some(more) => parts = Some(more),
                    None => listing.faults.push("the parts of a long name are not in order"),
                }
                continue;
            }
            (_, attributes) if attributes & VOLUME_ID != 0 => {}
            (_, attributes) => match name_of(parts.take(), entry) {
                Ok(name) => listing.found.push(Found {
                    name,
                    is_folder: attributes & DIRECTORY != 0,
                    cluster: u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26)),
                    len: u32::from(u16_at(entry, 28)) | u32::from(u16_at(entry, 30)) << 16,
                }),
                Err(fault) => listing.faults.push(fault),
            },
        }
        if parts.take().is_some() {
            listing.faults.push(ORPHAN);
        }
    }
    if parts.is_some() {
        listing.faults.push(ORPHAN);
    }
    listing
}

const ORPHAN: &str = "a long name belongs to no entry";

/// Takes in one part: the first that stands there has the highest number, then they count down to 1.
fn next(parts: Option<Parts>, entry: &[u8; ENTRY_LEN]) -> Option<Parts> {
    let (sequence, checksum) = (entry[0], entry[13]);
    let number = sequence & !LAST;
    let mut parts = match parts {
        None if sequence & LAST != 0 && (1..=MAX_PARTS).contains(&number) => {
            Parts { checksum, number, units: Vec::new() }
        }
        Some(parts)
            if sequence & LAST == 0
                && number > 0
                && number + 1 == parts.number
                && checksum == parts.checksum =>
        {
            Parts { number, ..parts }
        }
        _ => return None,
    };
    parts.units.push(name::unit_offsets().map(|at| u16_at(entry, at)));
    Some(parts)
}

fn name_of(parts: Option<Parts>, entry: &[u8; ENTRY_LEN]) -> Result<String, &'static str> {
    let mut short = [0; 11];
    short.copy_from_slice(&entry[..11]);
    let name = match parts {
        None => short_name(short, entry[CASE]),
        Some(parts) if parts.number != 1 || parts.checksum != name::checksum(&short) => {
            return Err("a long name does not belong to the entry behind it");
        }
        Some(parts) => {
            let units = parts.units.iter().rev().flatten().copied().take_while(|unit| *unit != 0);
            char::decode_utf16(units)
                .collect::<Result<String, _>>()
                .map_err(|_| "a long name is not UTF-16")?
        }
    };
    let is_foreign = |c: char| c == '/' || c == '\\' || c.is_control();
    if name.is_empty() || name.contains(is_foreign) {
        return Err("a name is empty or has a character that no name has");
    }
    Ok(name)
}

/// `BASE.EXT` without its padding; what is not ASCII is shown as U+FFFD, its meaning being a matter of code pages.
fn short_name(mut short: [u8; 11], case: u8) -> String {
    if short[0] == ESCAPED {
        short[0] = DELETED;
    }
    let shown = |bytes: &[u8], lower: u8| -> String {
        let text = bytes.iter().map(|byte| match byte {
            byte if !byte.is_ascii() => char::REPLACEMENT_CHARACTER,
            byte if case & lower != 0 => char::from(byte.to_ascii_lowercase()),
            byte => char::from(*byte),
        });
        text.collect::<String>().trim_end_matches(' ').to_owned()
    };
    let (base, extension) = (shown(&short[..8], LOWER_BASE), shown(&short[8..], LOWER_EXTENSION));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

fn u16_at(entry: &[u8; ENTRY_LEN], at: usize) -> u16 {
    u16::from_le_bytes([entry[at], entry[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{Folder, Place};

    /// Three parts and the entry they belong to, behind a label.
    fn sample() -> Vec<u8> {
        let mut folder = Folder::default();
        folder.add("coracle_1.2.3+3-0.efi.backup.old", b"x").unwrap();
        folder.encode(Place::Root { label: b"ESP        " }, |_| (7, 1))
    }

    #[test]
    fn long_names_come_back() {
        let listing = decode(&sample());
        let want =
            Found { name: "coracle_1.2.3+3-0.efi.backup.old".into(), is_folder: false, cluster: 7, len: 1 };
        assert_eq!((listing.found, listing.faults), (vec![want], vec![]));
    }

    #[test]
    fn short_names_are_shown_as_their_case_bits_say() {
        for (short, case, shown) in [
            (b"BOOTX64 EFI", 0, "BOOTX64.EFI"),
            (b"BOOTX64 EFI", LOWER_BASE, "bootx64.EFI"),
            (b"BOOTX64 EFI", LOWER_EXTENSION, "BOOTX64.efi"),
            (b"EFI        ", LOWER_BASE | LOWER_EXTENSION, "efi"),
            (b"\x05A      TXT", 0, "\u{fffd}A.TXT"),
        ] {
            assert_eq!(short_name(*short, case), shown);
        }
    }

    #[test]
    fn bent_long_names_are_faults() {
        let (label, name) = (32, 96); // bytes before the parts, bytes of them
        type Bend = fn(&mut Vec<u8>);
        let cases: [(Bend, &str); 6] = [
            (|f| f[32 + 13] ^= 1, "order"),
            (|f| f[128] ^= 1, "does not belong"),
            (|f| f[64] = 1, "order"),
            (|f| f[32] = 0x40, "order"),
            (|f| f[96 + 1..96 + 3].copy_from_slice(&0xd800u16.to_le_bytes()), "UTF-16"),
            (|f| f[96 + 1] = b'/', "character"),
        ];
        assert_eq!(sample().len(), label + name + 32);
        for (bend, says) in cases {
            let mut bytes = sample();
            bend(&mut bytes);
            let listing = decode(&bytes);
            assert!(listing.faults.iter().any(|fault| fault.contains(says)), "{says}: {listing:?}");
        }
        for (len, behind) in [(128, 32), (64, 32), (128, 0)] {
            let mut bytes = sample();
            bytes.truncate(len);
            bytes.extend(&sample()[..behind]);
            assert_eq!(decode(&bytes).faults, [ORPHAN], "{len} bytes of parts and label, {behind} behind");
        }
    }
}
