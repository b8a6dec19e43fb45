//! Names of files: the long ones that people see, and the short ones that every entry has.

/// Characters of a short name besides letters and digits.
const SHORT_EXTRA: &[u8] = b"$%'-_@~`!(){}^#&";
/// Characters of a long name besides those and the dot.
const LONG_EXTRA: &[u8] = b"+,;=[] ";

/// Whether FAT can hold `name` and this crate wants to: ASCII, at most 255 characters, no trailing dot or space.
pub(crate) fn is_allowed(name: &str) -> bool {
    let known = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || SHORT_EXTRA.contains(&byte)
            || LONG_EXTRA.contains(&byte)
            || byte == b'.'
    };
    (1..=255).contains(&name.len())
        && name.bytes().all(known)
        && !name.starts_with(' ')
        && !name.ends_with(['.', ' '])
}

/// The 11 bytes of a name that needs no long one: upper case, at most eight characters and three behind a dot.
pub(crate) fn as_short(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = |part: &str, max: usize| {
        let plain =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || SHORT_EXTRA.contains(&byte);
        part.len() <= max && part.bytes().all(plain)
    };
    let dot_is_needed = name.contains('.') != extension.is_empty();
    (!base.is_empty() && fits(base, 8) && fits(extension, 3) && dot_is_needed)
        .then(|| padded(base, extension))
}

/// A short name beside a long one: what is left of it, `~` and a number.
pub(crate) fn generated(name: &str, number: u32) -> [u8; 11] {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let reduced = |part: &str, max: usize| -> String {
        let kept = part.chars().filter(|c| !matches!(c, ' ' | '.'));
        let upper = kept.map(|c| if LONG_EXTRA.contains(&(c as u8)) { '_' } else { c.to_ascii_uppercase() });
        upper.take(max).collect()
    };
    let tail = format!("~{number}");
    padded(&(reduced(base, 8 - tail.len()) + &tail), &reduced(extension, 3))
}

fn padded(base: &str, extension: &str) -> [u8; 11] {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..][..extension.len()].copy_from_slice(extension.as_bytes());
    short
}

/// The entries that hold a long name, in the order in which they stand in front of the short one.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | number of the part, from 1; 0x40 added in the first that stands there |
/// | 1, 14, 28 | 10, 12, 4 | 13 UTF-16 units; after the end one zero, then 0xffff |
/// | 11 | 1 | attributes 0x0f |
/// | 13 | 1 | checksum of the short name |
pub(crate) fn long_entries(name: &str, short: &[u8; 11]) -> Vec<[u8; 32]> {
    let checksum = checksum(short);
    let parts = name.len().div_ceil(UNITS);
    let entry = |part: usize| {
        let mut entry = [0; 32];
        entry[0] = (part + 1) as u8 | if part + 1 == parts { 0x40 } else { 0 };
        entry[11] = 0x0f;
        entry[13] = checksum;
        for (unit, offset) in unit_offsets().into_iter().enumerate() {
            let index = part * UNITS + unit;
            let value = match name.as_bytes().get(index) {
                Some(byte) => u16::from(*byte),
                None if index == name.len() => 0,
                None => 0xffff,
            };
            entry[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        }
        entry
    };
    (0..parts).rev().map(entry).collect()
}

/// Units of a name in one of its parts.
pub(crate) const UNITS: usize = 13;

/// Where the units of a part stand.
pub(crate) fn unit_offsets() -> [usize; UNITS] {
    [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]
}

/// What ties the parts of a long name to the short one.
pub(crate) fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_known_by_their_form() {
        for (name, want) in [
            ("EFI", Some(b"EFI        ")),
            ("BOOTX64.EFI", Some(b"BOOTX64 EFI")),
            ("EFI.", None),
            ("loader", None),
            ("A.B.C", None),
            ("LONGER-IT", None),
            ("A+B", None),
            (".EFI", None),
        ] {
            assert_eq!(as_short(name), want.copied(), "{name}");
        }
    }

    #[test]
    fn generated_names_keep_what_they_can() {
        assert_eq!(&generated("coracle_1.2.3+3-0.efi", 1), b"CORACL~1EFI");
        assert_eq!(&generated("a+b c.d", 12), b"A_BC~12 D  ");
        assert_eq!(&generated("loader", 1), b"LOADER~1   ");
    }

    #[test]
    fn names_that_fat_cannot_hold_are_refused() {
        for name in
            ["", ".", "..", "a/b", "a\\b", "é", "a.", "a ", " a", "a:b", "a*b", "a\0b", &"a".repeat(256)]
        {
            assert!(!is_allowed(name), "{name:?}");
        }
        assert!(is_allowed("coracle_1.2.3+3-0.efi") && is_allowed(&"a".repeat(255)));
    }
}
