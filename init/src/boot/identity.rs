//! Who this machine is: its identifier, kept across boots, and its host name.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use coracle_layout::paths;
use rustix::rand::{GetRandomFlags, getrandom};

use super::{Error, Machine};
use crate::log::{info, warning};

/// Characters of a machine identifier (`machine-id(5)`).
const ID_LEN: usize = 32;

/// Reads or makes the machine identifier, and sets the host name.
///
/// The identifier comes into being once: written, synced, renamed, the folder synced. Power lost before the rename means
/// another one at the next boot, which nobody has seen; after it, this one. Where the state partition is full, the machine
/// has one for this boot only.
pub(super) fn establish(machine: &mut Machine) -> Result<(), Error> {
    let folder = Path::new(paths::STATE_INIT);
    fs::create_dir_all(folder).map_err(Error::os("make", paths::STATE_INIT))?;
    let path = folder.join("machine-id");
    let kept = read_id(&path)?;
    let id = match kept {
        Some(id) => id,
        None => {
            let id = new_id()?;
            match keep(folder, &path, &id) {
                Ok(()) => info!("machine identifier made id={id}"),
                Err(error) => warning!("machine identifier is for this boot only error={error:?}"),
            }
            id
        }
    };
    fs::write("/run/machine-id", format!("{id}\n")).map_err(Error::os("write", "/run/machine-id"))?;
    let host_name =
        machine.host_name.clone().unwrap_or_else(|| format!("coracle-{}", id.get(..8).unwrap_or(&id)));
    nix::unistd::sethostname(&host_name).map_err(Error::os("set the host name to", &host_name))?;
    fs::write("/run/hostname", format!("{host_name}\n")).map_err(Error::os("write", "/run/hostname"))?;
    machine.host_name = Some(host_name);
    machine.machine_id = id;
    Ok(())
}

/// `None` where there is none yet, or one that a cut write or a stranger left.
fn read_id(path: &Path) -> Result<Option<String>, Error> {
    let mut text = String::new();
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::os("open", path.to_string_lossy())(source)),
        Ok(file) => {
            file.take(64).read_to_string(&mut text).map_err(Error::os("read", path.to_string_lossy()))?;
        }
    }
    let id = text.trim_end();
    let whole = id.len() == ID_LEN && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !whole {
        warning!("machine identifier is damaged and made anew path={}", path.display());
    }
    Ok(whole.then(|| id.to_owned()))
}

/// A random identifier in the form of a version 4 UUID, as `machine-id(5)` asks.
fn new_id() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(Error::os("draw", "a machine identifier"))?;
    let value = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62;
    Ok(format!("{value:032x}"))
}

fn keep(folder: &Path, path: &Path, id: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o444).open(&fresh)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_identifier_is_kept_and_a_damaged_one_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        assert_eq!(read_id(&path).unwrap(), None);
        let id = new_id().unwrap();
        assert_ne!(id, new_id().unwrap());
        keep(folder.path(), &path, &id).unwrap();
        assert_eq!(read_id(&path).unwrap(), Some(id.clone()));
        for damaged in [
            "",
            "\n",
            &id[1..],
            &id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
            &"a".repeat(99),
        ] {
            fs::remove_file(&path).unwrap();
            fs::write(&path, damaged).unwrap();
            assert_eq!(read_id(&path).unwrap(), None, "{damaged:?}");
        }
    }
}
