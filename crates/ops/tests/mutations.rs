//! Damaged files: whatever happens to a byte, it is refused or the right bytes come out, and nothing panics.
//!
//! Each loop prints its seed; `OPS_SEED` repeats it, `OPS_ROUNDS` has it go on for longer.

mod common;

use common::raw::*;
use common::{Random, apply, apply_from, body, delta_file, header, plausible, sha256, small_example};
use coracle_ops::{Error, Header, Kind, Prologue};

/// Rounds, and a seed that is another one each time.
fn loops(rounds: usize) -> (usize, Random) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("OPS_SEED").unwrap_or(now.as_nanos() as u64) | 1;
    println!("OPS_SEED={seed}");
    (number("OPS_ROUNDS").map_or(rounds, |rounds| rounds as usize), Random(seed))
}

/// Flips, sets, cuts out or doubles a few bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let len = random.below(8).min(bytes.len() - at);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes[at] = random.next() as u8,
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }
}

#[test]
fn every_byte_of_a_file() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    let trusted = header(&file).unwrap();
    let head_len = Prologue::parse(&file).unwrap().header_len();
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            if at < head_len {
                let result = Prologue::parse(&damaged)
                    .and_then(|prologue| damaged.get(..prologue.header_len()).ok_or(Error::Truncated))
                    .and_then(|head| Header::parse(head, trusted.digest()));
                assert!(result.is_err(), "byte {at}");
            } else {
                let op =
                    trusted.ops().iter().position(|op| at < (op.body_at + u64::from(op.body_len)) as usize);
                let op = op.expect("a body");
                let mut applier = coracle_ops::Applier::new(&trusted, &source[..]);
                let result = applier.apply(op, body(&damaged, &trusted, op), &target[..]);
                assert!(matches!(result, Err(Error::Body { .. })), "byte {at}");
            }
        }
    }
    let mut out = vec![0; target.len()];
    apply_from(0, &file, &trusted, &source[..], &mut out).unwrap();
    assert!(out == target);
}

/// A publisher gone mad: the hash of the header holds, the header does not make sense.
#[test]
fn headers_that_are_trusted_and_wrong() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    let head_len = Prologue::parse(&file).unwrap().header_len();
    let mut unpacked = vec![0; u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize];
    zstd_safe::decompress(&mut unpacked[..], &file[20..head_len]).unwrap();
    let (rounds, mut random) = loops(3000);
    let mut read = 0;
    for _ in 0..rounds {
        let mut header = unpacked.clone();
        mutate(&mut header, &mut random);
        let damaged = [head(&header), file[head_len..].to_vec()].concat();
        let Ok(header) = common::header(&damaged) else { continue };
        read += 1;
        let mut applier = coracle_ops::Applier::new(&header, &source[..]);
        for op in 0..header.ops().len() {
            let _ = applier.apply(op, body(&damaged, &header, op), &target[..]); // only a panic would be wrong
        }
        let lens: u64 = header.ops().iter().map(|op| u64::from(op.len)).sum();
        assert_eq!(lens, header.target().len);
    }
    println!("{read} of {rounds} were read");
}

#[test]
fn heads_of_any_bytes() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    let (rounds, mut random) = loops(3000);
    for round in 0..rounds {
        let mut head = if round % 4 == 0 { random.bytes(200) } else { file[..600.min(file.len())].to_vec() };
        mutate(&mut head, &mut random);
        let _ = common::header(&head); // only a panic would be wrong
        let digest = sha256(&head);
        let _ = Header::parse(&head, &digest); // the same
    }
}

/// Bodies whose hash holds and that do not make sense: frames and patches meet their own checks.
#[test]
fn bodies_that_are_trusted_and_wrong() {
    let (rounds, mut random) = loops(3000);
    let old = plausible(&mut random, 3 * 4096);
    let output = [&old[100..5000], &random.bytes(50)].concat();
    let plain = patch(&[(4000, 20, 7), (800, 20, 3), (60, 50, 0)], &vec![0; 4860], &[3; 90]);
    let mut done = 0;
    for _ in 0..rounds {
        let kind = [ZSTD, PREFIX, BSDIFF][random.below(3)];
        let mut body = match kind {
            ZSTD => pack(&output, &[]),
            PREFIX => pack(&output, &old),
            _ => {
                let mut plain = plain.clone();
                mutate(&mut plain, &mut random);
                pack(&plain, &[])
            }
        };
        if random.below(2) == 0 {
            mutate(&mut body, &mut random);
        }
        if body.is_empty() {
            continue;
        }
        let file = file(old.len() as u64, &[RawOp::packed(kind, &output, &[(0, 3)], body)]);
        match apply(&file, &old[..]) {
            Ok(out) => {
                done += 1;
                assert!(out == output);
            }
            Err(error) => assert!(!matches!(error, Error::Body { .. }), "{error}"),
        }
    }
    println!("{done} of {rounds} came out");
}

#[test]
fn the_example_is_worth_damaging() {
    let (source, target) = small_example();
    let header = header(&delta_file(&source, &target)).unwrap();
    assert!(header.ops().iter().any(|op| op.kind == Kind::Bsdiff));
}
