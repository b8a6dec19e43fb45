//! The configuration: how the fragments get into `.config`, and whether they are still there after `make olddefconfig`.
//!
//! Kconfig drops an option whose dependencies are not met and says nothing. Here that is an error which names them.

use crate::fragment::{self, Setting, Value};
use crate::kconfig::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One option that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The source tree has no such symbol.
    Unknown {
        /// The symbol.
        symbol: String,
    },
    /// The option was asked for and is not there, or has another value.
    Dropped {
        /// The symbol.
        symbol: String,
        /// What was asked for.
        want: String,
        /// What it is, if it is set.
        got: Option<String>,
        /// The conditions that do not hold; empty where reading the tree does not tell.
        unmet: Vec<String>,
    },
    /// The option must be off and is on.
    On {
        /// The symbol.
        symbol: String,
        /// What it is.
        got: String,
        /// The options that are on and select it.
        selected_by: Vec<String>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Unknown { symbol } => write!(f, "CONFIG_{symbol}: this kernel has no such option"),
            Missing::Dropped { symbol, want, got, unmet } => {
                write!(f, "CONFIG_{symbol}: want {want}, got {}", got.as_deref().unwrap_or("nothing"))?;
                match unmet.as_slice() {
                    [] => write!(f, "; no unmet condition found (a choice, or a value out of range)"),
                    unmet => write!(f, "; unmet: {}", unmet.join("; ")),
                }
            }
            Missing::On { symbol, got, selected_by } => {
                write!(f, "CONFIG_{symbol}: must be off, is {got}")?;
                match selected_by.as_slice() {
                    [] => Ok(()),
                    by => write!(f, "; selected by {}", by.join(", ")),
                }
            }
        }
    }
}

/// The options that are set in a `.config`, without `CONFIG_`.
pub fn read(config: &str) -> BTreeMap<String, String> {
    config
        .lines()
        .filter_map(fragment::parse)
        .filter_map(|setting| match setting.value {
            Value::Is(value) => Some((setting.symbol, value)),
            Value::Off => None,
        })
        .collect()
}

/// `config` with the settings in place of its own lines for the same symbols.
pub fn apply(config: &str, settings: &[Setting]) -> String {
    let ours: BTreeSet<&str> = settings.iter().map(|setting| setting.symbol.as_str()).collect();
    let about = |line: &str| {
        let rest = line.strip_prefix("# ").unwrap_or(line).strip_prefix("CONFIG_")?;
        Some(rest.split(['=', ' ']).next().unwrap_or(rest).to_string())
    };
    let kept = config.lines().filter(|line| about(line).is_none_or(|symbol| !ours.contains(symbol.as_str())));
    let mut text: String = kept.map(|line| format!("{line}\n")).collect();
    for Setting { symbol, value } in settings {
        text += &match value {
            Value::Off => format!("# CONFIG_{symbol} is not set\n"),
            Value::Is(value) => format!("CONFIG_{symbol}={value}\n"),
        };
    }
    text
}

/// Compares the final `.config` with every setting; `tree` explains the differences.
pub fn check(requested: &[Setting], config: &str, tree: &Tree) -> Result<(), Vec<Missing>> {
    let set = read(config);
    let missing: Vec<Missing> = requested
        .iter()
        .filter_map(|Setting { symbol, value }| {
            let (symbol, got) = (symbol.clone(), set.get(symbol).cloned());
            match (value, got) {
                (Value::Off, None) => None,
                (Value::Off, Some(got)) => {
                    let selected_by = tree.selectors(&symbol, &set);
                    Some(Missing::On { symbol, got, selected_by })
                }
                (Value::Is(want), Some(got)) if *want == got => None,
                (Value::Is(_), None) if !tree.knows(&symbol) => Some(Missing::Unknown { symbol }),
                (Value::Is(want), got) => {
                    let unmet = tree.unmet(&symbol, &set);
                    Some(Missing::Dropped { symbol, want: want.clone(), got, unmet })
                }
            }
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
menuconfig MISC_FILESYSTEMS
\tbool \"Misc\"
if MISC_FILESYSTEMS
config EROFS_FS
\ttristate \"EROFS\"
\tdepends on BLOCK
\tselect CRC32
endif
config CRC32
\tbool
config LOG_BUF_SHIFT
\tint \"size\"
";

    fn asked(text: &str) -> Vec<Setting> {
        text.lines().map(|line| fragment::parse(line).unwrap()).collect()
    }

    #[test]
    fn names_what_is_lacking() {
        let tree = Tree::parse(TREE);
        let cases = [
            ("CONFIG_EROFS_FS=y", "CONFIG_EROFS_FS=y\n", vec![]),
            (
                "CONFIG_EROFS_FS=y",
                "CONFIG_BLOCK=y\n# CONFIG_MISC_FILESYSTEMS is not set\n",
                vec!["CONFIG_EROFS_FS: want y, got nothing; unmet: MISC_FILESYSTEMS"],
            ),
            (
                "CONFIG_EROFS_FS=y",
                "",
                vec!["CONFIG_EROFS_FS: want y, got nothing; unmet: MISC_FILESYSTEMS; BLOCK"],
            ),
            (
                "CONFIG_LOG_BUF_SHIFT=17",
                "CONFIG_LOG_BUF_SHIFT=12",
                vec![
                    "CONFIG_LOG_BUF_SHIFT: want 17, got 12; no unmet condition found (a choice, or a value out of range)",
                ],
            ),
            ("CONFIG_GONE=y", "", vec!["CONFIG_GONE: this kernel has no such option"]),
            ("CONFIG_CRC32=n", "# CONFIG_CRC32 is not set", vec![]),
            (
                "CONFIG_CRC32=n",
                "CONFIG_CRC32=y\nCONFIG_EROFS_FS=y",
                vec!["CONFIG_CRC32: must be off, is y; selected by EROFS_FS"],
            ),
        ];
        for (want, config, lines) in cases {
            let got = check(&asked(want), config, &tree).err().unwrap_or_default();
            assert_eq!(got.iter().map(Missing::to_string).collect::<Vec<_>>(), lines, "{want} {config}");
        }
    }

    #[test]
    fn applies_over_what_was_there() {
        let before = "# a comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_AB=y\n";
        let after = apply(before, &asked("CONFIG_A=n\nCONFIG_B=7"));
        assert_eq!(after, "# a comment\nCONFIG_AB=y\n# CONFIG_A is not set\nCONFIG_B=7\n");
    }
}
