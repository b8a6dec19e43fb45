//! Damaged images and forms: whatever happens to a byte, nothing panics, and nothing longer than the caps comes out.
//!
//! Each loop prints its seed; `BZIMAGE_SEED` repeats it, `BZIMAGE_ROUNDS` has it go on for longer.

mod common;

use std::io::{self, Cursor, Write};

use common::unpacked;
use coracle_bzimage::specimen::{content, image};
use coracle_bzimage::{BLOCK, MAX_CONTENT, pack, unpack};

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

fn loops(rounds: usize) -> (usize, Random) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("BZIMAGE_SEED").unwrap_or(now.as_nanos() as u64) | 1;
    println!("BZIMAGE_SEED={seed}");
    (number("BZIMAGE_ROUNDS").map_or(rounds, |rounds| rounds as usize), Random(seed))
}

/// Counts what comes out.
#[derive(Default)]
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Flips, sets, cuts out or doubles a few bytes, most of them near `places`.
fn mutate(bytes: &mut Vec<u8>, places: &[usize], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let near = places[random.below(places.len())] + random.below(24);
        let at = if random.below(4) == 0 { random.below(bytes.len()) } else { near.min(bytes.len() - 1) };
        let len = random.below(8).min(bytes.len() - at);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes[at] = random.below(256) as u8,
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
            _ if random.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
}

#[test]
fn images() {
    let good = image(&content(60_000, 11));
    let kernel = good.windows(4).position(|bytes| bytes == b"HdrS").unwrap() - 0x202;
    let frame = kernel + 4 * 512 + 100;
    // PE headers, the sections' table, the setup header, the frame's header and its first block.
    let places = [0x40, 0x58, 0x148, 0x170, kernel + 0x1f0, kernel + 0x248, frame, frame + 8];
    let (rounds, mut random) = loops(4000);
    let (mut came, most) = (0, MAX_CONTENT + good.len() as u64 + 3 * BLOCK as u64);
    for _ in 0..rounds {
        let mut bad = good.clone();
        mutate(&mut bad, &places, &mut random);
        let mut out = Count::default();
        if let Ok(header) = unpack(&mut Cursor::new(&bad), &mut out) {
            assert_eq!(header.form_len(), out.0);
            came += 1;
        }
        assert!(out.0 <= most, "{} bytes", out.0);
    }
    println!("{came} of {rounds} images were unpacked");
}

#[test]
fn forms() {
    let good = unpacked(&image(&content(60_000, 12))).unwrap();
    let (rounds, mut random) = loops(1500);
    let mut came = 0;
    for _ in 0..rounds {
        let mut bad = good.clone();
        mutate(&mut bad, &[0, 16, 32, 4090, 6000], &mut random);
        let mut out = Count::default();
        if let Ok(header) = pack(&mut &bad[..], &mut out) {
            assert_eq!(header.payload.image, out.0);
            came += 1;
        }
        assert!(out.0 <= 3 * good.len() as u64, "{} bytes", out.0);
    }
    println!("{came} of {rounds} forms were packed");
}
