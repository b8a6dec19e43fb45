//! What a filesystem in memory covers, copied into it.

use std::{
    ffi::CStr,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Uid, chownat, fchmod, fstat, mkdirat, mknodat,
        openat, readlinkat_raw, sendfile, statat, symlinkat,
    },
    io::Errno,
};

/// Deeper than any tree that is sensibly copied; each level takes some memory of the stack.
const DEEPEST: usize = 64;
/// A link's target of this length is not taken.
const LINK: usize = 4096;

/// Copies what is in a folder, with owners and modes, into another.
pub(super) fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (from, to) = (openat(from, c".", flags, Mode::empty())?, openat(to, c".", flags, Mode::empty())?);
    keep(to.as_fd(), &fstat(&from)?)?;
    folder(from.as_fd(), to.as_fd(), DEEPEST)
}

fn folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    let depth = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(from, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn one(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let plain = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            let source = openat(from, name, plain | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            let copy = openat(to, name, plain | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            folder(source.as_fd(), copy.as_fd(), depth)?;
            keep(copy.as_fd(), &stat)
        }
        FileType::RegularFile => {
            let source = openat(from, name, plain | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
            let copy = openat(to, name, plain | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::RUSR)?;
            while sendfile(&copy, &source, None, 1 << 30)? > 0 {}
            keep(copy.as_fd(), &stat)
        }
        FileType::Symlink => {
            let mut space = [MaybeUninit::uninit(); LINK];
            let (target, rest) = readlinkat_raw(from, name, &mut space)?;
            // The kernel gives no end: there has to be room for one, or the target was cut.
            let mut link = [0; LINK];
            if rest.is_empty() {
                return Err(Errno::NAMETOOLONG);
            }
            link.get_mut(..target.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(target);
            let target = CStr::from_bytes_until_nul(&link).map_err(|_| Errno::INVAL)?;
            symlinkat(target, to, name)?;
            own(to, name, &stat)
        }
        kind => {
            mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?;
            own(to, name, &stat)
        }
    }
}

fn keep(copy: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    own(copy, c"", stat)?;
    fchmod(copy, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

fn own(folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_modes_and_links() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("a/b")).unwrap();
        fs::write(from.path().join("a/file"), vec![7; 100_000]).unwrap();
        fs::write(from.path().join("a/empty"), "").unwrap();
        symlink("file", from.path().join("a/link")).unwrap();
        for n in 0..500 {
            fs::write(from.path().join(format!("a/b/{n}")), "x").unwrap();
        }
        fs::set_permissions(from.path().join("a/file"), Permissions::from_mode(0o4711)).unwrap();
        fs::set_permissions(from.path().join("a"), Permissions::from_mode(0o1730)).unwrap();
        copy_up(File::open(from.path()).unwrap().as_fd(), File::open(to.path()).unwrap().as_fd()).unwrap();
        assert_eq!(fs::read(to.path().join("a/file")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::metadata(to.path().join("a/file")).unwrap().mode() & 0o7777, 0o4711);
        assert_eq!(fs::metadata(to.path().join("a")).unwrap().mode() & 0o7777, 0o1730);
        assert_eq!(fs::read_link(to.path().join("a/link")).unwrap().to_str(), Some("file"));
        assert_eq!(fs::read_dir(to.path().join("a/b")).unwrap().count(), 500);
    }

    #[test]
    fn a_tree_too_deep_is_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("x/".repeat(70))).unwrap();
        let (from, to) = (File::open(from.path()).unwrap(), File::open(to.path()).unwrap());
        assert_eq!(copy_up(from.as_fd(), to.as_fd()), Err(Errno::NAMETOOLONG));
    }
}
