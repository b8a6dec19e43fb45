//! Where the bytes of a regular file come from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

/// The bytes of a regular file: in memory, or a range of a file on the host.
#[derive(Debug, Clone)]
pub enum Content {
    /// The bytes themselves, shared between clones.
    Bytes(Arc<[u8]>),
    /// `len` bytes from `offset` of the file at `path`, read when the image is written.
    File {
        /// The file on the host.
        path: PathBuf,
        /// Where the range begins.
        offset: u64,
        /// How long the range is.
        len: u64,
    },
}

impl Content {
    /// How many bytes the regular file will have.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether the regular file will be empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens the bytes for reading from their beginning.
    ///
    /// The reader ends after [`Content::len`] bytes. It ends earlier when the host's file has become shorter: whoever
    /// copies counts.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(&bytes[..])),
            Self::File { path, offset, len } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
                Ok(Box::new(file.take(*len)))
            }
        }
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        content.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn bytes_and_ranges_read_alike() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let range = |offset, len| Content::File { path: file.path().into(), offset, len };
        assert_eq!(read(&Content::from(&b"345"[..])), b"345");
        assert_eq!(read(&range(3, 3)), b"345");
        assert_eq!(read(&range(8, 9)), b"89", "a short file ends early");
        assert!(range(8, 0).is_empty());
        assert_eq!(range(8, 9).len(), 9);
        let gone = Content::File { path: "does/not/exist".into(), offset: 0, len: 1 };
        assert!(gone.open().is_err());
    }
}
