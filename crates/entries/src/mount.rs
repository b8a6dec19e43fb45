//! How the partition has to be mounted, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::Error;
use crate::dir::Dir;

const TABLE: &str = "/proc/self/mountinfo";
/// Each makes the kernel write the sector with the names before everything is in it.
const HARMFUL: [&str; 3] = ["sync", "dirsync", "flush"];

/// What is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    kind: String,
    /// The device with the filesystem.
    pub device: PathBuf,
    options: Vec<String>,
}

impl Mount {
    /// The mount that `dir` is on.
    pub(crate) fn of(dir: impl AsFd, path: &Path) -> Result<Self, Error> {
        let found = statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        let found = found.map_err(Error::on("find the mount of", path.display().to_string()))?;
        let table = std::fs::read_to_string(TABLE).map_err(Error::on("read", TABLE))?;
        find(&table, found.stx_mnt_id).ok_or_else(|| Error::NotVfat { path: path.to_owned() })
    }

    /// Whether entries can be changed safely.
    pub(crate) fn check(&self, path: &Path) -> Result<(), Error> {
        let (path, has) = (|| path.to_owned(), |option: &str| self.options.iter().any(|own| own == option));
        if self.kind != "vfat" {
            return Err(Error::NotVfat { path: path() });
        }
        if let Some(option) = HARMFUL.into_iter().find(|option| has(option)) {
            return Err(Error::Mounted { path: path(), option });
        }
        if has("ro") { Err(Error::ReadOnly { path: path() }) } else { Ok(()) }
    }
}

impl Dir {
    /// The device of the filesystem, which is mounted as it has to be.
    pub(crate) fn device(&self) -> Result<PathBuf, Error> {
        let mount = Mount::of(self, &self.path)?;
        mount.check(&self.path)?;
        Ok(mount.device)
    }
}

/// `ID PARENT DEV ROOT PLACE OPTIONS [TAG…] - KIND DEVICE SUPEROPTIONS`
fn find(table: &str, id: u64) -> Option<Mount> {
    let id = id.to_string();
    let line = table.lines().find(|line| line.split(' ').next() == Some(id.as_str()))?;
    let (of_mount, of_filesystem) = line.split_once(" - ")?;
    let mut words = of_filesystem.split(' ');
    let (kind, device, of_filesystem) = (words.next()?, words.next()?, words.next()?);
    let options = of_mount.split(' ').nth(5)?.split(',').chain(of_filesystem.split(','));
    Some(Mount { kind: kind.into(), device: device.into(), options: options.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
        22 28 0:21 / /proc rw,relatime shared:12 - proc proc rw\n\
        28 1 254:0 / / ro,relatime - erofs /dev/dm-0 ro\n\
        122 28 254:1 / /esp rw,nosuid,noatime shared:1 master:2 - vfat /dev/vda1 rw,fmask=0077,errors=remount-ro\n\
        123 28 254:1 / /esp ro,noatime - vfat /dev/vda1 rw\n\
        124 28 254:1 / /esp rw - vfat /dev/vda1 ro\n\
        125 28 254:1 / /esp rw - vfat /dev/vda1 rw,dirsync,fmask=0077\n\
        126 28 254:1 / /esp rw - vfat /dev/vda1 rw,fmask=0077,flush\n\
        127 28 254:1 / /esp rw - vfat /dev/vda1 rw,sync\n\
        128 28 254:1 / /esp rw - vfat\n";

    #[test]
    fn only_a_writable_vfat_without_sync_will_do() {
        let path = Path::new("/esp/EFI/Linux");
        let check = |id| find(LINES, id).unwrap().check(path);
        assert!(check(122).is_ok());
        assert_eq!(find(LINES, 122).unwrap().device, Path::new("/dev/vda1"));
        assert!(matches!(check(22), Err(Error::NotVfat { .. })));
        assert!(matches!(check(28), Err(Error::NotVfat { .. })));
        assert!(matches!(check(123), Err(Error::ReadOnly { .. })));
        assert!(matches!(check(124), Err(Error::ReadOnly { .. })));
        assert!(matches!(check(125), Err(Error::Mounted { option: "dirsync", .. })));
        assert!(matches!(check(126), Err(Error::Mounted { option: "flush", .. })));
        assert!(matches!(check(127), Err(Error::Mounted { option: "sync", .. })));
        for id in [2, 12, 128, 999] {
            assert_eq!(find(LINES, id), None, "{id}");
        }
    }

    #[test]
    fn the_mount_of_a_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mount = Mount::of(std::fs::File::open(folder.path()).unwrap(), folder.path()).unwrap();
        assert!(!mount.kind.is_empty() && mount.options.contains(&"rw".to_owned()), "{mount:?}");
    }
}
