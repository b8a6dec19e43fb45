//! Asking for a file only if it is not the one that came before.

use std::fmt;

use super::Body;

/// What a server calls a file as it is now: an entity tag of RFC 9110, as the server wrote it.
///
/// Nothing is believed for it: whoever says that a file is the same could have sent the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// Longer ones are none: every request would carry it.
const MOST: usize = 128;

impl Tag {
    /// Takes `"…"` or `W/"…"`, of printable ASCII without blanks, at most 128 bytes.
    pub fn new(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
        let good = text.len() <= MOST && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        good.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What comes of asking for a file that may be the same.
#[derive(Debug)]
pub enum Answer {
    /// It is the one that the tag was given for.
    Same,
    /// It is another, or nobody can tell.
    New {
        /// From its first byte on.
        body: Body,
        /// What it is called, if it is called anything.
        tag: Option<Tag>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_and_fit_into_a_line() {
        for text in ["\"\"", "\"a1-b2\"", "W/\"x\"", &format!("\"{}\"", "a".repeat(126))] {
            assert_eq!(Tag::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "\"",
            "x",
            "W/x",
            "w/\"x\"",
            "\"a\"b\"",
            "\"a b\"",
            "\"a\r\nx: y\"",
            "\"ü\"",
            &format!("\"{}\"", "a".repeat(127)),
        ] {
            assert_eq!(Tag::new(text), None, "{text:?}");
        }
    }
}
