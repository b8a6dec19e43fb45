//! A range of an image, read as if it were a file of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

/// Bytes `start .. start + len` of a file. Windows over one file do not disturb each other.
#[derive(Debug, Clone)]
pub(super) struct Window<'a> {
    file: &'a File,
    start: u64,
    len: u64,
    at: u64,
}

impl<'a> Window<'a> {
    pub fn new(file: &'a File, start: u64, len: u64) -> Self {
        Self { file, start, len, at: 0 }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// The first `len` bytes of it, at most.
    pub fn head(&self, len: u64) -> Self {
        Self { len: self.len.min(len), at: 0, ..self.clone() }
    }

    /// Bytes at a place.
    pub fn bytes_at<const N: usize>(&self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        let mut reader = self.clone();
        reader.seek(SeekFrom::Start(at))?;
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(into.len());
        let read = self.file.read_at(&mut into[..count], self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nothing_outside_is_read() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut window = Window::new(&file, 2, 5);
        let mut all = Vec::new();
        window.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"23456");
        assert_eq!(window.bytes_at::<2>(3).unwrap(), *b"56");
        assert!(window.bytes_at::<2>(4).is_err());
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 4);
        assert_eq!(window.seek(SeekFrom::Current(9)).unwrap(), 13);
        assert_eq!(window.read(&mut [0; 4]).unwrap(), 0);
        assert!(window.seek(SeekFrom::End(-6)).is_err());
        assert_eq!(window.head(3).len(), 3);
    }
}
