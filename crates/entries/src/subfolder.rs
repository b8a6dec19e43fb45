//! A folder beside others, made if it is not there.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | an empty folder left under the temporary name is removed | no folder |
//! | 2 | the folder is made under the temporary name; `syncfs`, and `fsync` of the folder that it is in, which flushes the disk | no folder, and one under the temporary name, which may list whatever its cluster had before |
//! | 3 | it is renamed in the order of [`rename`](mod@crate::rename) | no folder, or one with nothing in it |
//!
//! Made under its own name at once, the folder could be on the disk before its cluster is, which then lists what was there before.
//! A folder under the temporary name that is not empty is such a one, and is left alone: who deletes what it lists deletes clusters
//! of others.

use rustix::fs::{AtFlags, Mode, fsync, mkdirat, unlinkat};

use crate::Error;
use crate::dir::Dir;
use crate::replace::Names;

impl Dir {
    /// Opens a folder in this one, if it is there.
    pub(crate) fn subfolder(&self, name: &str) -> Result<Option<Self>, Error> {
        match Self::open(&self.path.join(name)) {
            Ok(dir) => Ok(Some(dir)),
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Steps 1 to 3.
    pub(crate) fn subfolder_or_make(&self, names: Names<'_>) -> Result<Self, Error> {
        let Names { file: name, temporary } = names;
        if let Some(dir) = self.subfolder(name)? {
            return Ok(dir);
        }
        if let Some(left) = self.subfolder(temporary)? {
            unlinkat(self, temporary, AtFlags::REMOVEDIR).map_err(Error::on("remove", temporary))?;
            fsync(self).map_err(Error::on("sync", self.path.display().to_string()))?;
            drop(left);
            self.sync()?;
        }
        self.has_records(names, false)?;
        mkdirat(self, temporary, Mode::RWXU).map_err(Error::on("make", temporary))?;
        self.flush_all()?;
        let made = Self::open(&self.path.join(temporary))?;
        self.rename(&made, temporary, name)?;
        Self::open(&self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, names};

    const NAMES: Names<'_> = Names { file: "coracle", temporary: "coracle.new" };

    #[test]
    fn a_folder_is_made_once() {
        let (_folder, dir) = folder(&[]);
        assert!(dir.subfolder("coracle").unwrap().is_none());
        std::fs::create_dir(dir.path.join("coracle.new")).unwrap();
        for _ in 0..2 {
            let made = dir.subfolder_or_make(NAMES).unwrap();
            std::fs::write(made.path.join("kept"), "").unwrap();
            assert_eq!(names(&dir), ["coracle"]);
            assert_eq!(names(&dir.subfolder("coracle").unwrap().unwrap()), ["kept"]);
        }
    }

    #[test]
    fn what_is_not_empty_or_no_folder_is_left_alone() {
        let (_folder, dir) = folder(&[]);
        std::fs::create_dir(dir.path.join("coracle.new")).unwrap();
        std::fs::write(dir.path.join("coracle.new/unknown"), "").unwrap();
        let error = dir.subfolder_or_make(NAMES).unwrap_err();
        assert!(matches!(&error, Error::File { operation: "remove", .. }), "{error:?}");
        assert_eq!(names(&dir), ["coracle.new"]);

        let (_folder, dir) = folder(&["coracle"]);
        let error = dir.subfolder_or_make(NAMES).unwrap_err();
        assert!(matches!(&error, Error::File { operation: "open", .. }), "{error:?}");
    }
}
