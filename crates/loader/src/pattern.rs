//! The patterns by which a pin names entries: `*`, `?`, `[set]` with ranges, and `\` before a character that means itself.

/// Whether `name` is one that `pattern` means. Both are compared as they are: the loader makes them lower case first.
///
/// A set that never ends, or a `\` at the end, means nothing.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches_from(&pattern, &name)
}

/// Of several stars only the last that was met is ever tried again, so that no pattern takes long.
fn matches_from(pattern: &[char], name: &[char]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let Some(('*', behind)) = rest.split_first().map(|(first, behind)| (*first, behind)) {
            star = Some((behind, left));
            rest = behind;
            continue;
        }
        match (one(rest, left.first()), left.split_first()) {
            (Some(behind), Some((_, shorter))) => (rest, left) = (behind, shorter),
            _ if rest.is_empty() && left.is_empty() => return true,
            _ => match star {
                Some((behind, [_, shorter @ ..])) => {
                    star = Some((behind, shorter));
                    (rest, left) = (behind, shorter);
                }
                _ => return false,
            },
        }
    }
}

/// The pattern behind its first part, if that part means this character.
fn one<'a>(pattern: &'a [char], letter: Option<&char>) -> Option<&'a [char]> {
    let letter = *letter?;
    let (meant, behind) = match pattern {
        ['?', behind @ ..] => (true, behind),
        ['\\', escaped, behind @ ..] => (*escaped == letter, behind),
        ['\\'] => return None,
        ['[', set @ ..] => in_set(set, letter)?,
        [plain, behind @ ..] => (*plain == letter, behind),
        [] => return None,
    };
    meant.then_some(behind)
}

/// Whether a set, given behind its bracket, has this character; and the pattern behind the set. `]` first means itself.
fn in_set(set: &[char], letter: char) -> Option<(bool, &[char])> {
    let (mut rest, mut has, mut first) = (set, false, true);
    loop {
        let (from, to, behind) = match rest {
            [']', behind @ ..] if !first => return Some((has, behind)),
            ['\\', from, behind @ ..] => (*from, *from, behind),
            [from, '-', to, behind @ ..] if *to != ']' => (*from, *to, behind),
            [from, behind @ ..] => (*from, *from, behind),
            [] => return None,
        };
        has |= (from..=to).contains(&letter);
        (rest, first) = (behind, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_they_say() {
        let name = "coracle_1.2.3+3-0.efi";
        for pattern in [
            name,
            "*",
            "coracle_*",
            "*.efi",
            "coracle_1.2.3*",
            "coracle_?.2.3+3-0.efi",
            "coracle_[0-9].*",
            "coracle_[x1].*",
            "**e*f*i",
            "coracle_1.2.3\\+*",
            "coracle_1.2.3[]+]3*",
            "coracle_1.2.3+3[-]0*",
        ] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in
            ["", "coracle", "*.conf", "coracle_[2-9].*", "coracle_[1", "\\", "?", "coracle_1.2.3.efi", "*\\"]
        {
            assert!(!matches(pattern, name), "{pattern}");
        }
        assert!(matches("", "") && matches("*", "") && !matches("?", ""));
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]\\\\-]{0,24}|.{0,24}", name in "a{0,40}|.{0,40}") {
            matches(&pattern, &name);
        }
    }
}
