//! One section of a UKI that nobody wants to hold in memory.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::pe::{Error, Headers};

/// Headers are not longer: the stub's have 1 KiB.
const MAX_HEAD: u64 = 16 << 10;

/// Why a section is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file cannot be read.
    #[error("read the file")]
    File(#[from] io::Error),
    /// It is not a UKI.
    #[error(transparent)]
    Uki(#[from] Error),
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
    let len = usize::try_from(file.seek(SeekFrom::End(0))?).unwrap_or(usize::MAX);
    file.rewind()?;
    let mut head = Vec::new();
    file.take(MAX_HEAD).read_to_end(&mut head)?;
    let headers = Headers::parse_head(&head, len)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::tests::{stub_file, three_sections};
    use crate::{Stub, assemble};
    use std::io::Cursor;

    #[test]
    fn a_section_is_read_alone() {
        let stub = stub_file();
        let file = assemble(&Stub::parse(&stub).unwrap(), &three_sections()).unwrap();
        let read = |file: &[u8], name: &str, limit| read_section(&mut Cursor::new(file), name, limit);
        assert_eq!(read(&file, ".cmdline", 64).unwrap().unwrap(), b"quiet");
        let at = find_section(&mut Cursor::new(&file), ".linux").unwrap().unwrap();
        assert_eq!(file[at.start as usize..at.end as usize], [7; 1000]);
        assert_eq!(read(&file, ".initrd", 64).unwrap(), None);
        assert!(matches!(read(&file, ".linux", 64), Err(Unread::TooLong { len: 1000, .. })));
        assert!(matches!(read(&file[..file.len() - 600], ".cmdline", 64), Err(Unread::Uki(_))));
        assert!(matches!(read(b"MZ", ".cmdline", 64), Err(Unread::Uki(_))));
    }
}
