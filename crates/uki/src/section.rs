//! A UKI that nobody wants to hold in memory: one section of it, the root that it boots, whether it is whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use coracle_layout::{RootHash, cmdline, cmdline::Cmdline};

use crate::checksum::{self, Damage, Sum};
use crate::pe::{Error, Headers, u32_at};

/// Headers are not longer: the stub's have 1 KiB.
const MAX_HEAD: u64 = 16 << 10;
/// The longest command line that is read; x86 takes 2048.
const MAX_CMDLINE: usize = 64 << 10;
/// So many bytes are summed at a time.
const PIECE: u64 = 64 << 10;

/// Why a file is not what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file cannot be read.
    #[error("read the file")]
    File(#[from] io::Error),
    /// It is not a UKI.
    #[error(transparent)]
    Uki(#[from] Error),
    /// It was one.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The section is longer than wanted.
    #[error("section {name} has {len} bytes, more than {limit}")]
    TooLong {
        /// Its name.
        name: String,
        /// Its bytes.
        len: usize,
        /// How many are wanted.
        limit: usize,
    },
}

/// Where the bytes of a section lie in the file, if it has the section. Reads the headers, and checks what
/// [`Uki::parse`](crate::Uki::parse) does.
///
/// # Errors
/// [`Unread`].
pub fn find_section(file: &mut (impl Read + Seek), name: &str) -> Result<Option<Range<u64>>, Unread> {
    let (headers, _) = headers(file)?;
    let section = headers.sections.iter().find(|section| section.name == name);
    Ok(section.map(|section| section.data()).map(|data| data.start as u64..data.end as u64))
}

/// The bytes of a section of at most `limit` bytes, if the file has it. Reads what [`find_section`] does, and these bytes.
///
/// # Errors
/// [`Unread`].
pub fn read_section(
    file: &mut (impl Read + Seek),
    name: &str,
    limit: usize,
) -> Result<Option<Vec<u8>>, Unread> {
    let Some(data) = find_section(file, name)? else { return Ok(None) };
    let len = usize::try_from(data.end.saturating_sub(data.start)).unwrap_or(usize::MAX);
    if len > limit {
        return Err(Unread::TooLong { name: name.to_owned(), len, limit });
    }
    file.seek(SeekFrom::Start(data.start))?;
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// The root that a UKI names on its command line. Reads what [`read_section`] does.
///
/// # Errors
/// [`Unread`].
pub fn root_of(file: &mut (impl Read + Seek)) -> Result<Option<RootHash>, Unread> {
    let line = read_section(file, ".cmdline", MAX_CMDLINE)?.unwrap_or_default();
    let line = str::from_utf8(&line).unwrap_or_default();
    Ok(Cmdline::new(line.trim_end_matches('\0')).value(cmdline::ROOT_HASH).and_then(|hash| hash.parse().ok()))
}

/// Whether all of a file is as [`Uki::is_whole`](crate::Uki::is_whole) wants it. Reads all of it, in pieces.
///
/// # Errors
/// [`Unread`].
pub fn check_whole(file: &mut (impl Read + Seek)) -> Result<(), Unread> {
    let (headers, stated) = headers(file)?;
    file.rewind()?;
    let (mut sum, mut piece) = (Sum::new(headers.checksum()), Vec::new());
    while file.by_ref().take(PIECE).read_to_end(&mut piece)? > 0 {
        sum.add(&piece);
        piece.clear();
    }
    Ok(checksum::check(stated, sum.finish())?)
}

/// The headers, and the checksum that they state.
fn headers(file: &mut (impl Read + Seek)) -> Result<(Headers, u32), Unread> {
    let len = usize::try_from(file.seek(SeekFrom::End(0))?).unwrap_or(usize::MAX);
    file.rewind()?;
    let mut head = Vec::new();
    file.take(MAX_HEAD).read_to_end(&mut head)?;
    let headers = Headers::parse_head(&head, len)?;
    let stated = u32_at(&head, headers.checksum(), "checksum")?;
    Ok((headers, stated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::uki;
    use std::io::Cursor;

    #[test]
    fn a_section_is_read_alone() {
        let file = uki("quiet", &[7; 1000]);
        let read = |file: &[u8], name: &str, limit| read_section(&mut Cursor::new(file), name, limit);
        assert_eq!(read(&file, ".cmdline", 64).unwrap().unwrap(), b"quiet");
        let at = find_section(&mut Cursor::new(&file), ".linux").unwrap().unwrap();
        assert_eq!(file[at.start as usize..at.end as usize], [7; 1000]);
        assert_eq!(read(&file, ".initrd", 64).unwrap(), None);
        assert!(matches!(read(&file, ".linux", 64), Err(Unread::TooLong { len: 1000, .. })));
        assert!(matches!(read(&file[..file.len() - 600], ".cmdline", 64), Err(Unread::Uki(_))));
        assert!(matches!(read(b"MZ", ".cmdline", 64), Err(Unread::Uki(_))));
    }

    #[test]
    fn the_root_is_the_one_on_the_command_line() {
        let root = RootHash::new([7; 32]);
        for (line, want) in [(format!("quiet roothash={root}"), Some(root)), ("quiet".to_owned(), None)] {
            assert_eq!(root_of(&mut Cursor::new(uki(&line, b"linux"))).unwrap(), want, "{line}");
        }
    }
}
