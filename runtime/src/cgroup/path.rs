//! Cgroups by the names on the way to them, made with the controllers that they need.

use std::{
    borrow::Borrow,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, unlinkat},
    io::Errno,
};

use super::{
    CONTROLLERS, Cgroup, Setting, enable,
    file::{self, SHORT, failed},
    has_word, make_folder,
};
use crate::{Error, devices::Devices};

/// So many names are on the way at the most: each has a descriptor while a cgroup is made.
const DEEPEST: usize = 64;

/// Where a cgroup lies below another, such as `pods/a`: one name at the least, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// Checks a path. It is read from the top whether it begins with `/` or not.
    pub fn new(text: &str) -> Result<Self, Error> {
        let names: Vec<&str> = text.split('/').filter(|name| !name.is_empty()).collect();
        let fits =
            |name: &&str| name.len() <= 255 && !name.contains(['\0', '\n']) && !matches!(*name, "." | "..");
        if names.is_empty() || names.len() > DEEPEST || !names.iter().all(fits) {
            return Err(Error::CgroupPath { path: text.to_owned() });
        }
        Ok(Self(names.join("/")))
    }

    /// Without `/` at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn names(&self) -> Vec<&str> {
        self.0.split('/').collect()
    }
}

impl Cgroup {
    /// Makes a cgroup below `root`, and those on the way that are not there. What was made is not left behind if anything fails.
    ///
    /// One that is there already is taken if nothing is in it and it is not frozen.
    ///
    /// The controllers in `needed` are handed down to it, or it is not made; so are, as far as that goes, those that plans use:
    /// they count what it uses. Where processes live beside the cgroups below, only the root can hand any down.
    pub fn make_at<S: Borrow<Setting>>(
        root: BorrowedFd<'_>,
        path: &Path,
        needed: &[&str],
        devices: Devices<'_>,
        settings: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        reach(root, &path.names(), needed, |parent, name| match make_folder(parent, name) {
            Ok(()) => Self::fill_or_remove(parent, name, devices, settings),
            Err(Errno::EXIST) => Self::open_named(parent, name)?.unused()?.fill(devices, settings),
            Err(source) => Err(failed("mkdir")(source)),
        })
    }

    /// An existing cgroup below `root`.
    pub fn open_at(root: BorrowedFd<'_>, path: &Path) -> Result<Self, Error> {
        // A cgroup2 mount has no links, and the path no `..`: it leads nowhere else.
        Self::open_named(root, path.as_str())
    }

    /// The same, with these controllers handed down to it.
    pub fn open_with(root: BorrowedFd<'_>, path: &Path, needed: &[&str]) -> Result<Self, Error> {
        let found = Self::open_at(root, path)?;
        reach(root, &path.names(), needed, |_, _| Ok(found))
    }

    fn unused(self) -> Result<Self, Error> {
        if self.is_populated()? {
            return Err(Error::CgroupInUse { how: "has processes" });
        }
        if self.is_frozen()? {
            return Err(Error::CgroupInUse { how: "is frozen" });
        }
        Ok(self)
    }
}

/// Goes down to the folder above the last name, makes what is missing, hands down controllers; then does the last step.
fn reach<T>(
    here: BorrowedFd<'_>,
    names: &[&str],
    needed: &[&str],
    last: impl FnOnce(BorrowedFd<'_>, &str) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some((name, rest)) = names.split_first() else {
        return Err(Error::CgroupPath { path: String::new() });
    };
    hand_down(here, needed)?;
    if rest.is_empty() {
        return last(here, name);
    }
    let is_new = match make_folder(here, name) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(source) => return Err(failed("mkdir")(source)),
    };
    let reached = Cgroup::open_named(here, name).and_then(|next| reach(next.as_fd(), rest, needed, last));
    if reached.is_err() && is_new {
        // The first error is the one to report; what stays is an empty cgroup.
        let _ = unlinkat(here, *name, AtFlags::REMOVEDIR);
    }
    reached
}

fn hand_down(folder: BorrowedFd<'_>, needed: &[&str]) -> Result<(), Error> {
    let (mut first, mut second) = ([0; SHORT], [0; SHORT]);
    let offered = file::read(folder, "cgroup.controllers", &mut first)?;
    let handed = file::read(folder, "cgroup.subtree_control", &mut second)?;
    if let Some(missing) = needed.iter().find(|name| !has_word(offered, name)) {
        return Err(Error::NoController { controller: (*missing).to_owned() });
    }
    let is_shared = is_shared(folder)?;
    for controller in needed.iter().filter(|name| !has_word(handed, name)) {
        if is_shared {
            return Err(failed("cgroup.subtree_control")(Errno::BUSY));
        }
        enable(folder, controller)?;
    }
    let others = CONTROLLERS.iter().filter(|name| has_word(offered, name) && !needed.contains(name));
    for controller in others.filter(|name| !is_shared && !has_word(handed, name)) {
        // Nothing of the cgroup depends on it.
        let _ = enable(folder, controller);
    }
    Ok(())
}

/// Whether processes live in it besides what is below. To hand down controllers, and be it those that the kernel allows, would
/// make threaded cgroups of those below, which no process can be started in. The root of all, which has no type, is exempt.
fn is_shared(folder: BorrowedFd<'_>) -> Result<bool, Error> {
    let mut buffer = [0; SHORT];
    match file::read(folder, "cgroup.type", &mut buffer) {
        Err(Error::Cgroup { source: Errno::NOENT, .. }) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(!file::read(folder, "cgroup.procs", &mut buffer)?.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_names_and_leads_down() {
        for (text, names) in [
            ("/a", "a"),
            ("a/b", "a/b"),
            ("//system.slice///a:b/", "system.slice/a:b"),
            ("/..a/a..", "..a/a.."),
        ] {
            assert_eq!(Path::new(text).unwrap().as_str(), names);
        }
        let (long, deep) = ("a".repeat(256), "a/".repeat(65));
        for text in ["", "/", "..", "/a/../b", "a/.", "a\nb", "a\0", long.as_str(), deep.as_str()] {
            assert_eq!(Path::new(text), Err(Error::CgroupPath { path: text.to_owned() }));
        }
        for text in ["a/".repeat(64), "a".repeat(255)] {
            assert!(Path::new(&text).is_ok());
        }
    }
}
