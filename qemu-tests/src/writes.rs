//! Reads the log of a disk's writes that QEMU's `blklogwrites` keeps: the kernel's dm-log-writes, version 1
//! (`Documentation/admin-guide/device-mapper/log-writes.rst`, `drivers/md/dm-log-writes.c`).
//!
//! All numbers are little endian. The first sector of the log is:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `0x6a736677736872` |
//! | 8 | 8 | version, 1 |
//! | 16 | 8 | number of entries |
//! | 24 | 4 | bytes of a sector, the unit of everything else |
//!
//! Then one entry behind the other, each a sector that begins with:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | first sector on the disk |
//! | 8 | 8 | number of sectors |
//! | 16 | 8 | flags: 1 flush, 2 FUA, 4 discard, 8 mark |
//! | 24 | 8 | bytes of a mark's text, which follows in the same sector |
//!
//! and the data, as many sectors as it says, unless it is a discard.
//!
//! An entry is logged when it is complete, so all that a flush must cover stands before it. A write that was under way while
//! the disk flushed may stand before it too: it is taken for durable although the disk owed nothing.

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// A log with more entries has run wild.
const MAX_ENTRIES: u64 = 1 << 20;

/// How far a write has come when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Into the disk's cache, until the next flush.
    Cache,
    /// Onto the medium.
    Medium,
}

/// Something that was done to the disk. Offsets and lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes were written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: &'a [u8],
        /// How far.
        reach: Reach,
    },
    /// What was complete before is on the medium.
    Flush,
    /// What a part of the disk holds is no longer of interest; what is read there is anyone's guess.
    Discard {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Somebody's note.
    Mark,
}

/// Why bytes are no log of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The first sector is not that of a log.
    #[error("the log has no superblock")]
    NoSuperblock,
    /// It is one of another version.
    #[error("the log is of version {0}")]
    Version(u64),
    /// Its sectors are no power of two from 512 to 65536.
    #[error("the log has sectors of {0} bytes")]
    SectorSize(u32),
    /// It announces more than is accepted.
    #[error("the log has {0} entries")]
    TooMany(u64),
    /// It ends within an entry.
    #[error("the log ends in entry {0}")]
    Truncated(u64),
    /// An entry has flags that nobody defined.
    #[error("entry {entry} has flags {flags:#x}")]
    Flags {
        /// Which.
        entry: u64,
        /// All of them.
        flags: u64,
    },
    /// An entry lies where no disk reaches.
    #[error("entry {0} lies behind the end of every disk")]
    Offset(u64),
}

/// Everything in a log, in order. An entry that flushes and then writes becomes two events.
///
/// # Errors
/// [`Flaw`] with the first thing that is wrong. Bytes behind the last entry are not looked at.
pub fn parse(log: &[u8]) -> Result<Vec<Event<'_>>, Flaw> {
    let number = |at| field(log, at).ok_or(Flaw::NoSuperblock);
    if number(0)? != MAGIC {
        return Err(Flaw::NoSuperblock);
    }
    let version = number(8)?;
    if version != VERSION {
        return Err(Flaw::Version(version));
    }
    let count = number(16)?;
    if count > MAX_ENTRIES {
        return Err(Flaw::TooMany(count));
    }
    let sector = log.get(24..).and_then(<[u8]>::first_chunk).copied().ok_or(Flaw::NoSuperblock)?;
    let sector = u32::from_le_bytes(sector);
    if !sector.is_power_of_two() || !(512..=65536).contains(&sector) {
        return Err(Flaw::SectorSize(sector));
    }
    let mut rest = log.get(sector as usize..).ok_or(Flaw::NoSuperblock)?;
    let mut events = Vec::new();
    for entry in 0..count {
        rest = event(rest, entry, u64::from(sector), &mut events)?;
    }
    Ok(events)
}

/// Takes one entry off the front.
fn event<'a>(log: &'a [u8], entry: u64, unit: u64, events: &mut Vec<Event<'a>>) -> Result<&'a [u8], Flaw> {
    let number = |at| field(log, at).ok_or(Flaw::Truncated(entry));
    let bytes = |sectors: u64| sectors.checked_mul(unit).ok_or(Flaw::Offset(entry));
    let (offset, len, flags) = (bytes(number(0)?)?, bytes(number(8)?)?, number(16)?);
    if flags & !(FLUSH | FUA | DISCARD | MARK) != 0 {
        return Err(Flaw::Flags { entry, flags });
    }
    offset.checked_add(len).ok_or(Flaw::Offset(entry))?;
    let stored = if flags & DISCARD == 0 { len } else { 0 };
    let end = usize::try_from(unit.saturating_add(stored)).map_err(|_| Flaw::Truncated(entry))?;
    let (whole, rest) = log.split_at_checked(end).ok_or(Flaw::Truncated(entry))?;
    if flags & FLUSH != 0 {
        events.push(Event::Flush);
    }
    if flags & MARK != 0 {
        events.push(Event::Mark);
    } else if flags & DISCARD != 0 {
        events.push(Event::Discard { offset, len });
    } else if len > 0 {
        let reach = if flags & FUA == 0 { Reach::Cache } else { Reach::Medium };
        events.push(Event::Write { offset, bytes: &whole[unit as usize..], reach });
    }
    Ok(rest)
}

fn field(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(fields: &[u64], len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.resize(len, 0);
        bytes
    }

    fn log(unit: usize, entries: &[(u64, u64, u64, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = sector(&[MAGIC, VERSION, entries.len() as u64, unit as u64], unit);
        for (at, sectors, flags, data) in entries {
            bytes.extend(sector(&[*at, *sectors, *flags, 0], unit));
            bytes.extend(data);
        }
        bytes
    }

    #[test]
    fn every_kind_of_entry_is_read_in_order() {
        for unit in [512, 4096] {
            let (one, two) = (vec![1; unit], vec![2; 2 * unit]);
            let bytes = log(
                unit,
                &[
                    (3, 1, 0, one.clone()),
                    (0, 0, FLUSH, vec![]),
                    (7, 1 << 30, DISCARD, vec![]),
                    (0, 0, MARK, vec![]),
                    (5, 2, FLUSH | FUA, two.clone()),
                ],
            );
            let unit = unit as u64;
            let expected = [
                Event::Write { offset: 3 * unit, bytes: &one, reach: Reach::Cache },
                Event::Flush,
                Event::Discard { offset: 7 * unit, len: unit << 30 },
                Event::Mark,
                Event::Flush,
                Event::Write { offset: 5 * unit, bytes: &two, reach: Reach::Medium },
            ];
            assert_eq!(parse(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let whole = log(512, &[(3, 1, 0, vec![1; 512]), (0, 0, FLUSH, vec![])]);
        for len in 0..512 {
            assert_eq!(parse(&whole[..len]), Err(Flaw::NoSuperblock), "{len}");
        }
        for (len, entry) in [(512, 0), (1535, 0), (1536, 1), (2047, 1)] {
            assert_eq!(parse(&whole[..len]), Err(Flaw::Truncated(entry)), "{len}");
        }
        let with = |at: usize, value: u64| {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 1), Flaw::NoSuperblock);
        assert_eq!(with(8, 2), Flaw::Version(2));
        assert_eq!(with(16, u64::MAX), Flaw::TooMany(u64::MAX));
        assert_eq!(with(16, 3), Flaw::Truncated(2));
        for size in [0, 256, 513, 1 << 17] {
            assert_eq!(with(24, size), Flaw::SectorSize(size as u32));
        }
        assert_eq!(with(512 + 16, 16), Flaw::Flags { entry: 0, flags: 16 });
        assert_eq!(with(512, u64::MAX / 4), Flaw::Offset(0));
        assert_eq!(with(512 + 8, u64::MAX / 512), Flaw::Offset(0));
        assert_eq!(with(512 + 8, 1 << 40), Flaw::Truncated(0));
    }

    #[test]
    fn bytes_behind_the_last_entry_are_not_looked_at() {
        let mut bytes = log(512, &[(0, 0, FLUSH, vec![])]);
        bytes.extend([0xff; 700]);
        assert_eq!(parse(&bytes).unwrap(), [Event::Flush]);
    }
}
