//! Where there are old bytes like those of the target: places that their content picks, and the hash of what is there.
//!
//! A window of [`WINDOW`] bytes is an anchor if its hash falls into a fixed share of all hashes. The same bytes are anchors
//! wherever they lie, so images that share pieces at any distance share anchors, and a table of a fixed size covers any image.

use crate::apply::{Old, ReadAt};
use crate::error::Error;
use crate::limits::{BLOCK, MAX_OUTPUT};

/// Bytes that an anchor's hash covers.
const WINDOW: usize = 20;

/// Multiplier of the rolling hash, and of the two numbers taken from it. Odd, otherwise arbitrary.
const ROLL: u64 = 0x9e37_79b9_7f4a_7c15;
const PICK: u64 = 0xd6e8_feb8_6659_fd93;
const NAME: u64 = 0xa076_1d64_78bd_642f;

/// Anchors that the table aims at, 8 bytes each; it never has more than twice as many.
const AIM: u64 = 1 << 24;

/// Every so many windows have an anchor, in images for which [`AIM`] suffices.
const USUAL_SPACING: u64 = 32;

/// Anchors of source and target: name in the upper half, block in the lower one, in order.
#[derive(Debug)]
pub(super) struct Anchors {
    spacing: u64,
    sorted: Vec<u64>,
}

impl Anchors {
    /// The anchors of so many bytes, at most twice the share of each block that their spacing gives it.
    pub fn of<S: ReadAt, T: ReadAt>(old: &Old<'_, S, T>, len: u64) -> Result<Self, Error> {
        let spacing = len.div_ceil(AIM).max(USUAL_SPACING);
        let per_block = (2 * BLOCK as u64 / spacing).max(1);
        let (mut sorted, mut last, mut of_last) = (Vec::new(), u64::MAX, 0);
        let mut buffer = vec![0; MAX_OUTPUT + WINDOW];
        for start in (0..len).step_by(MAX_OUTPUT) {
            let there = (len - start).min(buffer.len() as u64) as usize;
            old.read(start / BLOCK as u64, &mut buffer[..there])?;
            each(&buffer[..there], spacing, |at, name| {
                let block = (start + at as u64) / BLOCK as u64;
                of_last = if block == last { of_last + 1 } else { 1 };
                last = block;
                if of_last <= per_block {
                    sorted.push(u64::from(name) << 32 | block);
                }
            });
        }
        sorted.sort_unstable();
        sorted.dedup();
        Ok(Self { spacing, sorted })
    }

    /// Calls back with each anchor of these bytes, its place in them, and the blocks before `end` that have the same one.
    pub fn matches(&self, bytes: &[u8], end: u32, mut found: impl FnMut(usize, &[u64])) {
        each(bytes, self.spacing, |at, name| {
            let low = u64::from(name) << 32;
            let end = low | u64::from(end);
            let first = self.sorted.partition_point(|anchor| *anchor < low);
            let count =
                self.sorted[first..].iter().take(MOST_BLOCKS + 1).take_while(|anchor| **anchor < end).count();
            // What is everywhere says nothing about where.
            if (1..=MOST_BLOCKS).contains(&count) {
                found(at, &self.sorted[first..first + count]);
            }
        });
    }
}

/// Blocks that may have the same anchor before it counts for nothing.
const MOST_BLOCKS: usize = 16;

/// Calls back with the place and the name of each anchor of these bytes. Of windows that repeat at once the first counts.
fn each(bytes: &[u8], spacing: u64, mut found: impl FnMut(usize, u32)) {
    let out_of_window = (0..WINDOW).fold(1_u64, |power, _| power.wrapping_mul(ROLL));
    let threshold = u64::MAX / spacing;
    let (mut hash, mut before) = (0_u64, None);
    for (at, byte) in bytes.iter().enumerate() {
        hash = hash.wrapping_mul(ROLL).wrapping_add(u64::from(*byte) + 1);
        if at >= WINDOW {
            hash = hash.wrapping_sub(out_of_window.wrapping_mul(u64::from(bytes[at - WINDOW]) + 1));
        }
        if at + 1 < WINDOW {
            continue;
        }
        let picked = (hash ^ hash >> 32).wrapping_mul(PICK);
        if (picked ^ picked >> 32).wrapping_mul(PICK) < threshold && before != Some(hash) {
            found(at + 1 - WINDOW, (hash.wrapping_mul(NAME) >> 32) as u32);
        }
        before = Some(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_the_same_anchors_anywhere() {
        let bytes: Vec<u8> =
            (0..5000_u32).map(|index| (index.wrapping_mul(0x0100_0193) >> 11) as u8).collect();
        let anchors = |bytes: &[u8], shift: usize| {
            let mut all = Vec::new();
            each(bytes, 32, |at, name| all.push((at - shift, name)));
            all
        };
        let (plain, shifted) = (anchors(&bytes, 0), anchors(&[&[7; 1000], &bytes[..]].concat(), 0));
        assert!(plain.len() > 80, "{} anchors", plain.len());
        let shifted: Vec<_> =
            shifted.into_iter().filter(|(at, _)| *at >= 1000).map(|(at, name)| (at - 1000, name)).collect();
        assert_eq!(shifted, plain);
        assert!(anchors(&[0; 5000], 0).len() <= 1, "windows that repeat count once");
    }
}
