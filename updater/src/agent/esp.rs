//! The EFI system partition, mounted for as long as somebody changes it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use coracle_entries::{Change, Content, Fallback, Folder, Keep, Loader};
use coracle_layout::{OsVersion, RootHash, partition::Partition, paths};
use coracle_log::{Chain, info, warning};
use coracle_rollout::System;
use coracle_rollout::machine::{Entry, Other, Running};
use coracle_uki::{Assessment, EntryName};
use rustix::fs::statvfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{Error, machine::Machine};
use crate::image;

/// What stays free, whatever is counted.
const SPARE: u64 = 2 << 20;

/// The mounted partition. Unmounted when it is dropped, so that its "dirty" mark is there only while it is written.
#[derive(Debug)]
pub(crate) struct Esp {
    at: PathBuf,
    /// What runs.
    root: RootHash,
}

impl Esp {
    /// To be changed.
    pub fn mount(machine: &Machine) -> Result<Self, Error> {
        Self::mount_with(machine, MountFlags::empty())
    }

    /// To be read.
    pub fn look(machine: &Machine) -> Result<Self, Error> {
        Self::mount_with(machine, MountFlags::RDONLY)
    }

    fn mount_with(machine: &Machine, access: MountFlags) -> Result<Self, Error> {
        let (node, at) = (machine.node(Partition::Esp)?, Path::new(paths::RUN_UPDATER).join("esp"));
        fs::create_dir_all(&at).map_err(Error::file("make", &at))?;
        let flags =
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME | access;
        mount(&node, &at, "vfat", flags, Some(c"umask=0077"))
            .map_err(|errno| Error::file("mount", &node)(errno.into()))?;
        Ok(Self { at, root: machine.running.system.root })
    }

    /// The boot entries.
    pub fn entries(&self) -> Result<Folder, Error> {
        Folder::open(&self.folder()).map_err(Error::Entries)
    }

    /// The entry that is not of `running`, if there is just one and its UKI can be read.
    pub fn other(&self, running: OsVersion) -> Result<Option<Other>, Error> {
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let mut others = listing.entries.iter().filter(|entry| entry.name.version() != running);
        let (Some(entry), None) = (others.next(), others.next()) else { return Ok(None) };
        let Some(root) = self.legible_root_of(entry) else { return Ok(None) };
        let system = System { version: entry.name.version(), root };
        Ok(Some(Other { system, entry: standing(&entry.name) }))
    }

    /// The versions of the entries that boot a root, but not of `running`.
    pub fn of_root(&self, root: RootHash, running: OsVersion) -> Result<Vec<OsVersion>, Error> {
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let others = listing.entries.iter().filter(|entry| entry.name.version() != running);
        let of_root = others.filter(|entry| self.legible_root_of(entry) == Some(root));
        Ok(of_root.map(|entry| entry.name.version()).collect())
    }

    /// The root that an entry names, if its UKI can be read.
    fn legible_root_of(&self, entry: &coracle_entries::Entry) -> Option<RootHash> {
        self.root_of(&entry.file).unwrap_or_else(|error| {
            warning!("boot entry not read entry={} error=\"{}\"", entry.file, Chain(&error));
            None
        })
    }

    /// The file of a version's entry.
    pub fn file_of(&self, version: OsVersion) -> Result<Option<PathBuf>, Error> {
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let entry = listing.of(version).map_err(Error::Entries)?;
        Ok(entry.map(|entry| self.folder().join(&entry.file)))
    }

    /// Whether the entry of what runs is there, and boots it.
    pub fn is_running(&self, running: &Running) -> Result<(), Error> {
        let version = running.system.version;
        let not = |why| Err(Error::NotRunning { version, why });
        let Some(path) = self.file_of(version)? else { return not("it has none") };
        match root_of(&path)? == Some(running.system.root) {
            true => Ok(()),
            false => not("its command line names another root"),
        }
    }

    /// Whether what runs was blessed once, as far as its kernel images say: its entry is good, or it is the fallback.
    pub fn was_blessed(&self, running: &Running) -> Result<bool, Error> {
        let Running { system, .. } = running;
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let entry = listing.of(system.version).map_err(Error::Entries)?;
        let is_good = |entry: &&coracle_entries::Entry| standing(&entry.name) == Entry::Good;
        match entry.filter(is_good).map(|entry| self.root_of(&entry.file)) {
            Some(Ok(root)) if root == Some(system.root) => Ok(true),
            _ => self.fallback()?.boots(system.root).map_err(Error::Entries),
        }
    }

    /// Makes the entry of what runs what the fallback is, from which it runs.
    pub fn restore(&self, running: &Running) -> Result<(), Error> {
        let System { version, root } = running.system;
        let change = self.fallback()?.restore(&self.entries()?, version, root).map_err(Error::Entries)?;
        if change != Change::None {
            warning!("boot entry made anew from the fallback version={version}");
        }
        Ok(())
    }

    /// How the entry of what runs stands. One that is not there cannot be given up.
    pub fn standing(&self, running: &Running) -> Result<Entry, Error> {
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let entry = listing.of(running.system.version).map_err(Error::Entries)?;
        Ok(entry.map_or(Entry::Good, |entry| standing(&entry.name)))
    }

    /// Whether the entry of a system is there, with tries left and with these bytes.
    pub fn has_on_trial(&self, system: System, content: &Content) -> Result<bool, Error> {
        let listing = self.entries()?.list().map_err(Error::Entries)?;
        let entry = listing.of(system.version).map_err(Error::Entries)?;
        let Some(entry) = entry.filter(|entry| standing(&entry.name) == Entry::OnTrial) else {
            return Ok(false);
        };
        let path = self.folder().join(&entry.file);
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        let sha256 = image::digest(&file).map_err(Error::file("read", &path))?;
        Ok(Content { len: entry.len, sha256 } == *content)
    }

    /// Whether a kernel image of so many bytes fits once every entry but the running one is gone, with a fallback beside it; its name
    /// as well.
    pub fn has_room(&self, running: OsVersion, bytes: u64) -> Result<(), Error> {
        let entries = self.entries()?;
        entries.has_place(running).map_err(Error::Entries)?;
        let listing = entries.list().map_err(Error::Entries)?;
        let (own, others): (Vec<_>, Vec<_>) =
            listing.entries.iter().partition(|entry| entry.name.version() == running);
        let sum = |entries: Vec<&coracle_entries::Entry>| entries.iter().map(|entry| entry.len).sum::<u64>();
        let stat = statvfs(&self.at).map_err(|errno| Error::file("measure", &self.at)(errno.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize).saturating_add(sum(others));
        let needed = bytes.saturating_add(sum(own)).saturating_add(SPARE);
        match free < needed {
            true => Err(Error::Entries(coracle_entries::Error::Space { needed, free })),
            false => Ok(()),
        }
    }

    /// Makes what runs the fallback, if it is blessed and is not the fallback already.
    pub fn keep_fallback(&self, running: OsVersion) -> Result<(), Error> {
        self.keep(running, Keep::Running)
    }

    /// Makes both copies of the boot manager those of the image that runs.
    pub fn keep_loader(&self) -> Result<(), Error> {
        let path = Path::new(paths::UPDATE).join(paths::UPDATE_LOADER);
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        let loader = Loader::open(&self.at).map_err(Error::Entries)?;
        if loader.update(&bytes).map_err(Error::Entries)? != Change::None {
            info!("boot manager written");
        }
        Ok(())
    }

    /// Sees to it that what runs has a whole entry, and that there is a whole fallback.
    pub fn has_fallback(&self, running: OsVersion) -> Result<(), Error> {
        self.keep(running, Keep::Whole)
    }

    fn keep(&self, running: OsVersion, keep: Keep) -> Result<(), Error> {
        let kept =
            self.fallback()?.keep(&self.entries()?, running, self.root, keep).map_err(Error::Entries)?;
        if kept.entry != Change::None {
            warning!("boot entry made anew from the fallback version={running}");
        }
        if kept.fallback != Change::None {
            info!("fallback of the firmware written version={running}");
        }
        Ok(())
    }

    /// The root that an entry's file names on its command line.
    pub fn root_of(&self, file: &str) -> Result<Option<RootHash>, Error> {
        root_of(&self.folder().join(file))
    }

    fn fallback(&self) -> Result<Fallback, Error> {
        Fallback::open(&self.at).map_err(Error::Entries)
    }

    fn folder(&self) -> PathBuf {
        self.at.join("EFI/Linux")
    }
}

/// The root that a UKI names on its command line.
pub(crate) fn root_of(path: &Path) -> Result<Option<RootHash>, Error> {
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    coracle_uki::root_of(&mut file).map_err(|source| Error::Uki { path: path.to_owned(), source })
}

pub(crate) fn standing(name: &EntryName) -> Entry {
    match name.assessment() {
        Assessment::Good => Entry::Good,
        Assessment::Indeterminate => Entry::OnTrial,
        Assessment::Bad => Entry::Exhausted,
    }
}

impl Drop for Esp {
    fn drop(&mut self) {
        if let Err(errno) = unmount(&self.at, UnmountFlags::empty()) {
            warning!("esp not unmounted error=\"{errno}\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_uki::specimen;

    fn uki(root: RootHash) -> Vec<u8> {
        specimen::uki(&format!("roothash={root}"), b"linux")
    }

    #[test]
    fn every_entry_of_a_root_is_found_but_that_of_what_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (RootHash::new([1; 32]), RootHash::new([2; 32]));
        fs::create_dir_all(folder.path().join("EFI/Linux")).unwrap();
        for (name, bytes) in [
            ("coracle_1.0.0.efi", uki(ours)),
            ("coracle_1.1.0+3-0.efi", uki(other)),
            ("coracle_1.2.0.efi", uki(other)),
            ("coracle_1.3.0.efi", uki(ours)),
            ("coracle_1.4.0.efi", b"MZ".to_vec()),
            ("linux.efi", uki(other)),
        ] {
            fs::write(folder.path().join("EFI/Linux").join(name), bytes).unwrap();
        }
        let esp = Esp { at: folder.path().to_owned(), root: ours };
        let of_root = |root| {
            let mut versions: Vec<_> = esp.of_root(root, "1.0.0".parse().unwrap()).unwrap();
            versions.sort();
            versions.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of_root(other), ["1.1.0", "1.2.0"]);
        assert_eq!(of_root(ours), ["1.3.0"]);
        assert!(of_root(RootHash::new([3; 32])).is_empty());
    }
}
