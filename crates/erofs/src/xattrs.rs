//! Extended attributes, all of them inline behind their inode.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | name filter, unused without its feature bit: 0 |
//! | 4 | 1 | number of shared attributes: 0 |
//! | 5 | 7 | 0 |
//! | 12 | | entries, each padded with NUL to a multiple of 4 |
//!
//! | offset in the entry | bytes | field |
//! |---|---|---|
//! | 0 | 1 | length of the name behind the prefix |
//! | 1 | 1 | the prefix: 1 `user.`, 2 and 3 the POSIX ACLs (whole names), 4 `trusted.`, 6 `security.` |
//! | 2 | 2 | length of the value |
//! | 4 | | name, then value |

use std::collections::BTreeMap;

use crate::Error;

pub(crate) const HEADER: usize = 12;
const ENTRY: usize = 4;

/// The prefixes and their indexes. Whole names have nothing behind them, the others must.
const PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// The encoded attributes; empty without any. `path` is for the error.
pub(crate) fn encode(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>, path: &[u8]) -> Result<Vec<u8>, Error> {
    if xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; HEADER];
    for (name, value) in xattrs {
        entry(&mut bytes, name, value).ok_or_else(|| Error::Xattr {
            path: String::from_utf8_lossy(path).into_owned(),
            name: String::from_utf8_lossy(name).into_owned(),
        })?;
    }
    match icount(bytes.len()) {
        Some(_) => Ok(bytes),
        None => Err(Error::Xattrs { path: String::from_utf8_lossy(path).into_owned(), len: bytes.len() }),
    }
}

/// What the inode says about this many bytes of attributes; nothing when it cannot.
pub(crate) fn icount(len: usize) -> Option<u16> {
    match len.checked_sub(HEADER) {
        None => Some(0),
        Some(entries) => u16::try_from(entries / ENTRY + 1).ok(),
    }
}

/// The bytes that an inode's count stands for.
pub(crate) fn len(icount: u16) -> u64 {
    match icount.checked_sub(1) {
        None => 0,
        Some(more) => HEADER as u64 + ENTRY as u64 * u64::from(more),
    }
}

fn entry(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Option<()> {
    let (index, suffix) = PREFIXES.iter().find_map(|&(index, prefix)| {
        let suffix = name.strip_prefix(prefix)?;
        (prefix.ends_with(b".") != suffix.is_empty()).then_some((index, suffix))
    })?;
    if suffix.contains(&0) {
        return None;
    }
    bytes.extend_from_slice(&[u8::try_from(suffix.len()).ok()?, index]);
    bytes.extend_from_slice(&u16::try_from(value.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(suffix);
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(ENTRY), 0);
    Some(())
}

/// The attributes behind an inode; nothing when they are malformed, shared or of an unknown prefix.
pub(crate) fn decode(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut xattrs = BTreeMap::new();
    if bytes.is_empty() {
        return Some(xattrs);
    }
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    if header[4] != 0 {
        return None;
    }
    while let Some((head, behind)) = rest.split_first_chunk::<ENTRY>() {
        let [name_len, index, low, high] = *head;
        let (_, prefix) = PREFIXES.iter().find(|(known, _)| *known == index)?;
        let (suffix, behind) = behind.split_at_checked(usize::from(name_len))?;
        let (value, _) = behind.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        xattrs.insert([prefix, suffix].concat(), value.to_vec());
        let used = (ENTRY + suffix.len() + value.len()).next_multiple_of(ENTRY);
        rest = rest.get(used..)?;
    }
    rest.is_empty().then_some(xattrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &[u8], value: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        BTreeMap::from([(name.to_vec(), value.to_vec())])
    }

    #[test]
    fn names_need_a_known_prefix() {
        let cases: &[(&[u8], bool)] = &[
            (b"user.a", true),
            (b"trusted.overlay.opaque", true),
            (b"security.capability", true),
            (b"system.posix_acl_access", true),
            (b"system.posix_acl_default", true),
            (b"system.posix_acl_access.more", false),
            (b"user.", false),
            (b"user.a\0", false),
            (b"lustre.a", false),
            (b"", false),
        ];
        for (name, fits) in cases {
            assert_eq!(encode(&one(name, b"v"), b"p").is_ok(), *fits, "{name:?}");
        }
        assert!(encode(&one(b"user.a", &[0; 65535]), b"p").is_ok());
        assert!(encode(&one(b"user.a", &[0; 65536]), b"p").is_err());
        assert!(encode(&one(&[b"user.".as_slice(), &[b'n'; 256]].concat(), b""), b"p").is_err());
    }

    #[test]
    fn attributes_survive() {
        let mut xattrs = one(b"user.empty", b"");
        xattrs.extend(one(b"security.capability", &[1, 2, 3, 4, 5]));
        xattrs.extend(one(b"system.posix_acl_access", b"acl"));
        let bytes = encode(&xattrs, b"p").unwrap();
        assert_eq!(len(icount(bytes.len()).unwrap()), bytes.len() as u64);
        assert_eq!(decode(&bytes), Some(xattrs));
        assert_eq!((icount(0), len(0)), (Some(0), 0));
    }

    #[test]
    fn more_than_the_count_can_say_is_refused() {
        let many: BTreeMap<_, _> =
            (0..5).map(|index| (format!("user.{index}").into_bytes(), vec![0; 60_000])).collect();
        assert!(matches!(encode(&many, b"p"), Err(Error::Xattrs { .. })));
    }
}
