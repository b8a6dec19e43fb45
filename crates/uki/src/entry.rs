//! The file name of a boot entry, which is where automatic boot assessment keeps its state.
//!
//! Named as the UAPI Group's Boot Loader Specification has it, section "Boot counting":
//! `coracle_VERSION.efi`, or `coracle_VERSION+LEFT-DONE.efi` while the version is on trial.
//!
//! | left | done | [`Assessment`] |
//! |---|---|---|
//! | no counter | | good |
//! | 0 | any | bad: chosen only when nothing else is there |
//! | 1 or more | any | indeterminate: the boot manager moves one try from left to done before it starts it |

use std::fmt;
use std::str::FromStr;

use coracle_layout::{BadVersion, OsVersion};

const PREFIX: &str = "coracle_";
const SUFFIX: &str = ".efi";

/// The counters of an entry on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Boots the entry may still attempt.
    pub left: u8,
    /// Boots it has attempted.
    pub done: u8,
}

impl Tries {
    /// What a new version is given.
    pub const FRESH: Self = Self { left: 3, done: 0 };
}

/// What the counters say about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assessment {
    /// Without counter: blessed.
    Good,
    /// No tries left.
    Bad,
    /// On trial.
    Indeterminate,
}

impl Assessment {
    /// The specification's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// The parsed name of a UKI in `EFI/Linux`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryName {
    version: OsVersion,
    tries: Option<Tries>,
}

/// A file name that is not an [`EntryName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntryName {
    /// Longer than a name may be.
    #[error("an entry's name has at most {} characters, this one {length}", EntryName::MAX_LEN)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not of the form `coracle_….efi`: some other program's entry.
    #[error("not the name of a coracle entry")]
    NotOurs,
    /// The part before the counter is no version.
    #[error("the entry's version does not parse")]
    Version(#[source] BadVersion),
    /// The part after the plus sign is no counter.
    #[error("an entry's counter is LEFT or LEFT-DONE, each at most 255")]
    Counter,
}

impl EntryName {
    /// The identifier all our entries begin with.
    pub const ID: &str = "coracle";
    /// The longest name: with more, two FAT directory records no longer hold it.
    pub const MAX_LEN: usize = 26;

    /// The name of `version`'s entry, on trial with `tries` or blessed without.
    ///
    /// # Errors
    /// [`BadEntryName::TooLong`] when version and counters together do not fit.
    pub fn new(version: OsVersion, tries: Option<Tries>) -> Result<Self, BadEntryName> {
        let name = Self { version, tries };
        let length = name.to_string().len();
        if length > Self::MAX_LEN {
            return Err(BadEntryName::TooLong { length });
        }
        Ok(name)
    }

    /// The version the entry boots.
    pub fn version(&self) -> OsVersion {
        self.version
    }

    /// The counters, unless the entry is blessed.
    pub fn tries(&self) -> Option<Tries> {
        self.tries
    }

    /// What the counters say.
    pub fn assessment(&self) -> Assessment {
        match self.tries {
            None => Assessment::Good,
            Some(Tries { left: 0, .. }) => Assessment::Bad,
            Some(_) => Assessment::Indeterminate,
        }
    }

    /// The name after the version proved itself: without counter.
    pub fn blessed(self) -> Self {
        Self { tries: None, ..self }
    }
}

/// Writes both counters always: `+3` and `+3-0` mean the same, and one spelling is enough. A file found under
/// another spelling has to be renamed by the name it was found under.
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.version)?;
        if let Some(Tries { left, done }) = self.tries {
            write!(f, "+{left}-{done}")?;
        }
        f.write_str(SUFFIX)
    }
}

impl FromStr for EntryName {
    type Err = BadEntryName;

    fn from_str(name: &str) -> Result<Self, BadEntryName> {
        if name.len() > Self::MAX_LEN {
            return Err(BadEntryName::TooLong { length: name.len() });
        }
        let stem = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let stem = stem.ok_or(BadEntryName::NotOurs)?;
        let (version, tries) = match stem.split_once('+') {
            None => (stem, None),
            Some((version, counter)) => {
                let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
                (version, Some(Tries { left: number(left)?, done: number(done)? }))
            }
        };
        Self::new(version.parse().map_err(BadEntryName::Version)?, tries)
    }
}

fn number(text: &str) -> Result<u8, BadEntryName> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or(BadEntryName::Counter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Assessment::{Bad, Good, Indeterminate};
    use proptest::prelude::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, tries, assessment, written) in [
            ("coracle_1.2.3.efi", None, Good, "coracle_1.2.3.efi"),
            ("coracle_1.2.3+3-0.efi", Some((3, 0)), Indeterminate, "coracle_1.2.3+3-0.efi"),
            ("coracle_1.2.3+3.efi", Some((3, 0)), Indeterminate, "coracle_1.2.3+3-0.efi"),
            ("coracle_1.2.3+0-3.efi", Some((0, 3)), Bad, "coracle_1.2.3+0-3.efi"),
            ("coracle_1.2.3+0.efi", Some((0, 0)), Bad, "coracle_1.2.3+0-0.efi"),
            ("coracle_1.2.3+02-1.efi", Some((2, 1)), Indeterminate, "coracle_1.2.3+2-1.efi"),
            ("coracle_26.11.1000+3-0.efi", Some((3, 0)), Indeterminate, "coracle_26.11.1000+3-0.efi"),
        ] {
            let entry: EntryName = name.parse().expect(name);
            assert_eq!(entry.tries(), tries.map(|(left, done)| Tries { left, done }), "{name}");
            assert_eq!(entry.assessment(), assessment, "{name}");
            assert_eq!(entry.to_string(), written);
            assert_eq!(entry.blessed().assessment(), Good);
            assert_eq!(entry.blessed().version(), entry.version());
        }
    }

    #[test]
    fn other_names_are_refused() {
        use BadEntryName::{Counter, NotOurs, TooLong, Version};
        type Expected = fn(&BadEntryName) -> bool;
        let cases: [(&str, Expected); 14] = [
            ("", |e| matches!(e, NotOurs)),
            ("coracle_1.2.3", |e| matches!(e, NotOurs)),
            ("coracle_1.2.3.EFI", |e| matches!(e, NotOurs)),
            ("other_1.2.3.efi", |e| matches!(e, NotOurs)),
            ("coracle-1.2.3.efi", |e| matches!(e, NotOurs)),
            ("coracle_.efi", |e| matches!(e, Version(_))),
            ("coracle_1.2.efi", |e| matches!(e, Version(_))),
            ("coracle_1.2.3+.efi", |e| matches!(e, Counter)),
            ("coracle_1.2.3+3-.efi", |e| matches!(e, Counter)),
            ("coracle_1.2.3+3-1-1.efi", |e| matches!(e, Counter)),
            ("coracle_1.2.3++3.efi", |e| matches!(e, Counter)),
            ("coracle_1.2.3+256.efi", |e| matches!(e, Counter)),
            ("coracle_26.11.1000+10-0.efi", |e| matches!(e, TooLong { length: 27 })),
            // Short enough as found, too long as it would be written.
            ("coracle_26.11.1000+255.efi", |e| matches!(e, TooLong { length: 28 })),
        ];
        for (name, expected) in cases {
            let error = name.parse::<EntryName>().expect_err(name);
            assert!(expected(&error), "{name}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_what_parses_round_trips(
            name in "(coracle_)?[0-9.+\\-]{0,18}(\\.efi)?|.{0,30}"
        ) {
            if let Ok(entry) = name.parse::<EntryName>() {
                prop_assert_eq!(entry.to_string().parse::<EntryName>(), Ok(entry));
            }
        }
    }
}
