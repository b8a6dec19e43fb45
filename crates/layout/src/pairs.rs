//! Facts as text.

use std::collections::BTreeMap;

/// `key=value` lines, with the double quotes around a value taken off: what stage 1 leaves, and os-release(5) as we write it.
pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_line_by_line() {
        let facts = pairs("slot=A\ndisk=/dev/vda\n\nno value\nIMAGE_VERSION=\"1.2.3\"\n");
        assert_eq!(facts.get("disk").map(String::as_str), Some("/dev/vda"));
        assert_eq!(facts.get("IMAGE_VERSION").map(String::as_str), Some("1.2.3"));
        assert_eq!(facts.len(), 3);
    }
}
