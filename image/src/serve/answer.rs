//! What of a file a request gets, after RFC 9110: sections 13 (conditions) and 14 (ranges).

use std::ops::Range;

use super::head::Head;

/// What of a file a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: the client has it.
    NotModified,
    /// Nothing: it has no such bytes.
    Unsatisfiable,
}

impl Answer {
    /// For a file of `len` bytes with that entity tag.
    pub fn to(head: &Head, len: u64, tag: &str) -> Self {
        if head.if_none_match.as_deref().is_some_and(|tags| lists(tags, tag)) {
            return Self::NotModified;
        }
        match &head.range {
            // A part of what the client does not have the rest of is no use to it.
            Some(range) if head.if_range.as_deref().is_none_or(|wanted| wanted == tag) => part(range, len),
            _ => Self::Whole,
        }
    }
}

fn lists(tags: &str, tag: &str) -> bool {
    tags == "*" || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// One range; several, and what is none, may be answered with the whole.
fn part(range: &str, len: u64) -> Answer {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Answer::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that no length reaches is as good as the greatest.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let bytes = match (first, number(first), last, number(last)) {
        ("", _, _, Some(count)) => len.saturating_sub(count)..len,
        (_, Some(first), "", _) => first..len,
        (_, Some(first), _, Some(last)) if first <= last => first..len.min(last.saturating_add(1)),
        _ => return Answer::Whole,
    };
    if bytes.is_empty() { Answer::Unsatisfiable } else { Answer::Part(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_conditions() {
        use Answer::{NotModified, Part, Unsatisfiable, Whole};
        for (range, if_range, if_none_match, want) in [
            ("", "", "", Whole),
            ("bytes=0-0", "", "", Part(0..1)),
            ("bytes=5-", "", "", Part(5..10)),
            ("bytes=-3", "", "", Part(7..10)),
            ("bytes=-30", "", "", Part(0..10)),
            ("bytes=4-99999999999999999999", "", "", Part(4..10)),
            ("bytes=10-", "", "", Unsatisfiable),
            ("bytes=-0", "", "", Unsatisfiable),
            ("bytes=5-4", "", "", Whole),
            ("bytes=0-1,4-5", "", "", Whole),
            ("bytes=-", "", "", Whole),
            ("lines=0-1", "", "", Whole),
            ("bytes=0-1", "\"a\"", "", Part(0..2)),
            ("bytes=0-1", "\"b\"", "", Whole),
            ("bytes=0-1", "W/\"a\"", "", Whole),
            ("bytes=0-1", "", "\"a\"", NotModified),
            ("", "", "\"b\", W/\"a\"", NotModified),
            ("", "", "*", NotModified),
            ("", "", "\"b\"", Whole),
        ] {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let head = Head {
                range: some(range),
                if_range: some(if_range),
                if_none_match: some(if_none_match),
                ..Head::default()
            };
            assert_eq!(Answer::to(&head, 10, "\"a\""), want, "{range} {if_range} {if_none_match}");
        }
        let head = Head { range: Some("bytes=0-".to_owned()), ..Head::default() };
        assert_eq!(Answer::to(&head, 0, "\"a\""), Unsatisfiable);
    }
}
