//! What several tests need: images, whole files done at once, and files written by hand after the format's tables.
#![allow(dead_code, unused_imports)] // Each test uses its part.

pub mod raw;

use coracle_ops::{Applier, Error, Header, Prologue, ReadAt};
use sha2::{Digest as _, Sha256};

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Numbers that look random and are the same for the same seed (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// The head of a file and its header, trusted as it is.
pub fn header(file: &[u8]) -> Result<Header, Error> {
    let head = file.get(..Prologue::parse(file)?.header_len()).ok_or(Error::Truncated)?;
    Header::parse(head, &sha256(head))
}

/// The body of an operation.
pub fn body<'a>(file: &'a [u8], header: &Header, op: usize) -> &'a [u8] {
    let op = &header.ops()[op];
    let start = (op.body_at as usize).min(file.len());
    &file[start..(start + op.body_len as usize).min(file.len())]
}

/// Does all operations from one on, into what is there of the target.
pub fn apply_from(
    from: usize,
    file: &[u8],
    header: &Header,
    source: impl ReadAt,
    out: &mut [u8],
) -> Result<(), Error> {
    let mut applier = Applier::new(header, source);
    for op in from..header.ops().len() {
        let output = applier.apply(op, body(file, header, op), &*out)?;
        out[output.at as usize..][..output.bytes.len()].copy_from_slice(output.bytes);
    }
    Ok(())
}

pub fn apply(file: &[u8], source: impl ReadAt) -> Result<Vec<u8>, Error> {
    let header = header(file)?;
    let mut out = vec![0xee; header.target().len as usize];
    apply_from(0, file, &header, source, &mut out)?;
    Ok(out)
}

#[cfg(feature = "build")]
pub use build::*;

#[cfg(feature = "build")]
mod build {
    use coracle_ops::build::{Image, delta, full};

    use super::Random;

    pub fn image(bytes: &[u8]) -> Image<&[u8]> {
        Image::hashed(bytes, bytes.len() as u64).expect("neither empty nor huge")
    }

    pub fn full_file(target: &[u8]) -> Vec<u8> {
        let mut bodies = Vec::new();
        let made = full(&image(target), &mut bodies).expect("memory takes everything");
        assert_eq!(made.header.file_len(), (made.head.len() + bodies.len()) as u64);
        [made.head, bodies].concat()
    }

    pub fn delta_file(source: &[u8], target: &[u8]) -> Vec<u8> {
        let mut bodies = Vec::new();
        let made = delta(&image(source), &image(target), &mut bodies).expect("memory takes everything");
        assert_eq!(made.header.file_len(), (made.head.len() + bodies.len()) as u64);
        [made.head, bodies].concat()
    }

    /// Bytes that shrink about as much as programs do.
    pub fn plausible(random: &mut Random, len: usize) -> Vec<u8> {
        let words: Vec<Vec<u8>> = (0..64)
            .map(|_| {
                let len = 3 + random.below(12);
                random.bytes(len)
            })
            .collect();
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend(&words[random.below(64)]);
            bytes.push(random.below(256) as u8);
        }
        bytes.truncate(len);
        bytes
    }

    /// Two images, between them everything that a delta knows; the second does not end with a block.
    pub fn small_example() -> (Vec<u8>, Vec<u8>) {
        let mut random = Random(1);
        let kept = random.bytes(18 * 4096);
        let code: Vec<u32> = (0..8 * 1024).map(|_| random.next() as u32 >> 12).collect();
        let moved = |by: u32| {
            code.iter()
                .enumerate()
                .flat_map(move |(at, word)| (word + if at % 3 == 0 { by } else { 0 }).to_le_bytes())
        };
        let text = plausible(&mut random, 3 * 4096);
        let source = [&kept[..], &moved(0).collect::<Vec<u8>>(), &text].concat();
        let mut edited = text[100..].to_vec();
        edited.splice(5000..5000, *b"put in between");
        let target = [
            &kept[4096..],
            &moved(16).collect::<Vec<u8>>(),
            &[0; 17 * 4096],
            &edited,
            &[0; 4096 + 86],
            &kept[..17 * 4096],
            &random.bytes(700),
        ];
        (source, target.concat())
    }
}
