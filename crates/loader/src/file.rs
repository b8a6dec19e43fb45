//! What the loader sees of a file in `EFI/Linux`.

/// A file in `EFI/Linux`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, as the folder has it.
    pub name: String,
    /// What the loader and the firmware find in it.
    pub content: Content,
}

/// What is in a file, as far as it decides a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No PE file with an `.osrel` that names a system: the loader passes it over. An empty file is one.
    Nothing,
    /// The headers say what it is, and the loader lists it, but the firmware refuses to start it: it is cut off, or
    /// damaged, or not signed.
    Refused(Facts),
    /// An image that is started.
    Whole(Facts),
}

/// What the `.osrel` of an image says, as far as entries are ordered by it.
///
/// Version 252 takes no machine identifier from an image, so entries of two machines' systems are not told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `IMAGE_ID`, or `ID`.
    pub sort_key: Option<String>,
    /// `IMAGE_VERSION`, `VERSION`, `VERSION_ID` or `BUILD_ID`, the first that is there.
    pub version: Option<String>,
}

/// The counter in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Boots that may still be attempted.
    pub left: u64,
    /// Boots that were.
    pub done: u64,
}

/// The largest count that the loader takes for one.
const MAX_TRIES: u64 = i32::MAX as u64;
const SUFFIX: &str = ".efi";

impl Facts {
    /// Reads an os-release(5) as the loader does. `None` if it has no name for the system: such a file is no entry.
    pub fn of(os_release: &str) -> Option<Self> {
        let value = |keys: &[&str]| keys.iter().find_map(|key| value_of(os_release, key));
        value(&["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"])?;
        Some(Self {
            sort_key: value(&["IMAGE_ID", "ID"]),
            version: value(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]),
        })
    }
}

/// What the last line with this key says.
fn value_of(text: &str, key: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_prefix('=')?;
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        Some(unquoted.unwrap_or(value).to_owned())
    })
}

impl File {
    /// The name by which variables and patterns know it: the whole file name with its counter, in lower case.
    pub fn id(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// What it says of itself, if it is an entry.
    pub fn facts(&self) -> Option<&Facts> {
        let is_listed =
            self.id().ends_with(SUFFIX) && !self.name.starts_with('.') && !self.name.starts_with("auto-");
        match &self.content {
            Content::Refused(facts) | Content::Whole(facts) if is_listed => Some(facts),
            _ => None,
        }
    }

    /// Its counter, if its name has one. The ending counts only in lower case.
    pub fn tries(&self) -> Option<Tries> {
        self.parts().map(|(_, tries)| tries)
    }

    /// Its name when a try has been taken, if its name has a counter.
    pub fn after_start(&self) -> Option<String> {
        let (prefix, Tries { left, done }) = self.parts()?;
        let (left, done) = (left.saturating_sub(1), (done + 1).min(MAX_TRIES));
        Some(format!("{prefix}+{left}-{done}{SUFFIX}"))
    }

    fn parts(&self) -> Option<(&str, Tries)> {
        let (prefix, counter) = self.name.strip_suffix(SUFFIX)?.rsplit_once('+')?;
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        Some((prefix, Tries { left: count(left)?, done: count(done)? }))
    }
}

fn count(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().filter(|count| *count <= MAX_TRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> File {
        File { name: name.into(), content: Content::Whole(Facts::default()) }
    }

    #[test]
    fn the_counter_is_the_last_and_stands_right_before_the_ending() {
        let counted = [
            ("a+3.efi", (3, 0), "a+2-1.efi"),
            ("a+3-0.efi", (3, 0), "a+2-1.efi"),
            ("a+1-2.efi", (1, 2), "a+0-3.efi"),
            ("a+0-3.efi", (0, 3), "a+0-4.efi"),
            ("a+1+03-0.efi", (3, 0), "a+1+2-1.efi"),
            ("+2.efi", (2, 0), "+1-1.efi"),
            ("a+1-2147483647.efi", (1, MAX_TRIES), "a+0-2147483647.efi"),
        ];
        for (name, (left, done), next) in counted {
            assert_eq!(file(name).tries(), Some(Tries { left, done }), "{name}");
            assert_eq!(file(name).after_start().as_deref(), Some(next));
        }
        for name in
            ["a.efi", "a+.efi", "a+3-.efi", "a+3-1-1.efi", "a+3b.efi", "a+3.EFI", "a+2147483648.efi", "a+3-0"]
        {
            assert_eq!(file(name).tries(), None, "{name}");
            assert_eq!(file(name).after_start(), None);
        }
    }

    #[test]
    fn only_images_under_the_right_names_are_entries() {
        for (name, listed) in [
            ("a.efi", true),
            ("A.EFI", true),
            (".a.efi", false),
            ("auto-a.efi", false),
            ("a.tmp", false),
            ("efi", false),
        ] {
            assert_eq!(file(name).facts().is_some(), listed, "{name}");
            assert_eq!(File { content: Content::Nothing, ..file(name) }.facts(), None);
        }
    }

    #[test]
    fn facts_are_those_of_os_release() {
        let ours = "ID=coracle\nPRETTY_NAME=\"Coracle hello 1.2.3\"\nVERSION_ID=1.2.3\nIMAGE_ID=hello\nIMAGE_VERSION=1.2.4\n";
        let facts = |key: &str, version: &str| {
            Some(Facts { sort_key: Some(key.into()), version: (!version.is_empty()).then(|| version.into()) })
        };
        assert_eq!(Facts::of(ours), facts("hello", "1.2.4"));
        assert_eq!(Facts::of("ID=debian\nVERSION_ID=\"12\"\nBUILD_ID=x"), facts("debian", "12"));
        assert_eq!(Facts::of("ID=a\n ID=b"), facts("b", ""));
        assert_eq!(
            Facts::of("NAME=a\nBUILD_ID=7"),
            Some(Facts { sort_key: None, version: Some("7".into()) })
        );
        assert_eq!(Facts::of("VERSION_ID=1\n#ID=a"), None);
        assert_eq!(Facts::of(""), None);
    }
}
