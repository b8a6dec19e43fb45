//! What the boot loader left in EFI variables: the Boot Loader Interface, <https://systemd.io/BOOT_LOADER_INTERFACE/>.
//!
//! A file of efivarfs holds four bytes of attributes, then the value; these values are UTF-16, little endian, ended by a zero.

use std::{fs::File, io, io::Read, path::Path};

use coracle_gpt::Guid;

use super::Error;

/// The vendor of the variables.
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// No value read here is longer.
const MAX_BYTES: u64 = 4096;
const ATTRIBUTES: usize = 4;

/// The variables that matter to stage 1, each if it is set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loader {
    /// `LoaderDevicePartUUID`: the ESP that the loader, or the stub, was started from.
    pub(crate) esp: Option<Guid>,
    /// `LoaderEntrySelected`: the entry that was started, by its file name before its counter changed, or without a counter.
    pub(crate) selected: Option<String>,
    /// `LoaderBootCountPath`: the path of an entry with a counter. It may be left from an earlier choice in the same session
    /// of the firmware, so it speaks only of the entry that it names.
    pub(crate) counted: Option<String>,
}

impl Loader {
    /// Reads the variables under `efivars`; a machine without EFI has none.
    ///
    /// A malformed partition is an error rather than none: that would widen the search to every disk.
    pub(crate) fn read(efivars: &Path) -> Result<Self, Error> {
        const ESP: &str = "LoaderDevicePartUUID";
        let esp = match variable(efivars, ESP)? {
            Some(text) => Some(text.parse().map_err(|_| Error::Variable { variable: ESP })?),
            None => None,
        };
        Ok(Self {
            esp,
            selected: variable(efivars, "LoaderEntrySelected")?,
            counted: variable(efivars, "LoaderBootCountPath")?,
        })
    }
}

fn variable(efivars: &Path, name: &'static str) -> Result<Option<String>, Error> {
    let path = efivars.join(format!("{name}-{VENDOR}"));
    let mut bytes = vec![];
    match File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => decode(&bytes).map(Some).ok_or(Error::Variable { variable: name }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::on("read", path.display().to_string())(error)),
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let value = bytes.get(ATTRIBUTES..).filter(|value| value.len().is_multiple_of(2))?;
    let units = value.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(u16::from_le_bytes);
    String::from_utf16(&units.take_while(|unit| *unit != 0).collect::<Vec<_>>()).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        [6, 0, 0, 0].into_iter().chain(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes)).collect()
    }

    #[test]
    fn variables_are_read_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(format!("{name}-{VENDOR}")), bytes).unwrap()
        };
        assert_eq!(Loader::read(&folder.path().join("missing")).unwrap(), Loader::default());
        put("LoaderDevicePartUUID", &encoded("00000000-0000-0000-0000-00000000AE59"));
        put("LoaderEntrySelected", &encoded("coracle_1.2.3.efi"));
        let loader = Loader::read(folder.path()).unwrap();
        assert_eq!(loader.esp, Some(Guid::from_u128(0xae59)));
        assert_eq!(loader.selected.as_deref(), Some("coracle_1.2.3.efi"));
        assert_eq!(loader.counted, None);

        for bad in [&b""[..], b"abc", b"\x06\0\0\0a", b"\x06\0\0\0\0\xd8", &encoded("none")] {
            put("LoaderDevicePartUUID", bad);
            let error = Loader::read(folder.path()).unwrap_err().to_string();
            assert_eq!(error, "EFI variable LoaderDevicePartUUID is malformed", "{bad:?}");
        }
    }
}
