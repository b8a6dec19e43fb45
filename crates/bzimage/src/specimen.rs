//! Small kernel images made by hand, for tests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // Of their own numbers.

use crate::compress;

/// Sectors before the protected-mode code, less one.
const SECTORS: usize = 3;
/// Where the payload begins in it.
const OFFSET: usize = 100;
const AT: usize = (SECTORS + 1) * 512 + OFFSET;

/// Bytes as a kernel has them: runs, words that come again, and now and then something new.
pub fn content(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        match next() % 4 {
            0 => bytes.extend((0..next() % 24).map(|_| 0x90)),
            1 if bytes.len() > 4096 => {
                let from = bytes.len() - 1 - next() as usize % 4000;
                let again: Vec<u8> = bytes[from..].iter().copied().take(next() as usize % 32).collect();
                bytes.extend(again);
            }
            _ => bytes.extend((next() as u64 * 0x1_0001).to_le_bytes()),
        }
    }
    bytes.truncate(len);
    bytes
}

/// The frame that the builder puts into a kernel.
pub fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let len = compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
    assert_eq!(len, frame.len() as u64);
    frame
}

/// A kernel with this frame in it.
pub fn bzimage(frame: &[u8], content_len: usize) -> Vec<u8> {
    let mut kernel: Vec<u8> = (0..AT).map(|at| (at * 7) as u8).collect();
    kernel[0x1f1] = SECTORS as u8;
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    kernel[0x248..0x24c].copy_from_slice(&(OFFSET as u32).to_le_bytes());
    kernel[0x24c..0x250].copy_from_slice(&(frame.len() as u32 + 4).to_le_bytes());
    kernel.extend(frame);
    kernel.extend((content_len as u32).to_le_bytes());
    kernel.extend([0xe9; 3000]);
    kernel
}

/// An image with this kernel.
pub fn uki(kernel: &[u8]) -> Vec<u8> {
    coracle_uki::specimen::uki("quiet", kernel)
}

/// An image whose kernel has this content, as the builder makes it.
pub fn image(content: &[u8]) -> Vec<u8> {
    uki(&bzimage(&frame(content), content.len()))
}
