//! Patches: an output as sums with old bytes, in the manner of bsdiff, for one operation at a time.
//!
//! | bytes        | field                                                          |
//! |--------------|----------------------------------------------------------------|
//! | 0 .. 4       | bytes of the control words, c                                  |
//! | 4 .. 8       | bytes of the differences, d                                    |
//! | 8 .. 8 + c   | control words, three numbers each: add, insert, seek (zigzag)  |
//! | .. 8 + c + d | differences                                                    |
//! | to the end   | insertions                                                     |
//!
//! Each control word puts out `add` differences, each summed modulo 256 with an old byte, then `insert` insertions, and moves the
//! place in the old bytes, which the additions have moved on, by `seek`. All differences and all insertions are used up.

use crate::bytes::{Bytes, unfold};
use crate::error::Error;

/// Makes the output that a patch describes; it must come out exactly as long as `out`.
pub(crate) fn apply(patch: &[u8], old: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let malformed = |reason| Error::Patch { reason };
    let mut patch = Bytes(patch);
    let (control_len, diff_len) = (patch.u32()?, patch.u32()?);
    let mut control = Bytes(patch.take(control_len as usize)?);
    let mut diff = Bytes(patch.take(diff_len as usize)?);
    let (mut extra, mut left, mut at) = (patch, out, 0_i64);
    while !control.is_empty() {
        let (add, insert, seek) = (control.varint()?, control.varint()?, unfold(control.varint()?));
        let old = usize::try_from(at)
            .ok()
            .and_then(|at| old.get(at..)?.get(..add as usize))
            .ok_or(malformed("an addition is outside the old bytes"))?;
        let diff = diff.take(add as usize)?;
        let (sum, rest) = left.split_at_mut_checked(diff.len()).ok_or(malformed("output overflows"))?;
        for ((to, old), diff) in sum.iter_mut().zip(old).zip(diff) {
            *to = old.wrapping_add(*diff);
        }
        let insertion = extra.take(insert as usize)?;
        let (to, rest) = rest.split_at_mut_checked(insertion.len()).ok_or(malformed("output overflows"))?;
        to.copy_from_slice(insertion);
        left = rest;
        at += i64::from(add) + i64::from(seek);
    }
    if !(left.is_empty() && diff.is_empty() && extra.is_empty()) {
        return Err(malformed("output or bytes of the patch are left over"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{fold, put_varint};

    fn patch(control: &[(u32, u32, i32)], diff: &[u8], extra: &[u8]) -> Vec<u8> {
        let mut words = Vec::new();
        for (add, insert, seek) in control {
            for number in [*add, *insert, fold(*seek)] {
                put_varint(number, &mut words);
            }
        }
        let lens = [words.len() as u32, diff.len() as u32].map(u32::to_le_bytes).concat();
        [&lens, &words, diff, extra].concat()
    }

    #[test]
    fn sums_insertions_and_steps_back() {
        let patch = patch(&[(2, 1, 1), (2, 0, -5), (1, 0, 0)], &[0, 1, 0, 255, 2], b"-");
        let mut out = [0; 6];
        apply(&patch, b"abcde", &mut out).unwrap();
        assert_eq!(&out, b"ac-ddc");
    }

    #[test]
    fn whatever_does_not_fit_is_refused() {
        for (bytes, len, name) in [
            (patch(&[(6, 0, 0)], &[0; 6], b""), 6, "beyond the old bytes"),
            (patch(&[(0, 0, -1), (1, 0, 0)], &[0], b""), 1, "before the old bytes"),
            (patch(&[(0, 0, i32::MAX), (0, 0, i32::MAX), (1, 0, 0)], &[0], b""), 1, "far away"),
            (patch(&[(2, 0, 0)], &[0; 2], b""), 1, "sum overflows"),
            (patch(&[(0, 2, 0)], &[], b"ab"), 1, "insertion overflows"),
            (patch(&[(1, 0, 0)], &[0], b""), 2, "output left"),
            (patch(&[(1, 0, 0)], &[0; 2], b""), 1, "difference left"),
            (patch(&[(1, 0, 0)], &[0], b"a"), 1, "insertion left"),
        ] {
            let result = apply(&bytes, b"abcde", &mut vec![0; len]);
            assert!(matches!(result, Err(Error::Patch { .. })), "{name}: {result:?}");
        }
        for bytes in [&[][..], &[0; 7], &[1, 0, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0, 0, 0]] {
            assert!(matches!(apply(bytes, b"", &mut []), Err(Error::Truncated)));
        }
        let short = patch(&[(2, 0, 0)], &[0], b"");
        assert!(matches!(apply(&short, b"abcde", &mut [0; 2]), Err(Error::Truncated)));
    }
}
