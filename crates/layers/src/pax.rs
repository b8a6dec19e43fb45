//! PAX extended headers: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record in decimal.
//!
//! | key | effect |
//! |---|---|
//! | `path`, `linkpath` | replace the header's names; empty means "not set" |
//! | `size` | must repeat the header's size |
//! | `uid`, `gid`, `mtime` | replace the header's numbers; fractions of a second are dropped |
//! | `SCHILY.xattr.NAME` | extended attribute; the value may be empty or hold any byte |
//! | `GNU.sparse.*` | refused |
//! | anything else | ignored: times, user names, comments, vendors' notes |

use crate::error::Refusal;
use crate::limits::{NAME_MAX, XATTR_COUNT_MAX, XATTR_VALUE_MAX};

const XATTR: &[u8] = b"SCHILY.xattr.";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<i64>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pax {
    /// Parses one header block. A repeated key is refused: readers disagree on which one counts.
    pub(crate) fn parse(block: &[u8]) -> Result<Self, Refusal> {
        let mut pax = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut rest = block;
        while !rest.is_empty() {
            let (key, value, next) = record(rest)?;
            rest = next;
            if !seen.insert(key) {
                return Err(Refusal::Pax("repeated key"));
            }
            pax.set(key, value)?;
        }
        pax.xattrs.sort();
        Ok(pax)
    }

    /// A global header may carry a comment (git writes one) and nothing that changes later entries.
    pub(crate) fn check_global(block: &[u8]) -> Result<(), Refusal> {
        let mut rest = block;
        while !rest.is_empty() {
            let (key, _, next) = record(rest)?;
            if key != b"comment" {
                return Err(Refusal::Pax("global header with effect"));
            }
            rest = next;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if let Some(name) = key.strip_prefix(XATTR) {
            return self.add_xattr(name, value);
        }
        if key.starts_with(b"GNU.sparse.") {
            return Err(Refusal::Pax("sparse file"));
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(seconds(value)?),
            _ => {}
        }
        Ok(())
    }

    fn add_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let shown = || Refusal::Xattr(String::from_utf8_lossy(name).chars().take(64).collect());
        if self.xattrs.len() >= XATTR_COUNT_MAX {
            return Err(Refusal::Limit("extended attributes of one entry"));
        }
        if value.len() > XATTR_VALUE_MAX {
            return Err(Refusal::Limit("extended attribute value"));
        }
        if name.len() > NAME_MAX || name.contains(&0) {
            return Err(shown());
        }
        let known = [&b"user."[..], b"security.", b"trusted.", b"system."];
        let known = known.iter().any(|space| name.len() > space.len() && name.starts_with(space));
        // overlayfs would obey these in a lower layer: redirect and opaque can expose or hide any path.
        let steering = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        if !known || steering {
            return Err(shown());
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

/// Key, value, and what follows the record.
type Split<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits the first record off.
fn record(block: &[u8]) -> Result<Split<'_>, Refusal> {
    let bad = Refusal::Pax;
    let space = block.iter().take(20).position(|b| *b == b' ').ok_or(bad("no length"))?;
    let digits = block.get(..space).ok_or(bad("no length"))?;
    let length = usize::try_from(number(digits)?).map_err(|_| bad("length"))?;
    if length <= space + 1 || length > block.len() {
        return Err(bad("length beyond the header"));
    }
    let (this, rest) = block.split_at(length);
    let body = this.get(space + 1..).and_then(|b| b.strip_suffix(b"\n")).ok_or(bad("no newline"))?;
    let equals = body.iter().position(|b| *b == b'=').ok_or(bad("no `=`"))?;
    let (key, value) = body.split_at(equals);
    if key.is_empty() {
        return Err(bad("empty key"));
    }
    Ok((key, value.get(1..).unwrap_or_default(), rest))
}

fn number(digits: &[u8]) -> Result<u64, Refusal> {
    let bad = Refusal::Pax("number");
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    std::str::from_utf8(digits).ok().and_then(|s| s.parse().ok()).ok_or(bad)
}

/// Whole seconds, rounded down, of a time such as `-1.5`.
fn seconds(value: &[u8]) -> Result<i64, Refusal> {
    let bad = || Refusal::Pax("time");
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let parsed: i64 = whole.parse().map_err(|_| bad())?;
    let down = whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    parsed.checked_sub(i64::from(down)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_effect() {
        let block = b"12 path=a\nb\n10 uid=70\n14 mtime=-1.5\n24 SCHILY.xattr.user.a=\n10 size=5\n";
        let pax = Pax::parse(block).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!((pax.uid, pax.size, pax.mtime), (Some(70), Some(5), Some(-2)));
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), vec![])]);
    }

    #[test]
    fn malformed_blocks_are_refused() {
        for block in [
            &b"x"[..],
            b"99 path=a\n",
            b"2 path=a\n",
            b"10 path=abc",
            b" path=a\n",
            b"+9 path=a\n",
            b"7 path\n",
            b"5 =a\n",
            b"9 path=a\n9 path=b\n",
            b"10 size=x\n",
            b"99999999999999999999999999 path=a\n",
            b"22 GNU.sparse.major=1\n",
            b"25 SCHILY.xattr.other.a=\n",
            b"41 SCHILY.xattr.trusted.overlay.opaque=y\n",
        ] {
            assert!(Pax::parse(block).is_err(), "{:?}", String::from_utf8_lossy(block));
        }
        assert!(Pax::check_global(b"11 path=/x\n").is_err());
        assert!(Pax::check_global(b"13 comment=x\n").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(block: Vec<u8>) {
            let _: Result<Pax, Refusal> = Pax::parse(&block);
        }
    }
}
