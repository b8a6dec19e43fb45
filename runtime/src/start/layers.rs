//! The container's root: the image below, a fresh layer above.
//!
//! 1. The image's tree is copied as a mount of its own, read-only, with its owners moved into the user namespace.
//! 2. A filesystem in memory covers the image's folder, in this mount namespace alone: no other folder is sure to exist.
//! 3. There the copy and the writable layer get names, as overlayfs (before Linux 6.13) takes its layers by path only.
//! 4. The overlay is mounted beside them.
//!
//! A container without a writable layer runs on the copy itself, where the image has all mount points. Where it lacks one, there
//! is a layer for those alone, and the root gets sealed later. A layer belongs to one start and is thrown away, so nothing waits
//! for the disk on its behalf (`volatile`).

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::mounts::{Attributes, Reach, idmap};
use rustix::{
    fs::{AtFlags, CWD, FileType, Gid, Mode, Stat, Uid, chmodat, fstat, mkdirat, statat},
    io::Errno,
    mount::MountAttrFlags,
    process::fchdir,
};

use super::{
    stage::{At, Failure, Stage},
    tree::{Owner, Setting, copy, filesystem, put_at, restrict},
};

/// Neither set-id bits nor devices: the image brings programs, nothing else.
const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// What a root is made of.
pub(super) struct Layers<'a> {
    /// The image's folder.
    pub(super) image: &'a CStr,
    /// The user namespace of its owners.
    pub(super) userns: Option<BorrowedFd<'a>>,
    /// Size of the filesystem in memory.
    pub(super) memory: &'a CStr,
    /// A folder on a disk for the writable layer, instead of memory; it is made, with those above it.
    pub(super) scratch: Option<&'a CStr>,
    /// Nothing may be written.
    pub(super) sealed: bool,
}

/// A root in the making.
pub(super) struct Roots {
    /// The overlay, or the image's own tree.
    pub(super) root: OwnedFd,
    /// The filesystem in memory beside it.
    pub(super) staging: OwnedFd,
}

impl Layers<'_> {
    /// Puts the layers together.
    pub(super) fn mount(&self) -> Result<Roots, Failure> {
        let image = copy(CWD, self.image, Reach::One).at(Stage::Image)?;
        let sealed = Attributes::RDONLY.and(Attributes::NOSUID).and(Attributes::NODEV);
        restrict(image.as_fd(), Reach::One, sealed).at(Stage::Image)?;
        if let Some(userns) = self.userns {
            idmap(image.as_fd(), Reach::One, userns).at(Stage::IdMap)?;
        }
        let face = fstat(&image).at(Stage::Image)?;

        let staging = self.staging().at(Stage::Staging)?;
        if self.sealed && has_mount_points(image.as_fd()) {
            put_at(image.as_fd(), staging.as_fd(), c"root").at(Stage::Image)?;
            return Ok(Roots { root: image, staging });
        }
        put_at(image.as_fd(), staging.as_fd(), c"image").at(Stage::Staging)?;
        fchdir(&staging).at(Stage::Staging)?;
        let (upper, work) = match self.scratch {
            None => {
                writable(staging.as_fd(), &face).at(Stage::Layer)?;
                (c"upper", c"work")
            }
            Some(path) => {
                make(path).at(Stage::Layer)?;
                let scratch = copy(CWD, path, Reach::One).at(Stage::Layer)?;
                restrict(scratch.as_fd(), Reach::One, Attributes::NOSUID.and(Attributes::NODEV))
                    .at(Stage::Layer)?;
                put_at(scratch.as_fd(), staging.as_fd(), c"scratch").at(Stage::Layer)?;
                writable(scratch.as_fd(), &face).at(Stage::Layer)?;
                (c"scratch/upper", c"scratch/work")
            }
        };
        let root = overlay(upper, work).at(Stage::Overlay)?;
        put_at(root.as_fd(), staging.as_fd(), c"root").at(Stage::Overlay)?;
        Ok(Roots { root, staging })
    }

    fn staging(&self) -> Result<OwnedFd, Errno> {
        let settings = [Setting::Text(c"size", self.memory), Setting::Text(c"mode", c"0755")];
        let staging = filesystem(c"tmpfs", settings, PLAIN)?;
        put_at(staging.as_fd(), CWD, self.image)?;
        for name in [c"image", c"scratch", c"root"] {
            mkdirat(&staging, name, Mode::RWXU)?;
        }
        Ok(staging)
    }
}

/// Whether everything is there that a container's start puts something over, so that nothing needs to be made.
fn has_mount_points(image: BorrowedFd<'_>) -> bool {
    let kind = |name: &CStr| {
        let stat = statat(image, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    };
    [c"etc", c"proc", c"sys", c"dev"].iter().all(|name| kind(name) == Some(FileType::Directory))
        && [c"etc/hostname", c"etc/hosts", c"etc/resolv.conf"].iter().all(|name| kind(name).is_some())
}

/// Makes a folder and all above it that are missing, for nobody but the host's root. Disks are waited for here and not in PID 1.
fn make(path: &CStr) -> Result<(), Errno> {
    let mut prefix = [0; 4096]; // As long as a path of the kernel's, its end included.
    for (at, byte) in path.to_bytes_with_nul().iter().enumerate() {
        if at > 0 && matches!(byte, b'/' | 0) {
            // The rest is still zero: the prefix ends here.
            let prefix = CStr::from_bytes_until_nul(&prefix).map_err(|_| Errno::NAMETOOLONG)?;
            match mkdirat(CWD, prefix, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        *prefix.get_mut(at).ok_or(Errno::NAMETOOLONG)? = *byte;
    }
    Ok(())
}

/// The folders of a writable layer, the upper one with owner and mode of the image's root; both must be new.
fn writable(folder: BorrowedFd<'_>, face: &Stat) -> Result<(), Errno> {
    mkdirat(folder, c"work", Mode::RWXU)?;
    mkdirat(folder, c"upper", Mode::RWXU)?;
    let owner = Owner { uid: Uid::from_raw(face.st_uid), gid: Gid::from_raw(face.st_gid) };
    owner.own(folder, c"upper")?;
    chmodat(folder, c"upper", Mode::from_raw_mode(face.st_mode & 0o7777), AtFlags::empty())
}

/// The overlay of the layers below the working directory; relative names need no escape.
fn overlay(upper: &CStr, work: &CStr) -> Result<OwnedFd, Errno> {
    let settings = [
        Setting::Text(c"lowerdir+", c"image"),
        Setting::Text(c"upperdir", upper),
        Setting::Text(c"workdir", work),
        Setting::Flag(c"volatile"),
    ];
    filesystem(c"overlay", settings, PLAIN)
}

#[cfg(test)]
mod tests {
    use std::{ffi::CString, fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn folders_are_made_down_to_the_last() {
        let folder = tempfile::tempdir().unwrap();
        for below in ["a", "a/b//c/", "d/e/f", "a/b"] {
            let path = folder.path().join(below);
            make(&CString::new(path.to_str().unwrap()).unwrap()).unwrap();
            assert!(path.is_dir(), "{below}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(fs::metadata(folder.path().join("d/e")).unwrap().permissions().mode() & 0o77, 0);
        fs::write(folder.path().join("file"), "").unwrap();
        let below = CString::new(folder.path().join("file/x").to_str().unwrap()).unwrap();
        assert_eq!(make(&below), Err(Errno::NOTDIR));
        let long = format!("{}/{}", folder.path().display(), "x/".repeat(4000));
        assert_eq!(make(&CString::new(long).unwrap()), Err(Errno::NAMETOOLONG));
    }
}
