//! Places in the container's root that a mount or a device goes to, made where they are missing.
//!
//! Every step is looked up below the root and from the root's own descriptor; what was found is used by descriptor, never by
//! path again (CVE-2021-30465, CVE-2024-45310).

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use crate::start::tree::{Owner, linked, make_folder, place};

/// As long as a path of the kernel's, its end included.
const LONGEST: usize = 4096;

/// What links on the way mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They are followed as the container itself would, but never the kernel's own.
    Followed,
    /// They are refused.
    Refused,
}

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// A folder.
    Folder,
    /// An empty file.
    File,
}

/// What is at a path; it and the folders above it are made for the owner if they are missing.
pub(super) fn target(
    root: BorrowedFd<'_>,
    path: &CStr,
    links: Links,
    missing: Missing,
    owner: Owner,
) -> Result<OwnedFd, Errno> {
    match open(root, path, links) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let (folder, name) = parent(root, path, links, owner)?;
    let Some(name) = name.as_c_str() else { return Ok(folder) };
    match missing {
        Missing::Folder => make_folder(folder.as_fd(), name, owner)?,
        Missing::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(openat(&folder, name, flags, Mode::from_raw_mode(0o644))?);
            owner.own(folder.as_fd(), name)?;
        }
    }
    open(root, path, links)
}

/// The folder of a path, made if it is missing, and the last name, if it has one.
pub(super) fn parent(
    root: BorrowedFd<'_>,
    path: &CStr,
    links: Links,
    owner: Owner,
) -> Result<(OwnedFd, Name), Errno> {
    let path = path.to_bytes();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let (above, last) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (&[][..], path),
    };
    let mut folder = open(root, c".", links)?;
    let mut so_far = Name::default();
    for part in above.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        so_far.push(b"/")?;
        so_far.push(part)?;
        let path = so_far.as_c_str().ok_or(Errno::INVAL)?;
        folder = match open(root, path, links) {
            Err(Errno::NOENT) => {
                let mut name = Name::default();
                name.push(part)?;
                make_folder(folder.as_fd(), name.as_c_str().ok_or(Errno::INVAL)?, owner)?;
                open(root, path, links)?
            }
            other => other?,
        };
    }
    let mut name = Name::default();
    name.push(last)?;
    Ok((folder, name))
}

fn open(root: BorrowedFd<'_>, path: &CStr, links: Links) -> Result<OwnedFd, Errno> {
    match links {
        Links::Followed => linked(root, path, OFlags::empty()),
        Links::Refused => place(root, path, OFlags::empty()),
    }
}

/// A path that needs no memory.
#[derive(Debug)]
pub(super) struct Name {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }
}

impl Name {
    /// The path; `None` if it is empty.
    pub(super) fn as_c_str(&self) -> Option<&CStr> {
        if self.len == 0 { None } else { CStr::from_bytes_until_nul(&self.bytes).ok() }
    }

    fn push(&mut self, part: &[u8]) -> Result<(), Errno> {
        let end = self.len + part.len();
        if end >= LONGEST {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.get_mut(self.len..end).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::CString, fs, fs::File, os::unix::fs::symlink};

    use rustix::fs::{Gid, Uid};

    use super::*;

    fn made(root: &std::path::Path, path: &str, links: Links, missing: Missing) -> Result<OwnedFd, Errno> {
        let root = File::open(root).unwrap();
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        let owner = Owner { uid: Uid::from_raw(uid.as_raw()), gid: Gid::from_raw(gid.as_raw()) };
        target(root.as_fd(), &CString::new(path).unwrap(), links, missing, owner)
    }

    #[test]
    fn what_is_missing_is_made_inside_wherever_links_lead() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("real")).unwrap();
        symlink("/real", root.join("inside")).unwrap();
        symlink("../../outside", root.join("up")).unwrap();
        symlink("/nowhere", root.join("dangling")).unwrap();
        for (path, there) in
            [("/a/b/c", "a/b/c"), ("/a//b/", "a/b"), ("inside/d/e", "real/d/e"), ("/../../f", "f"), ("/", "")]
        {
            made(&root, path, Links::Followed, Missing::Folder).unwrap();
            assert!(root.join(there).is_dir(), "{path}");
        }
        made(&root, "/g/h", Links::Refused, Missing::File).unwrap();
        assert!(root.join("g/h").is_file());
        made(&root, "/up/x", Links::Followed, Missing::Folder).unwrap_err();
        made(&root, "/dangling", Links::Followed, Missing::Folder).unwrap_err();
        assert_eq!(made(&root, "/inside/d", Links::Refused, Missing::Folder).unwrap_err(), Errno::LOOP);
        assert_eq!(made(&root, "/g/h/i", Links::Followed, Missing::File).unwrap_err(), Errno::NOTDIR);
        let long = format!("/{}", "x/".repeat(3000));
        assert_eq!(made(&root, &long, Links::Followed, Missing::File).unwrap_err(), Errno::NAMETOOLONG);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing outside");
        assert!(!root.join("nowhere").exists());
    }
}
