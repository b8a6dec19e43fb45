//! The Boot Loader Interface, <https://systemd.io/BOOT_LOADER_INTERFACE/>: what the loader left in variables, and what it is told
//! by them.

use coracle_gpt::Guid;

use crate::{Efivars, Error, Vendor, text};

const ONE_SHOT: &str = "LoaderEntryOneShot";
/// Characters with which the loader compares patterns.
const PATTERN: [char; 4] = ['*', '?', '[', '\\'];
const SUFFIX: &str = ".efi";
/// No name on FAT is longer.
const MAX_NAME: usize = 255;

/// The variables, each if it is set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `LoaderDevicePartUUID`: the ESP that the loader was started from.
    pub esp: Option<Guid>,
    /// `LoaderEntrySelected`: the entry that was started, by its file name before its counter changed, or without a counter.
    pub selected: Option<String>,
    /// `LoaderBootCountPath`: the path of an entry with a counter. It may be left from an earlier choice in the same session of the
    /// firmware, so it speaks only of the entry that it names.
    pub counted: Option<String>,
    /// `LoaderEntryOneShot`: the entry that will be started next, once.
    pub one_shot: Option<String>,
}

impl Interface {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Malformed`], and those of [`Efivars::read`].
    pub fn read(efivars: &Efivars) -> Result<Self, Error> {
        const ESP: &str = "LoaderDevicePartUUID";
        let esp = match variable(efivars, ESP)? {
            Some(text) => Some(text.parse().map_err(|_| Error::Malformed { variable: ESP.to_owned() })?),
            None => None,
        };
        Ok(Self {
            esp,
            selected: variable(efivars, "LoaderEntrySelected")?,
            counted: variable(efivars, "LoaderBootCountPath")?,
            one_shot: variable(efivars, ONE_SHOT)?,
        })
    }
}

/// Has the loader start an entry at the next boot, once; it takes the variable away before it does. `entry` is its file's name.
///
/// systemd-boot 252 knows an entry by that name, 257 by what is left of it without the counter: a pattern means both.
///
/// # Errors
/// [`Error::BadEntry`] for what is no name, or could be taken for a pattern; those of [`Efivars::write`].
pub fn start_once(efivars: &Efivars, entry: &str) -> Result<(), Error> {
    let bad = |char: char| char.is_control() || PATTERN.contains(&char) || char > '\u{ffff}';
    let stem = entry.strip_suffix(SUFFIX).unwrap_or_default();
    let stem = stem.rsplit_once('+').map_or(stem, |(stem, _counter)| stem);
    if stem.is_empty() || entry.len() > MAX_NAME || entry.contains(bad) {
        return Err(Error::BadEntry { name: entry.chars().take(MAX_NAME).collect() });
    }
    efivars.write(ONE_SHOT, Vendor::Loader, &text::encode(&format!("{stem}[+.]*")))
}

/// Takes that back.
///
/// # Errors
/// Those of [`Efivars::remove`].
pub fn start_as_usual(efivars: &Efivars) -> Result<(), Error> {
    efivars.remove(ONE_SHOT, Vendor::Loader)
}

fn variable(efivars: &Efivars, name: &'static str) -> Result<Option<String>, Error> {
    let Some(value) = efivars.read(name, Vendor::Loader)? else { return Ok(None) };
    text::decode(&value).map(Some).ok_or_else(|| Error::Malformed { variable: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        assert_eq!(Interface::read(&efivars).unwrap(), Interface::default());
        let put = |name, value: &[u8]| efivars.write(name, Vendor::Loader, value).unwrap();
        put("LoaderDevicePartUUID", &text::encode("00000000-0000-0000-0000-00000000AE59"));
        put("LoaderEntrySelected", &text::encode("coracle_1.2.3.efi"));
        put("LoaderBootCountPath", &text::encode("\\EFI\\Linux\\coracle_1.2.3+2-1.efi"));
        let expected = Interface {
            esp: Some(Guid::from_u128(0xae59)),
            selected: Some("coracle_1.2.3.efi".into()),
            counted: Some("\\EFI\\Linux\\coracle_1.2.3+2-1.efi".into()),
            one_shot: None,
        };
        assert_eq!(Interface::read(&efivars).unwrap(), expected);
        for bad in [&b"a"[..], b"\0\xd8", &text::encode("none")] {
            put("LoaderDevicePartUUID", bad);
            let error = Interface::read(&efivars).unwrap_err().to_string();
            assert_eq!(error, "EFI variable LoaderDevicePartUUID is malformed", "{bad:?}");
        }
    }

    #[test]
    fn an_entry_is_started_once_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        let one_shot = || Interface::read(&efivars).unwrap().one_shot;
        for name in ["coracle_1.2.3.efi", "coracle_1.2.3+0-1.efi"] {
            start_once(&efivars, name).unwrap();
            assert_eq!(one_shot().as_deref(), Some("coracle_1.2.3[+.]*"));
        }
        for bad in ["", "+1-0", "coracle_*", "a?", "[a]", "a\\b", "a\0", "\u{1f9c0}", &"a".repeat(252)] {
            let bad = &format!("{bad}.efi");
            assert!(matches!(start_once(&efivars, bad), Err(Error::BadEntry { .. })), "{bad:?}");
        }
        for _ in 0..2 {
            start_as_usual(&efivars).unwrap();
            assert_eq!(one_shot(), None);
        }
    }
}
