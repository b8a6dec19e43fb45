//! Removing an entry, and what power cuts have left.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | the file is opened, and stays so: its clusters remain its own | nothing happened |
//! | 2 | `unlink`, in memory | the entry, whole |
//! | 3 | `fsync` of the folder | the entry, whole, or none |
//! | 4 | the file is closed, which frees its clusters; `syncfs` | no entry, and clusters that belong to nothing |
//!
//! Without 1 the clusters may be freed on the disk before the name is gone.

use coracle_layout::OsVersion;
use coracle_uki::EntryName;
use rustix::fs::{AtFlags, OFlags, fsync, unlinkat};

use crate::Error;
use crate::dir::{Dir, Listing};
use crate::stage;

impl Dir {
    /// Steps 1 to 4.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), Error> {
        let file = self.open_file(name, OFlags::RDONLY)?;
        unlinkat(self, name, AtFlags::empty()).map_err(Error::on("remove", name))?;
        fsync(self).map_err(Error::on("sync", self.path.display().to_string()))?;
        drop(file);
        self.sync()
    }

    /// The file of a version's entry, if it may go.
    pub(crate) fn removable(&self, version: OsVersion, running: OsVersion) -> Result<Option<String>, Error> {
        if version == running {
            return Err(Error::Running { version });
        }
        let listing = self.list()?;
        let Some(entry) = listing.of(version)? else { return Ok(None) };
        if !listing.has_good_besides(version) {
            return Err(Error::NoOtherGood { version });
        }
        Ok(Some(entry.file.clone()))
    }

    /// What is left from a power cut: our temporary files, and entries of ours with nothing in them.
    pub(crate) fn leftovers(&self) -> Result<Vec<String>, Error> {
        let Listing { entries, others } = self.list()?;
        let empty = entries.into_iter().filter(|entry| entry.len == 0).map(|entry| entry.file);
        Ok(others.into_iter().filter(|name| is_temporary(name)).chain(empty).collect())
    }
}

/// Whether the name is that of an entry in the making.
pub(crate) fn is_temporary(name: &str) -> bool {
    let entry = name.strip_suffix(stage::UNFINISHED).map(|stem| format!("{stem}{}", stage::FINISHED));
    entry.is_some_and(|entry| entry.parse::<EntryName>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, names, version};

    #[test]
    fn only_entries_that_nothing_depends_on_may_go() {
        let good = "coracle_1.0.0.efi";
        let (_folder, dir) = folder(&[good, "coracle_1.1.0+3.efi"]);
        let removable = |name, running| dir.removable(version(name), version(running));
        assert_eq!(removable("1.1.0", "1.0.0").unwrap().as_deref(), Some("coracle_1.1.0+3.efi"));
        assert_eq!(removable("1.2.0", "1.0.0").unwrap(), None);
        assert!(matches!(removable("1.1.0", "1.1.0"), Err(Error::Running { .. })));
        assert!(matches!(removable("1.0.0", "1.1.0"), Err(Error::NoOtherGood { .. })));
        let (_folder, twice) = folder(&[good, "coracle_1.1.0+3.efi", "coracle_1.1.0.efi"]);
        let error = twice.removable(version("1.1.0"), version("1.0.0"));
        assert!(matches!(error, Err(Error::Twice { .. })));

        dir.unlink("coracle_1.1.0+3.efi").unwrap();
        assert_eq!(names(&dir), [good]);
        let gone = dir.unlink("coracle_1.1.0+3.efi").unwrap_err();
        assert!(matches!(gone, Error::File { operation: "open", .. }), "{gone:?}");
    }

    #[test]
    fn only_what_is_ours_and_unfinished_is_left_over() {
        let (_folder, dir) = folder(&[
            "coracle_1.0.0.efi",
            "(coracle_1.1.0.efi)",
            "coracle_1.2.0+3-0.tmp",
            "(coracle_1.3.0+3-0.tmp)",
            "other_1.2.0+3-0.tmp",
            "coracle_1.2.tmp",
            "(linux.efi)",
            "tmp",
        ]);
        std::fs::create_dir(dir.path.join("coracle_1.4.0.efi")).unwrap();
        let mut found = dir.leftovers().unwrap();
        found.sort();
        assert_eq!(found, ["coracle_1.1.0.efi", "coracle_1.2.0+3-0.tmp", "coracle_1.3.0+3-0.tmp"]);
    }
}
