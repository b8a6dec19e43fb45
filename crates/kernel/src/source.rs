//! The kernel's source tarball and its digest.

use crate::Error;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where the distribution's package `linux-source-6.12` puts its tarball.
pub const DISTRIBUTION: &str = "/usr/src/linux-source-6.12.tar.xz";

/// Where the source comes from, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A tarball of the distribution: its package manager checked the signature.
    Distribution(PathBuf),
    /// A tarball from anywhere else: it must have this digest (64 lower-case hexadecimal digits).
    Pinned {
        /// The tarball.
        path: PathBuf,
        /// Its SHA-256.
        sha256: String,
    },
}

impl Source {
    /// The tarball.
    pub fn path(&self) -> &Path {
        match self {
            Source::Distribution(path) | Source::Pinned { path, .. } => path,
        }
    }

    /// Reads the whole tarball; the digest in hexadecimal. A pinned one that differs is an error.
    pub fn digest(&self) -> Result<String, Error> {
        let path = self.path();
        let failed = |source| Error::ReadSource { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
        }
        let got = hex(&hash.finalize());
        match self {
            Source::Pinned { sha256, .. } if *sha256 != got => {
                Err(Error::SourceDigest { path: path.to_path_buf(), want: sha256.clone(), got })
            }
            _ => Ok(got),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_pinned_tarball_must_match() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_path_buf();
        assert_eq!(Source::Distribution(path.clone()).digest().unwrap(), EMPTY);
        assert_eq!(Source::Pinned { path: path.clone(), sha256: EMPTY.into() }.digest().unwrap(), EMPTY);
        let wrong = Source::Pinned { path, sha256: EMPTY.replace('e', "f") };
        assert!(matches!(wrong.digest(), Err(Error::SourceDigest { .. })));
    }
}
