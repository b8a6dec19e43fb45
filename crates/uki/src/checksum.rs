//! The checksum of a PE file: CheckSum of the optional header.
//!
//! The file is summed as little-endian words of 16 bits, the field itself as zero, with every carry added in again; the
//! file's length is added to that. Firmware ignores it. It finds every single changed byte, which is what it is kept for:
//! most of a UKI has no other check that somebody without a key can make.

/// The field's length.
const LEN: usize = 4;

/// The checksum of `file`, whose field is `at` this even offset.
pub(crate) fn of(file: &[u8], at: usize) -> u32 {
    let field = at..at + LEN;
    let mut sum = 0u64;
    for (index, pair) in file.chunks(2).enumerate() {
        if !field.contains(&(index * 2)) {
            let high = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_le_bytes([pair[0], high]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The length of a PE file fits 32 bits; of a longer one only the low ones would be kept, by everyone.
    (sum as u32).wrapping_add(file.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_come_round_and_an_odd_byte_counts() {
        for (file, expected) in [
            (vec![0; 8], 8),
            (vec![1, 0, 0, 0, 9, 9, 9, 9], 9),
            (vec![0xff, 0xff, 2, 0, 9, 9, 9, 9], 2 + 8),
            (vec![0, 0, 0, 0, 9, 9, 9, 9, 5], 5 + 9),
        ] {
            assert_eq!(of(&file, 4), expected, "{file:?}");
        }
    }
}
