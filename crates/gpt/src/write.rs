//! The writes that put a table on a disk, in an order that survives a power cut at any of them.

use std::io::{self, Seek, SeekFrom, Write};

use crate::error::Side;
use crate::header::{array_lba, encode_array, encode_header};
use crate::mbr;
use crate::table::Table;

/// One thing to do to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Put whole sectors at a byte offset.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Wait until everything before is on the medium.
    Flush,
}

impl Table {
    /// The steps that write this table over one whose `good` copy is known to be whole, as [`Table::read`] told.
    ///
    /// For [`Side::Primary`], also right for a disk that has no table yet:
    ///
    /// 1. Backup array, backup header. Power lost here means: the old primary is read.
    /// 2. Flush. Power lost after it means: the old primary is read, and the new backup is there should that fail.
    /// 3. Protective MBR, primary array, primary header. Power lost here means: while header and array belong together, the
    ///    old primary is read; while they do not, the checksum fails and the new backup is read.
    /// 4. Flush. Power lost after it means: the new primary is read.
    ///
    /// For [`Side::Backup`] the primary is bad and the backup must not be touched before there is another copy, so the order
    /// is 3, 4, 1, 2: power lost during 3 means that the old backup is read, later that the new primary is.
    pub fn steps(&self, good: Side) -> Vec<Step> {
        let array = encode_array(self);
        let copy = |side| {
            let header = match side {
                Side::Primary => 1,
                Side::Backup => self.last().0,
            };
            [
                self.write(array_lba(self, side).0, array.clone()),
                self.write(header, encode_header(self, side, &array)),
                Step::Flush,
            ]
        };
        let primary = std::iter::once(self.write(0, mbr::encode(self))).chain(copy(Side::Primary));
        match good {
            Side::Primary => copy(Side::Backup).into_iter().chain(primary).collect(),
            Side::Backup => primary.chain(copy(Side::Backup)).collect(),
        }
    }

    fn write(&self, lba: u64, bytes: Vec<u8>) -> Step {
        Step::Write { offset: lba * self.sector_size().bytes(), bytes }
    }
}

/// Carries out steps. `flush` makes everything written so far durable: `File::sync_data` for a file or a disk.
pub fn apply<D: Write + Seek>(
    steps: &[Step],
    disk: &mut D,
    mut flush: impl FnMut(&mut D) -> io::Result<()>,
) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Write { offset, bytes } => {
                disk.seek(SeekFrom::Start(*offset))?;
                disk.write_all(bytes)?;
            }
            Step::Flush => {
                disk.flush()?;
                flush(disk)?;
            }
        }
    }
    Ok(())
}
