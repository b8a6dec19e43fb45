//! Reading the raw image chunk by chunk and telling zeros from data.

use std::io::{Read, Seek, SeekFrom};

use crate::Error;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Zeros,
    Data,
}

/// The raw image in chunks of one size; the last one is filled up with zeros.
pub(crate) struct Chunks<'a, R> {
    input: &'a mut R,
    len: u64,
    /// Where the input stands.
    position: u64,
    buffer: Vec<u8>,
}

impl<'a, R: Read + Seek> Chunks<'a, R> {
    pub fn new(input: &'a mut R, len: u64, chunk: usize) -> Result<Self, Error> {
        input.seek(SeekFrom::Start(0)).map_err(|source| Error::Read { offset: 0, source })?;
        Ok(Self { input, len, position: 0, buffer: vec![0; chunk] })
    }

    /// How many chunks the image has.
    pub fn count(&self) -> u64 {
        self.len.div_ceil(self.buffer.len() as u64)
    }

    /// Chunk `index`, below [`count`](Self::count).
    pub fn read(&mut self, index: u64) -> Result<(Content, &[u8]), Error> {
        let offset = index * self.buffer.len() as u64;
        let failed = |source| Error::Read { offset, source };
        if self.position != offset {
            self.input.seek(SeekFrom::Start(offset)).map_err(failed)?;
        }
        let wanted = (self.len - offset).min(self.buffer.len() as u64) as usize;
        self.buffer[wanted..].fill(0);
        self.input.read_exact(&mut self.buffer[..wanted]).map_err(failed)?;
        self.position = offset + wanted as u64;
        let content = if is_zero(&self.buffer) { Content::Zeros } else { Content::Data };
        Ok((content, &self.buffer))
    }
}

/// Compares by memcmp, which is fast in unoptimised builds too: an image is mostly zeros, so this is what a
/// build waits for.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|part| *part == ZEROS[..part.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn zeros_are_told_from_data_at_every_place() {
        for at in [0, 1, 4095, 4096, 4097, 8191, 8192, 9999] {
            let mut bytes = [0u8; 10_000];
            assert!(is_zero(&bytes));
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
        }
    }

    #[test]
    fn the_last_chunk_is_filled_up_and_order_does_not_matter() {
        let mut input = Cursor::new([0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        let mut chunks = Chunks::new(&mut input, 10, 4).unwrap();
        assert_eq!(chunks.count(), 3);
        assert_eq!(chunks.read(2).unwrap(), (Content::Data, [5, 6, 0, 0].as_slice()));
        assert_eq!(chunks.read(0).unwrap(), (Content::Zeros, [0; 4].as_slice()));
        assert_eq!(chunks.read(1).unwrap(), (Content::Data, [1, 2, 3, 4].as_slice()));
    }

    #[test]
    fn a_short_input_is_an_error_that_names_the_place() {
        let mut input = Cursor::new([1; 6]);
        let mut chunks = Chunks::new(&mut input, 10, 4).unwrap();
        assert!(chunks.read(0).is_ok());
        assert!(matches!(chunks.read(1), Err(Error::Read { offset: 4, .. })));
    }
}
