//! From the initramfs to the root: facts left, memory freed, root switched.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use coracle_layout::paths;
use rustix::{
    mount::{MountFlags, mount_move, mount_remount},
    process::chroot,
};

use super::{Error, facts::Facts, root::NEW_ROOT};
use crate::log::{Chain, info, warning};

/// What moves to the new root, with everything mounted below.
const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];
/// Folders in folders in the initramfs: it has one level.
const MAX_DEPTH: u8 = 8;

/// Makes the root `/`.
pub(crate) fn run(facts: &mut Facts) -> Result<(), Error> {
    info!(
        "root opened slot={} disk={}",
        shown(&facts.slot),
        shown(&facts.disk.as_ref().map(|path| path.display()))
    );
    facts.reached("handed");
    leave(facts)?;
    for from in MOVED {
        mount_move(from, format!("{NEW_ROOT}{from}")).map_err(Error::on("move", from))?;
    }
    std::env::set_current_dir(NEW_ROOT).map_err(Error::on("enter", NEW_ROOT))?;
    // Memory that stays in use is a pity, not a reason to stop.
    if let Err(error) = clear(Path::new("/"), Path::new(paths::INIT)) {
        warning!("initramfs not freed error={:?}", Chain(&error).to_string());
    }
    // `/proc/1/exe` leads to the program below the root: nobody shall write to it.
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY, "")
        .map_err(Error::on("protect", paths::INIT))?;
    mount_move(".", "/").map_err(Error::on("move", NEW_ROOT))?;
    chroot(".").map_err(Error::on("change the root to", NEW_ROOT))?;
    std::env::set_current_dir("/").map_err(Error::on("enter", "/"))
}

fn leave(facts: &Facts) -> Result<(), Error> {
    fs::create_dir_all(paths::RUN)
        .and_then(|()| fs::write(paths::STAGE1_FACTS, facts.encode()))
        .map_err(Error::on("write", paths::STAGE1_FACTS))
}

fn shown(fact: &Option<impl std::fmt::Display>) -> String {
    fact.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// Removes everything in the filesystem of `folder` but the file `kept`, and nothing that is mounted in it.
fn clear(folder: &Path, kept: &Path) -> io::Result<()> {
    clear_below(folder, kept, fs::symlink_metadata(folder)?.dev(), MAX_DEPTH)
}

fn clear_below(folder: &Path, kept: &Path, device: u64, depth: u8) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.dev() != device || path == kept {
            continue;
        }
        if metadata.is_dir() {
            if let Some(depth) = depth.checked_sub(1) {
                clear_below(&path, kept, device, depth)?;
            }
            // Fails for a folder that something is mounted or kept in, as it should.
            match fs::remove_dir(&path) {
                Err(error) if !is_in_use(&error) => return Err(error),
                _ => {}
            }
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn is_in_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::{
        mount::{UnmountFlags, mount, unmount},
        process::geteuid,
    };
    use std::collections::BTreeSet;

    #[test]
    fn everything_goes_but_what_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["dev", "root", "sbin", "a/b/c"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["sbin/init", "sbin/other", "dev/console", "a/b/c/file"] {
            fs::write(at(path), "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc", at("a/link")).unwrap();
        assert!(geteuid().is_root(), "the tests mount: run them as root");
        mount("none", at("root"), "tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(at("root/kept"), "x").unwrap();

        clear(folder.path(), &at("sbin/init")).unwrap();
        let left = |path: &str| {
            let entries = fs::read_dir(at(path)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
        };
        let kept = at("root/kept").exists();
        unmount(at("root"), UnmountFlags::empty()).unwrap();
        assert_eq!(left(""), ["root", "sbin"].map(String::from).into());
        assert_eq!(left("sbin"), ["init".to_owned()].into());
        assert!(kept && Path::new("/etc").exists());
    }
}
