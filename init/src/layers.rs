//! The writable layers of containers on the state partition, and how they go.
//!
//! Whoever wrote a layer had every right in it: it may be large, and folders in it may lie deeper than there are descriptors or
//! stack to walk down. So a tree is never walked down. It is moved to a bin, a folder beside it; there each folder in the bin
//! loses its files, and the folders in it move up into the bin, until nothing is left. Power lost on the way means that the
//! next boot goes on.
//!
//! It may also have filled the disk: nothing on the way may need a block before it has freed one.

use std::{
    ffi::OsString,
    fs::{self, DirEntry},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use coracle_fence::clone::{Namespaces, spawn};
use coracle_layout::paths;

use crate::{
    boot::{Error, Machine, make},
    log::{Chain, warning},
};

/// What a bin is called after the tree that it is for.
const BIN: &str = ".gone";

/// How long a full disk is waited for while the child frees it, and how often it is looked at.
const ROOM_WAIT: Duration = Duration::from_secs(10);
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// A boot phase: begins with no layers. Those of an earlier boot are moved aside at once, and removed while the machine runs.
/// Where there are none, as on a machine whose containers write nothing, the disk is not written either.
pub(crate) fn renew(_: &mut Machine) -> Result<(), Error> {
    let folder = Path::new(paths::STATE_CONTAINERS);
    if is_clear(folder) {
        return Ok(());
    }
    let bin = discard(folder).map_err(Error::os("move aside", paths::STATE_CONTAINERS))?;
    let Some(bin) = bin else { return make(paths::STATE_CONTAINERS, 0o711) };
    in_a_child(&bin, empty);
    let until = Instant::now() + ROOM_WAIT;
    loop {
        match make(paths::STATE_CONTAINERS, 0o711) {
            Err(Error::Os { source, .. })
                if source.kind() == ErrorKind::StorageFull && Instant::now() < until =>
            {
                thread::sleep(ROOM_PAUSE);
            }
            other => return other,
        }
    }
}

/// Removes a layer that no process has any more.
pub(crate) fn remove_later(layer: &Path) {
    in_a_child(layer, remove);
}

/// PID 1 does not wait for disks.
fn in_a_child(path: &Path, what: fn(&Path) -> io::Result<()>) {
    let child = spawn(Namespaces::NONE, None, || match what(path) {
        Ok(()) => 0,
        Err(error) => {
            warning!("a writable layer stays until the next boot path={} error={error:?}", path.display());
            1
        }
    });
    if let Err(error) = child {
        warning!("a writable layer stays path={} error={:?}", path.display(), Chain(&error).to_string());
    }
}

fn remove(tree: &Path) -> io::Result<()> {
    discard(tree)?.map_or(Ok(()), |bin| empty(&bin))
}

/// Whether the folder is there, with nothing in it, and has no bin.
fn is_clear(folder: &Path) -> bool {
    let is_empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    is_empty && matches!(bin_of(folder).try_exists(), Ok(false))
}

fn bin_of(tree: &Path) -> PathBuf {
    let mut bin = OsString::from(tree);
    bin.push(BIN);
    PathBuf::from(bin)
}

/// Moves a tree to its bin, and names that, if there is either.
fn discard(tree: &Path) -> io::Result<Option<PathBuf>> {
    let bin = bin_of(tree);
    match (tree.try_exists()?, bin.try_exists()?) {
        (true, true) => move_up(tree, &bin, &mut 0)?,
        (true, false) => fs::rename(tree, &bin)?,
        (false, true) => {}
        (false, false) => return Ok(None),
    }
    Ok(Some(bin))
}

/// Removes a bin with all that is in it.
fn empty(bin: &Path) -> io::Result<()> {
    let mut next = 0;
    loop {
        let mut removed = 0;
        for entry in fs::read_dir(bin)? {
            removed += u32::from(is_gone(&entry?, bin, &mut next)?);
        }
        match fs::remove_dir(bin) {
            // As long as something goes, whoever puts new things in is losing.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && removed > 0 => {}
            other => return other,
        }
    }
}

/// Removes an entry of the bin, with its files, and moves the folders in it up.
fn is_gone(entry: &DirEntry, bin: &Path, next: &mut u64) -> io::Result<bool> {
    let path = entry.path();
    if !entry.file_type()?.is_dir() {
        return tolerate(fs::remove_file(path));
    }
    let is_folder = |inner: &DirEntry| inner.file_type().map(|kind| kind.is_dir());
    for inner in fs::read_dir(&path)? {
        let inner = inner?;
        if !is_folder(&inner)? {
            tolerate(fs::remove_file(inner.path()))?;
        }
    }
    // Only now: a bin that grows takes a block.
    for inner in fs::read_dir(&path)? {
        let inner = inner?;
        if is_folder(&inner)? {
            tolerate(move_up(&inner.path(), bin, next))?;
        }
    }
    tolerate(fs::remove_dir(path))
}

/// A process that was killed and has not gone yet may still change what it had open: the next round sees to it.
fn tolerate(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory => Ok(false),
            _ => Err(error),
        },
    }
}

/// Moves a folder into the bin, under a number that is not taken.
fn move_up(folder: &Path, bin: &Path, next: &mut u64) -> io::Result<()> {
    loop {
        let moved = fs::rename(folder, bin.join(next.to_string()));
        *next += 1;
        match moved {
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory) => {
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

    use super::*;

    /// Folders in folders, deeper than any path is long.
    fn deep(top: &Path, depth: u32) {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut folder = openat(CWD, top, flags, Mode::empty()).unwrap();
        for _ in 0..depth {
            mkdirat(&folder, "d", Mode::RWXU).unwrap();
            openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn a_tree_deeper_than_the_stack_goes_whole() {
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("3");
        fs::create_dir(&layer).unwrap();
        deep(&layer, 2_500);
        let small = std::thread::Builder::new().stack_size(128 << 10);
        small.spawn(move || remove(&layer).unwrap()).unwrap().join().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_an_empty_folder_without_a_bin_is_clear() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        assert!(!is_clear(&at("layers")), "it is to be made");
        fs::create_dir(at("layers")).unwrap();
        assert!(is_clear(&at("layers")));
        fs::create_dir(at("layers.gone")).unwrap();
        assert!(!is_clear(&at("layers")));
        fs::remove_dir(at("layers.gone")).unwrap();
        fs::create_dir(at("layers/web")).unwrap();
        assert!(!is_clear(&at("layers")));
    }

    #[test]
    fn nothing_outside_goes_and_a_half_emptied_bin_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("kept/below")).unwrap();
        fs::write(at("kept/file"), "x").unwrap();
        fs::create_dir_all(at("layers.gone/0/x")).unwrap();
        fs::write(at("layers.gone/1"), "x").unwrap();
        fs::create_dir_all(at("layers/web/1/upper/0/1")).unwrap();
        symlink(at("kept"), at("layers/web/1/upper/link")).unwrap();
        symlink(at("kept"), at("layers.gone/2")).unwrap();
        let bin = discard(&at("layers")).unwrap().unwrap();
        assert!(!at("layers").exists() && bin.join("3/web/1/upper/0").is_dir());
        fs::create_dir_all(at("alone/1")).unwrap();
        assert!(
            discard(&at("alone")).unwrap().unwrap().join("1").is_dir(),
            "a bin of its own is the tree itself"
        );
        remove(&at("alone")).unwrap();
        empty(&bin).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept"]);
        assert!(at("kept/below").is_dir() && at("kept/file").is_file());
        remove(&at("layers")).unwrap();
    }
}
