//! Text in EFI variables: UCS-2, little endian, ended by a zero.

/// The text in front of the first zero, or all of it without one. `None` for what is not text: half a unit, or
/// a surrogate without its other half.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Vec<u16> = units(bytes).take_while(|unit| *unit != 0).collect();
    String::from_utf16(&units).ok()
}

/// The text with its zero.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Splits behind the zero that ends a text. `None` without one.
pub(crate) fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = 2 * units(bytes).position(|unit| unit == 0)?;
    let (text, rest) = bytes.split_at_checked(end + 2)?;
    Some((decode(text)?, rest))
}

fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_its_zero() {
        for text in ["", "Coracle", "Käse \u{1f9c0}"] {
            let mut bytes = encode(text);
            assert_eq!(decode(&bytes).as_deref(), Some(text));
            bytes.extend([7, 8, 9]);
            assert_eq!(split(&bytes), Some((text.to_owned(), &[7, 8, 9][..])));
        }
        assert_eq!(decode(b"a\0b\0").as_deref(), Some("ab"));
        assert_eq!(split(b"a\0b\0"), None);
        for bad in [&b"a"[..], b"\0\xd8", b"\0\0\0"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
