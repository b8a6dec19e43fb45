//! Fragments: groups of options, each under the comment that gives its reason.
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | the reason of the group that follows |
//! | `CONFIG_X=value` | the option must end up with this value |
//! | `CONFIG_X=n` | the option must not be on |
//! | empty | the end of a group |

/// What an option must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Not set, or not there at all.
    Off,
    /// Exactly this text, quotes included.
    Is(String),
}

/// One option and what it must be. The symbol is written without `CONFIG_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The Kconfig symbol.
    pub symbol: String,
    /// Its value.
    pub value: Value,
}

/// Why a fragment cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A line is neither a comment nor an option.
    #[error("{fragment}:{line}: not an option: `{text}`")]
    NotAnOption {
        /// The fragment's name.
        fragment: String,
        /// Counted from one.
        line: usize,
        /// The line itself.
        text: String,
    },
    /// A group does not begin with its reason.
    #[error("{fragment}:{line}: the group that begins here gives no reason")]
    NoReason {
        /// The fragment's name.
        fragment: String,
        /// Counted from one.
        line: usize,
    },
    /// One option is given twice.
    #[error("{fragment}:{line}: CONFIG_{symbol} was given before")]
    Twice {
        /// The fragment's name.
        fragment: String,
        /// Counted from one.
        line: usize,
        /// The symbol.
        symbol: String,
    },
}

/// Reads the fragments `(name, text)` into one list, in order. An option may stand only once in all of them.
pub fn merge(fragments: &[(&str, &str)]) -> Result<Vec<Setting>, Error> {
    let mut seen = std::collections::BTreeSet::new();
    let mut settings = Vec::new();
    for (name, text) in fragments {
        let mut reason = false;
        for (index, line) in text.lines().enumerate() {
            let (fragment, line_number) = (|| name.to_string(), index + 1);
            let line = line.trim();
            if line.is_empty() {
                reason = false;
            } else if let Some(words) = line.strip_prefix('#') {
                reason |= !words.trim().is_empty();
            } else {
                let setting = parse(line).ok_or_else(|| Error::NotAnOption {
                    fragment: fragment(),
                    line: line_number,
                    text: line.to_string(),
                })?;
                if !reason {
                    return Err(Error::NoReason { fragment: fragment(), line: line_number });
                }
                if !seen.insert(setting.symbol.clone()) {
                    return Err(Error::Twice {
                        fragment: fragment(),
                        line: line_number,
                        symbol: setting.symbol,
                    });
                }
                settings.push(setting);
            }
        }
    }
    Ok(settings)
}

/// One `CONFIG_X=value` line.
pub(crate) fn parse(line: &str) -> Option<Setting> {
    let (symbol, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if symbol.is_empty() || !symbol.chars().all(plain) || value.is_empty() {
        return None;
    }
    let value = if value == "n" { Value::Off } else { Value::Is(value.to_string()) };
    Some(Setting { symbol: symbol.to_string(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_groups_in_order() {
        let got =
            merge(&[("a", "# why\nCONFIG_A=y\nCONFIG_B=n\n"), ("b", "# why\n# more\nCONFIG_C=\"x\"\n")]);
        let want = [("A", Value::Is("y".into())), ("B", Value::Off), ("C", Value::Is("\"x\"".into()))]
            .map(|(symbol, value)| Setting { symbol: symbol.into(), value });
        assert_eq!(got.unwrap(), want);
    }

    #[test]
    fn refuses_by_place() {
        let f = || "f".to_string();
        let cases = [
            ("CONFIG_A=y\n", Error::NoReason { fragment: f(), line: 1 }),
            ("# why\nCONFIG_A=y\n\nCONFIG_B=y\n", Error::NoReason { fragment: f(), line: 4 }),
            ("#\nCONFIG_A=y\n", Error::NoReason { fragment: f(), line: 2 }),
            ("# w\nCONFIG_A=y\nCONFIG_A=n\n", Error::Twice { fragment: f(), line: 3, symbol: "A".into() }),
            ("# w\nA=y\n", Error::NotAnOption { fragment: f(), line: 2, text: "A=y".into() }),
            ("# w\nCONFIG_A=\n", Error::NotAnOption { fragment: f(), line: 2, text: "CONFIG_A=".into() }),
        ];
        for (text, want) in cases {
            assert_eq!(merge(&[("f", text)]).unwrap_err(), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".*(\n.*){0,8}") {
            let _outcome_does_not_matter = merge(&[("f", &text)]);
        }
    }
}
