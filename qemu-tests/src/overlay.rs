//! A disk as a power cut has left it, to be read without being written: the disk before, and over it what is there of the
//! recorded writes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What a disk writes whole.
const SECTOR: u64 = 512;

/// A disk of the same length as the one before.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a File,
    sectors: HashMap<u64, &'a [u8]>,
}

impl<'a> Overlay<'a> {
    /// These writes, of whole sectors and in this order, over `base`.
    pub fn new(base: &'a File, writes: impl Iterator<Item = (u64, &'a [u8])>) -> Self {
        let mut sectors = HashMap::new();
        for (offset, bytes) in writes {
            sectors.extend((offset / SECTOR..).zip(bytes.chunks(SECTOR as usize)));
        }
        Self { base, sectors }
    }

    /// Fills `into` from this byte of the disk on.
    ///
    /// # Errors
    /// Those of reading the disk before.
    pub fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.base.read_exact_at(into, offset)?;
        let end = offset + into.len() as u64;
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let Some(bytes) = self.sectors.get(&sector) else { continue };
            let start = sector * SECTOR;
            let (from, to) = (start.max(offset), (start + SECTOR).min(end));
            into[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    /// A part of it, given in bytes, as if it were a file.
    pub fn window(&self, part: Range<u64>) -> Window<'_> {
        Window { disk: self, part, at: 0 }
    }
}

/// A part of a disk, as if it were a file.
#[derive(Debug, Clone)]
pub struct Window<'a> {
    disk: &'a Overlay<'a>,
    part: Range<u64>,
    at: u64,
}

impl Window<'_> {
    fn len(&self) -> u64 {
        self.part.end - self.part.start
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = rest.min(into.len());
        self.disk.read_exact_at(&mut into[..count], self.part.start + self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_read() {
        let base = tempfile::tempfile().unwrap();
        base.write_all_at(&[9; 2048], 0).unwrap();
        let (one, two) = ([1; 1024], [2; 512]);
        let disk = Overlay::new(&base, [(512, &one[..]), (1024, &two[..])].into_iter());
        let mut bytes = [0; 2048];
        disk.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, [[9; 512], [1; 512], [2; 512], [9; 512]].concat()[..]);
        for (from, to) in [(0, 2048), (700, 701), (1000, 1600), (512, 1024)] {
            let mut part = Vec::new();
            disk.window(from..to).read_to_end(&mut part).unwrap();
            assert_eq!(part, bytes[from as usize..to as usize], "{from}..{to}");
        }
        let mut window = disk.window(1000..2000);
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 999);
        assert_eq!(window.read(&mut [0; 9]).unwrap(), 1);
        assert_eq!(window.read(&mut [0; 9]).unwrap(), 0);
    }
}
