//! Names inside the image, purely lexical: nothing is ever looked up on the host.

use crate::error::Refusal;
use crate::limits::{NAME_MAX, PATH_MAX};

/// A path inside the image, from its root; the root itself has no components.
///
/// Stored with NUL between components, which no name can contain and which sorts below every byte:
/// parents come before children, and each subtree is one contiguous range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Parses a name as tar archives spell it: `./` prefixes, `.` and empty components are dropped.
    ///
    /// # Errors
    /// Absolute paths, `..`, NUL, over-long names and paths, more than `depth` components.
    pub fn parse(raw: &[u8], depth: usize) -> Result<Self, Refusal> {
        if raw.is_empty() {
            return Err(Refusal::Empty);
        }
        if raw.len() > PATH_MAX {
            return Err(Refusal::PathTooLong);
        }
        if raw.starts_with(b"/") {
            return Err(Refusal::AbsolutePath);
        }
        if raw.contains(&0) {
            return Err(Refusal::Nul);
        }
        let mut path = Self::default();
        let mut components = 0;
        for name in raw.split(|b| *b == b'/') {
            match name {
                b"" | b"." => continue,
                b".." => return Err(Refusal::DotDot),
                _ if name.len() > NAME_MAX => return Err(Refusal::NameTooLong),
                _ => {}
            }
            components += 1;
            if components > depth {
                return Err(Refusal::Limit("depth"));
            }
            path = path.join(name);
        }
        Ok(path)
    }

    /// Whether this is the root of the image.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the root downwards.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == 0).filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.components().last()
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let cut = self.0.iter().rposition(|b| *b == 0).unwrap_or(0);
        Some(Self(self.0.get(..cut).unwrap_or_default().to_vec()))
    }

    /// The components joined with `/`, no leading slash; empty for the root.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn join(mut self, name: &[u8]) -> Self {
        if !self.0.is_empty() {
            self.0.push(0);
        }
        self.0.extend_from_slice(name);
        self
    }

    /// The half-open range that holds everything below this path, not the path itself.
    pub(crate) fn below(&self) -> (std::ops::Bound<Self>, std::ops::Bound<Self>) {
        use std::ops::Bound::{Excluded, Unbounded};
        if self.is_root() {
            return (Excluded(self.clone()), Unbounded);
        }
        let mut end = self.0.clone();
        end.push(1);
        (Excluded(self.clone()), Excluded(Self(end)))
    }
}

impl std::fmt::Display for TreePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (raw, want) in [
            (&b"./"[..], &b""[..]),
            (b".", b""),
            (b"./a/b/", b"a/b"),
            (b"a//./b", b"a/b"),
            (b"a..b", b"a..b"),
            (b"\xff", b"\xff"),
        ] {
            assert_eq!(TreePath::parse(raw, 8).unwrap().to_bytes(), want);
        }
    }

    #[test]
    fn refused_spellings() {
        let long_name = vec![b'a'; 256];
        let long_path = b"a/".repeat(2048);
        for (raw, want) in [
            (&b""[..], "empty name"),
            (b"/etc", "absolute path"),
            (b"a/../b", "`..` in path"),
            (b"..", "`..` in path"),
            (b"a\0b", "NUL in name"),
            (b"1/2/3/4/5/6/7/8/9", "limit exceeded: depth"),
            (&long_name, "name longer than 255 bytes"),
            (&long_path, "path longer than 4095 bytes"),
        ] {
            assert_eq!(TreePath::parse(raw, 8).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn below_is_the_subtree_and_no_sibling() {
        let p = |s: &str| TreePath::parse(s.as_bytes(), 8).unwrap();
        let set: std::collections::BTreeSet<_> =
            ["a", "a-b", "a/b", "a/b/c", "a\u{1}", "b"].map(p).into_iter().collect();
        let got: Vec<_> = set.range(p("a").below()).cloned().collect();
        assert_eq!(got, [p("a/b"), p("a/b/c")]);
        assert_eq!(p("a/b").parent(), Some(p("a")));
        assert_eq!(p("a").parent(), Some(TreePath::default()));
        assert_eq!(p("a/b").name(), Some(&b"b"[..]));
    }
}
