//! Short names in a manifest, and what they name.

use std::{fmt, str::FromStr};

use crate::text;

/// A short name: a channel, an architecture, a product. 1 to 32 of `a-z`, `0-9`, `.`, `_`, `-`, an alphanumeric first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// The name of a file in the repository: flat, since clients disagree about names with a slash. 1 to 128 of
/// `A-Z`, `a-z`, `0-9`, `.`, `_`, `+`, `-`, an alphanumeric first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

/// A text that is not a [`Label`] or not a [`TargetName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is 1 to {limit} of {allowed}, the first a letter or digit")]
pub struct BadName {
    what: &'static str,
    limit: usize,
    allowed: &'static str,
}

/// The line of releases that a machine follows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// How eager it is: `stable`, `beta`.
    #[serde(with = "text")]
    pub channel: Label,
    /// The processor architecture.
    #[serde(with = "text")]
    pub arch: Label,
    /// The image's name, which is `IMAGE_ID` in its os-release.
    #[serde(with = "text")]
    pub product: Label,
}

impl Line {
    /// The name of its manifest in the repository. Two lines can have one, as names may have hyphens: the manifest says whose it is.
    pub fn manifest_name(&self) -> TargetName {
        TargetName(format!("{}-{}-{}.json", self.product, self.channel, self.arch))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.product, self.channel, self.arch)
    }
}

impl FromStr for Label {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName { what: "a name", limit: 32, allowed: "a-z, 0-9, '.', '_', '-'" };
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        checked(text, allowed, bad).map(Self)
    }
}

impl FromStr for TargetName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName { what: "a target name", limit: 128, allowed: "A-Z, a-z, 0-9, '.', '_', '+', '-'" };
        checked(text, |byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte), bad).map(Self)
    }
}

fn checked(text: &str, allowed: fn(u8) -> bool, bad: BadName) -> Result<String, BadName> {
    let good = text.len() <= bad.limit
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if good { Ok(text.to_owned()) } else { Err(bad) }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for text in ["", "a/b", "..", ".a", "-a", "a b", "A", "é", &"a".repeat(33)] {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
        for text in ["", "a/b", "..", ".a", "a\\b", "a%2fb", &"a".repeat(129)] {
            assert!(text.parse::<TargetName>().is_err(), "{text:?}");
        }
        assert!("x86_64".parse::<Label>().is_ok());
        assert_eq!(
            crate::fixture::manifest(&[]).line().manifest_name().to_string(),
            "hello-stable-x86_64.json"
        );
        assert!("os-1.3.2-1.4.0-root.ops".parse::<TargetName>().is_ok());
    }
}
