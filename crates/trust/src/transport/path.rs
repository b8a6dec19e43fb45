//! Where a file is in the repository.

use std::fmt;

/// `metadata/NAME` or `targets/NAME`; a name is made of `A-Z`, `a-z`, `0-9`, `.`, `_`, `+`, `-`, a letter or digit first: nothing
/// that means something in a file system or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// Takes a path of that form.
    pub fn new(text: &str) -> Option<Self> {
        let name = text.strip_prefix("metadata/").or_else(|| text.strip_prefix("targets/"))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        let good = name.len() <= 255
            && name.bytes().all(allowed)
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        good.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_repository() {
        for text in ["metadata/1.root.json", "targets/0a.os-1.2.0-root.ops"] {
            assert_eq!(Path::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "metadata",
            "metadata/",
            "metadata/..",
            "metadata/../x",
            "metadata/a/b",
            "metadata/a%2fb",
            "metadata/a?b",
            "targets/.x",
            "other/x",
            "/metadata/x",
            &format!("targets/{}", "a".repeat(256)),
        ] {
            assert_eq!(Path::new(text), None, "{text:?}");
        }
    }
}
