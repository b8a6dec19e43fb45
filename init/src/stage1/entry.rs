//! A boot entry without a counter whose root has rotted: it is renamed to exhausted, so that the loader prefers another.
//!
//! The loader counts only entries that carry a counter. One that lost it when it was blessed would be started again for
//! ever, however often it fails; stage 1 is what notices. On FAT the order of the steps decides what a power cut leaves:
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | the file is opened, and its command line names our root | nothing happened |
//! | 2 | `renameat2` with `RENAME_NOREPLACE`, in memory | the old name |
//! | 3 | `fsync` of the file, which writes the one sector with both names | the old name or the new one, each whole |
//! | 4 | `fsync` of the folder, `syncfs` | the new name |
//!
//! Any other order has been seen to leave an empty file under the new name.

use std::{
    fs::{self, File},
    path::Path,
};

use coracle_entries::{self as entries, Folder};
use coracle_layout::RootHash;
use coracle_uki::{Assessment, EntryName, Tries, root_of};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::{Error, loader::Loader};
use crate::log::{Chain, warning};

/// Where the ESP is mounted for the while.
const ESP: &str = "/esp";
/// Where the entries are on it.
const FOLDER: &str = "EFI/Linux";

/// What became of the entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has this name now.
    Renamed(EntryName),
    /// It kept its name, for this reason.
    Kept(&'static str),
}

/// The entry that was started, and how it stood when it was. `None` where no loader started one of ours.
pub(crate) fn started(loader: &Loader) -> Option<(EntryName, Assessment)> {
    let selected: EntryName = loader.selected.as_deref()?.parse().ok()?;
    let assessment = match (selected.tries(), counted(loader, selected)) {
        (None, None) => Assessment::Good,
        // Newer loaders leave the counter out of the name they selected. The path has it as it is after this start: the
        // last try reads as none left, and only the sum tells it from an entry that had none before.
        (None, Some(Tries { left: 0, done })) if done != Tries::FRESH.left => Assessment::Bad,
        (None, Some(_)) => Assessment::Indeterminate,
        (Some(_), _) => selected.assessment(),
    };
    Some((selected, assessment))
}

/// The counter of the entry that was started, as it is after this start.
fn counted(loader: &Loader, selected: EntryName) -> Option<Tries> {
    let name: EntryName = loader.counted.as_deref()?.rsplit('\\').next()?.parse().ok()?;
    name.tries().filter(|_| name.version() == selected.version())
}

/// Whether this is the first try of an entry that was put there anew.
pub(crate) fn is_first_try(loader: &Loader) -> bool {
    const FIRST: Tries = Tries { left: Tries::FRESH.left - 1, done: Tries::FRESH.done + 1 };
    started(loader).is_some_and(|(selected, _)| counted(loader, selected) == Some(FIRST))
}

/// The entry that was started, if it carries no counter: then nobody else counts its failures.
pub(crate) fn own(loader: &Loader) -> Option<EntryName> {
    started(loader).filter(|(_, assessment)| *assessment == Assessment::Good).map(|(entry, _)| entry)
}

/// Renames `own` on the ESP at `device` to exhausted, if it boots `root` and another entry is good.
///
/// The ESP is written only when it comes to that.
pub(crate) fn demote(device: &Path, own: EntryName, root: &RootHash) -> Result<Outcome, Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    fs::create_dir_all(ESP).map_err(Error::on("make", ESP))?;
    mount(device, ESP, "vfat", flags | MountFlags::RDONLY, Some(c"umask=0077"))
        .map_err(Error::on("mount", device.display().to_string()))?;
    let writable = || mount_remount(ESP, flags, c"umask=0077").map_err(Error::on("make writable", ESP));
    let outcome = demote_in(&Path::new(ESP).join(FOLDER), own, root, writable);
    if let Err(errno) = unmount(ESP, UnmountFlags::empty()) {
        warning!("esp not unmounted error={:?}", Chain(&errno).to_string());
    }
    outcome
}

fn demote_in(
    folder: &Path,
    own: EntryName,
    root: &RootHash,
    writable: impl FnOnce() -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let listing = Folder::open(folder).and_then(|folder| folder.list());
    let demoted =
        listing.and_then(|listing| listing.demoted(own.version()).map(|(entry, new)| (entry.name, new)));
    let new = match demoted {
        Ok((found, new)) if found == own => new,
        Ok(_) => return Ok(Outcome::Kept("it carries a counter")),
        Err(entries::Error::NoOtherGood { .. }) => return Ok(Outcome::Kept("no other entry is good")),
        Err(entries::Error::File { operation, object, source }) => {
            return Err(Error::on(operation, object)(source));
        }
        // In words of its own, the rest would cost this program several KiB.
        Err(_) => return Ok(Outcome::Kept("it is not there once, with something in it")),
    };
    let old = folder.join(own.to_string());
    if !boots(&old, root)? {
        return Ok(Outcome::Kept("its command line names another root"));
    }
    writable()?;
    rename(folder, &own.to_string(), &new.to_string())?;
    Ok(Outcome::Renamed(new))
}

/// Whether the UKI at `path` has `root` on its command line.
fn boots(path: &Path, root: &RootHash) -> Result<bool, Error> {
    let mut file = File::open(path).map_err(Error::on("open", path.display().to_string()))?;
    let named = root_of(&mut file).map_err(|source| Error::Uki { path: path.to_owned(), source })?;
    Ok(named == Some(*root))
}

/// Steps 2 to 4 of the table above.
fn rename(folder: &Path, old: &str, new: &str) -> Result<(), Error> {
    let dir = File::open(folder).map_err(Error::on("open", folder.display().to_string()))?;
    let file = File::open(folder.join(old)).map_err(Error::on("open", old))?;
    coracle_entries::rename(&dir, &file, old, new)
        .map_err(|failed| Error::on(failed.operation, old)(failed.source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_uki::specimen::uki;

    fn entry(name: &str) -> EntryName {
        name.parse().unwrap()
    }

    #[test]
    fn an_entry_is_judged_as_it_stood_when_it_was_started() {
        use Assessment::{Bad, Good, Indeterminate};
        let (plain, other) = ("coracle_1.2.0.efi", Some("coracle_1.3.0+0-3.efi"));
        let cases = [
            (None, None, None),
            (Some("other.efi"), None, None),
            (Some(plain), None, Some(Good)),
            // Left from an entry that the firmware could not start.
            (Some(plain), other, Some(Good)),
            (Some("coracle_1.2.0+3-0.efi"), Some("coracle_1.2.0+2-1.efi"), Some(Indeterminate)),
            (Some("coracle_1.2.0+1-2.efi"), Some("coracle_1.2.0+0-3.efi"), Some(Indeterminate)),
            (Some("coracle_1.2.0+0-1.efi"), Some("coracle_1.2.0+0-2.efi"), Some(Bad)),
            // systemd-boot 257 and later.
            (Some(plain), Some("coracle_1.2.0+2-1.efi"), Some(Indeterminate)),
            (Some(plain), Some("coracle_1.2.0+0-3.efi"), Some(Indeterminate)),
            (Some(plain), Some("coracle_1.2.0+0-2.efi"), Some(Bad)),
            (Some(plain), Some("coracle_1.2.0+0-4.efi"), Some(Bad)),
        ];
        for (selected, counted, want) in cases {
            let loader = Loader {
                esp: None,
                selected: selected.map(str::to_owned),
                counted: counted.map(|name| format!("\\EFI\\Linux\\{name}")),
            };
            assert_eq!(started(&loader).map(|(_, assessment)| assessment), want, "{selected:?} {counted:?}");
            let ours = (want == Some(Good)).then(|| entry(plain));
            assert_eq!(own(&loader), ours, "only one without a counter is ours to count");
            let first = want.is_some() && counted == Some("coracle_1.2.0+2-1.efi");
            assert_eq!(is_first_try(&loader), first, "{selected:?} {counted:?}");
        }
    }

    #[test]
    fn the_file_is_renamed_if_it_boots_this_root() {
        let (root, other) = (RootHash::new([1; 32]), RootHash::new([2; 32]));
        let own = entry("coracle_1.2.0.efi");
        let folder = tempfile::tempdir().unwrap();
        let image = uki(&format!("quiet roothash={root}"), b"linux");
        fs::write(folder.path().join("coracle_1.2.0.efi"), image).unwrap();
        fs::write(folder.path().join("coracle_1.1.0.efi"), "x").unwrap();
        let refused = || -> Result<(), Error> { panic!("nothing is to be written") };
        let kept = demote_in(folder.path(), own, &other, refused).unwrap();
        assert_eq!(kept, Outcome::Kept("its command line names another root"));
        fs::write(folder.path().join("coracle_1.1.0.efi"), "").unwrap();
        let alone = demote_in(folder.path(), own, &root, refused).unwrap();
        assert_eq!(alone, Outcome::Kept("no other entry is good"));
        fs::write(folder.path().join("coracle_1.1.0.efi"), "x").unwrap();

        let renamed = demote_in(folder.path(), own, &root, || Ok(())).unwrap();
        assert_eq!(renamed, Outcome::Renamed(entry("coracle_1.2.0+0-1.efi")));
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|found| found.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["coracle_1.1.0.efi", "coracle_1.2.0+0-1.efi"]);
        let kept = demote_in(folder.path(), own, &root, refused).unwrap();
        assert_eq!(kept, Outcome::Kept("it carries a counter"));
    }
}
