//! Crash records: what the kernel saved of its last words is moved to the state partition.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use coracle_layout::paths;

use super::{Error, Machine, Mode};
use crate::log::{info, warning};

const SOURCE: &str = "/sys/fs/pstore";
/// Records kept; the oldest go first.
const MAX_KEPT: usize = 32;
/// Bytes kept of one record; the firmware's store is smaller than that.
const MAX_LEN: u64 = 256 * 1024;

/// Moves each record to a file of its own. It leaves the firmware's store only when it is safe on disk, since that store
/// is small and firmware has been known to fail on a full one; without a state partition it stays there.
pub(super) fn save(machine: &mut Machine) -> Result<(), Error> {
    if machine.mode != Mode::Normal {
        return Ok(());
    }
    let records = match fs::read_dir(SOURCE) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::os("list", SOURCE)(source)),
    };
    let folder = Path::new(paths::STATE_INIT).join("pstore");
    fs::create_dir_all(&folder).map_err(Error::os("make", folder.to_string_lossy()))?;
    let mut moved = 0;
    for record in records {
        let record = record.map_err(Error::os("list", SOURCE))?;
        let source = record.path();
        let target = folder.join(format!("{}-{}", stamp(&source), record.file_name().to_string_lossy()));
        copy(&source, &target).map_err(Error::os("save", target.to_string_lossy()))?;
        fs::remove_file(&source).map_err(Error::os("clear", source.to_string_lossy()))?;
        moved += 1;
    }
    if moved > 0 {
        info!("crash records of an earlier boot saved records={moved} folder={}", folder.display());
        prune(&folder).map_err(Error::os("prune", folder.to_string_lossy()))?;
    }
    Ok(())
}

/// Seconds since 1970 at which the record was made: names sort by age.
fn stamp(record: &Path) -> String {
    let modified = fs::metadata(record).and_then(|metadata| metadata.modified()).ok();
    let seconds = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{:012}", seconds.map_or(0, |since| since.as_secs()))
}

fn copy(source: &Path, target: &Path) -> std::io::Result<()> {
    let mut text = vec![];
    File::open(source)?.take(MAX_LEN).read_to_end(&mut text)?;
    let mut file = File::create(target)?;
    file.write_all(&text)?;
    file.sync_all()?;
    target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn prune(folder: &Path) -> std::io::Result<()> {
    let mut kept: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    kept.sort();
    let surplus = kept.len().saturating_sub(MAX_KEPT);
    for path in kept.iter().take(surplus) {
        warning!("an old crash record is dropped path={}", path.display());
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_oldest_records_go_first_and_long_ones_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, vec![b'x'; MAX_LEN as usize + 1]).unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        for n in 0..MAX_KEPT + 3 {
            copy(&source, &kept.join(format!("{n:012}-dmesg"))).unwrap();
        }
        prune(&kept).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), MAX_KEPT);
        assert_eq!(names[0].to_str(), Some("000000000003-dmesg"));
        assert_eq!(fs::metadata(kept.join(&names[0])).unwrap().len(), MAX_LEN);
    }
}
