//! Finding a patch: which old bytes, summed with mostly zeros, give the new ones.
//!
//! The search is that of Colin Percival's "Naive Differences of Executable Code" (2003): matches that a few changed bytes
//! interrupt count as one, so that code whose addresses moved becomes differences that repeat and pack well.

use super::suffix::Suffixes;
use crate::bytes::{fold, put_varint};

/// Bytes that a match must have beyond what the present alignment matches anyway.
const BETTER: usize = 8;

/// Bytes that a plain search would compare before it is given up: some bytes repeat themselves too much for it.
const MAX_WORK: u64 = 1 << 31;

/// The patch from old to new bytes as `patch::apply` takes it, unless looking for it takes too long.
pub(super) fn diff(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let suffixes = Suffixes::of(old);
    let mut patch = Patch::default();
    let mut work = 0;
    // Where the last match ended in both, and where the one being looked for begins.
    let (mut done, mut done_old) = (0, 0);
    let (mut scan, mut len, mut pos) = (0, 0, 0);
    while scan < new.len() {
        scan += len;
        let (mut counted, mut aligned) = (scan, 0);
        let matches = |at: usize| old.get((at + done_old).wrapping_sub(done)) == new.get(at);
        while scan < new.len() {
            (pos, len) = suffixes.longest(&new[scan..], &mut work);
            if work > MAX_WORK {
                return None;
            }
            while counted < scan + len {
                aligned += usize::from(matches(counted));
                counted += 1;
            }
            if (len == aligned && len != 0) || len > aligned + BETTER {
                break;
            }
            aligned -= usize::from(counted > scan && matches(scan));
            scan += 1;
            counted = counted.max(scan);
        }
        if len == aligned && scan < new.len() {
            continue;
        }
        let (gap, at_end) = (&new[done..scan], scan == new.len());
        let mut forward = stretch(old[done_old..].iter().zip(gap));
        let mut back = if at_end { 0 } else { stretch(old[..pos].iter().rev().zip(gap.iter().rev())) };
        if forward + back > gap.len() {
            let both = forward + back - gap.len();
            let kept =
                divide(&old[done_old + forward - both..], &old[pos - back..], &gap[forward - both..], both);
            forward = forward - both + kept;
            back -= kept;
        }
        patch.sum(&old[done_old..][..forward], &gap[..forward]);
        patch.insert(&gap[forward..gap.len() - back]);
        let (next, next_old) = (scan - back, if at_end { done_old + forward } else { pos - back });
        patch.step(next_old as i32 - (done_old + forward) as i32);
        (done, done_old) = (next, next_old);
    }
    Some(patch.finish())
}

/// How many pairs to take so that the equal ones outnumber the others by most.
fn stretch<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut len) = (0_i64, 0, 0);
    for (index, (a, b)) in pairs.enumerate() {
        score += if a == b { 1 } else { -1 };
        if score > best {
            (best, len) = (score, index + 1);
        }
    }
    len
}

/// How many of the bytes that two alignments both claim the first one should keep.
fn divide(first: &[u8], second: &[u8], new: &[u8], both: usize) -> usize {
    let (mut score, mut best, mut kept) = (0_i64, 0, 0);
    for index in 0..both {
        score += i64::from(first[index] == new[index]) - i64::from(second[index] == new[index]);
        if score > best {
            (best, kept) = (score, index + 1);
        }
    }
    kept
}

/// A patch in the making.
#[derive(Debug, Default)]
struct Patch {
    control: Vec<u8>,
    diff: Vec<u8>,
    extra: Vec<u8>,
}

impl Patch {
    fn sum(&mut self, old: &[u8], new: &[u8]) {
        put_varint(old.len() as u32, &mut self.control);
        self.diff.extend(old.iter().zip(new).map(|(old, new)| new.wrapping_sub(*old)));
    }

    fn insert(&mut self, new: &[u8]) {
        put_varint(new.len() as u32, &mut self.control);
        self.extra.extend(new);
    }

    fn step(&mut self, seek: i32) {
        put_varint(fold(seek), &mut self.control);
    }

    fn finish(self) -> Vec<u8> {
        let lens = [self.control.len() as u32, self.diff.len() as u32].map(u32::to_le_bytes).concat();
        [lens, self.control, self.diff, self.extra].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patch::apply;

    fn round_trip(old: &[u8], new: &[u8]) -> Vec<u8> {
        let patch = diff(old, new).expect("short");
        let mut out = vec![0; new.len()];
        apply(&patch, old, &mut out).expect("own patch");
        assert_eq!(out, new);
        patch
    }

    #[test]
    fn shifted_addresses_become_equal_differences() {
        let code = |base: u32| -> Vec<u8> {
            (0..1000_u32)
                .flat_map(|index| {
                    [&index.wrapping_mul(0x9e37_79b9).to_le_bytes()[..], &(base + index * 16).to_le_bytes()]
                        .concat()
                })
                .collect()
        };
        let patch = round_trip(&code(0x1000), &code(0x1010));
        let changed = patch[8..].iter().filter(|byte| **byte != 0).count();
        assert!(changed < 1200, "{changed} bytes of the patch are not zero");
    }

    /// A minute, not built for speed, for who compares all of it byte by byte.
    #[test]
    fn long_repeats_are_soon_done() {
        let marked = |len: usize, every: usize| -> Vec<u8> {
            (0..len).map(|at| if at % every == 0 { (at / every) as u8 } else { 0xff }).collect()
        };
        for (old, new) in [(5000, 7001), (1 << 20, 40_000), (60_000, 1 << 20)] {
            let (old, new) = (marked(1 << 20, old), marked(256 << 10, new));
            if let Some(patch) = diff(&old, &new) {
                let mut out = vec![0; new.len()];
                apply(&patch, &old, &mut out).expect("own patch");
                assert!(out == new);
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes(old in proptest::collection::vec(0_u8..4, 0..300), new in proptest::collection::vec(0_u8..4, 1..300)) {
            round_trip(&old, &new);
        }

        #[test]
        fn edited_bytes(old in proptest::collection::vec(any::<u8>(), 1..600), at in 0_usize..600, cut in 0_usize..50, put in proptest::collection::vec(any::<u8>(), 0..50)) {
            let at = at.min(old.len());
            let mut new = old.clone();
            new.splice(at..(at + cut).min(old.len()), put);
            prop_assume!(!new.is_empty());
            round_trip(&old, &new);
        }
    }
}
