//! The checksum of a PE file: CheckSum of the optional header.
//!
//! The file is summed as little-endian words of 16 bits, the field itself as zero, with every carry added in again; the
//! file's length is added to that. Firmware ignores it. It finds every single changed byte, which is what it is kept for:
//! most of a UKI has no other check that somebody without a key can make.

/// The field's length.
const LEN: u64 = 4;

/// The sum of the bytes so far.
pub(crate) struct Sum {
    at: u64,
    sum: u64,
    len: u64,
}

impl Sum {
    /// Of a file whose field is `at` this even offset.
    pub(crate) fn new(at: usize) -> Self {
        Self { at: at as u64, sum: 0, len: 0 }
    }

    /// Takes the next bytes; an odd number of them only where the file ends.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let field = self.at..self.at + LEN;
        for pair in bytes.chunks(2) {
            if !field.contains(&self.len) {
                let high = pair.get(1).copied().unwrap_or(0);
                self.sum += u64::from(u16::from_le_bytes([pair[0], high]));
            }
            self.len += pair.len() as u64;
        }
    }

    /// The checksum.
    pub(crate) fn finish(mut self) -> u32 {
        while self.sum > 0xffff {
            self.sum = (self.sum & 0xffff) + (self.sum >> 16);
        }
        // The length of a PE file fits 32 bits; of a longer one only the low ones would be kept, by everyone.
        (self.sum as u32).wrapping_add(self.len as u32)
    }
}

/// The checksum of `file`, whose field is `at` this even offset.
pub(crate) fn of(file: &[u8], at: usize) -> u32 {
    let mut sum = Sum::new(at);
    sum.add(file);
    sum.finish()
}

/// Why a file is not as its own checksum says. Anybody can make one: it speaks of damage, never of intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file states none; the linker of a stub and some signing tools leave it out.
    #[error("its header has no checksum")]
    Unstated,
    /// A byte has changed since it was stated.
    #[error("its header says checksum {stated:#x}, its bytes have {found:#x}")]
    Differs {
        /// The one that is stated.
        stated: u32,
        /// The one that the bytes have.
        found: u32,
    },
}

/// Whether a file that states one checksum and has another is whole.
pub(crate) fn check(stated: u32, found: u32) -> Result<(), Damage> {
    match stated {
        0 => Err(Damage::Unstated),
        _ if stated == found => Ok(()),
        _ => Err(Damage::Differs { stated, found }),
    }
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
            let mut sum = Sum::new(4);
            file.chunks(2).for_each(|piece| sum.add(piece));
            assert_eq!(sum.finish(), expected, "{file:?} in pieces");
        }
    }
}
