//! Names of directory entries, and targets of symbolic links.

use crate::{BadName, Error};

/// The name of one directory entry: 1 to 255 bytes, without `/` and NUL, neither `.` nor `..`.
///
/// Ordered by bytes. Not necessarily UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The longest name Linux accepts.
    pub const MAX: usize = 255;

    /// Checks a name; this is the only place that does.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, Error> {
        let name = name.as_ref();
        let why = match name {
            [] => BadName::Empty,
            b"." | b".." => BadName::Reserved,
            _ if name.iter().any(|&byte| byte == b'/' || byte == 0) => BadName::Forbidden,
            _ if name.len() > Self::MAX => BadName::TooLong,
            _ => return Ok(Self(name.into())),
        };
        Err(Error::Name { name: String::from_utf8_lossy(name).into_owned(), why })
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Splits a path into names: one leading `/` is dropped, the empty rest is the root.
    pub(crate) fn split(path: &[u8]) -> Result<Vec<Self>, Error> {
        match path.strip_prefix(b"/").unwrap_or(path) {
            [] => Ok(Vec::new()),
            rest => rest.split(|&byte| byte == b'/').map(Self::new).collect(),
        }
    }
}

/// Where a symbolic link points: 1 to 4095 bytes without NUL, kept as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Box<[u8]>);

impl Target {
    /// The longest target that Linux resolves (`PATH_MAX` without its NUL).
    pub const MAX: usize = 4095;

    /// Checks a target; this is the only place that does.
    pub fn new(target: impl AsRef<[u8]>) -> Result<Self, Error> {
        let target = target.as_ref();
        if target.is_empty() || target.len() > Self::MAX || target.contains(&0) {
            return Err(Error::Target { len: target.len() });
        }
        Ok(Self(target.into()))
    }

    /// The bytes of the target.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_their_bytes() {
        let long = [b'a'; 256];
        let cases: &[(&[u8], Option<BadName>)] = &[
            (b"a", None),
            (b"...", None),
            (b".hidden", None),
            (b"\xff\xfe", None),
            (&long[..255], None),
            (b"", Some(BadName::Empty)),
            (b".", Some(BadName::Reserved)),
            (b"..", Some(BadName::Reserved)),
            (b"a/b", Some(BadName::Forbidden)),
            (b"a\0b", Some(BadName::Forbidden)),
            (&long, Some(BadName::TooLong)),
        ];
        for (name, want) in cases {
            let got = match Name::new(name) {
                Ok(_) => None,
                Err(Error::Name { why, .. }) => Some(why),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(got, *want, "{name:?}");
        }
    }

    #[test]
    fn paths_split_at_slashes() {
        let cases: &[(&[u8], Option<usize>)] = &[
            (b"", Some(0)),
            (b"/", Some(0)),
            (b"a", Some(1)),
            (b"/a/b", Some(2)),
            (b"a//b", None),
            (b"a/", None),
            (b"//a", None),
            (b"a/../b", None),
        ];
        for (path, want) in cases {
            assert_eq!(Name::split(path).ok().map(|names| names.len()), *want, "{path:?}");
        }
    }

    #[test]
    fn targets_have_bounds() {
        for (target, fits) in [
            (&b"../x"[..], true),
            (b"", false),
            (b"a\0", false),
            (&[b'x'; 4095], true),
            (&[b'x'; 4096], false),
        ] {
            assert_eq!(Target::new(target).is_ok(), fits, "{} bytes", target.len());
        }
    }
}
