//! The identifier of the EFI system partition's volume, which all machines of an image share until their first boot.
//!
//! What is written, in bytes of sector 0 and of its copy, sector 6 (`crates/fat/src/geometry.rs` has the whole table):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 66 | 1 | signature 0x29: an identifier follows |
//! | 67 | 4 | volume identifier |
//! | 82 | 8 | `FAT32   ` |
//! | 510 | 2 | 0x55 0xaa |

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use coracle_gpt::{Step, apply};
use coracle_layout::partition::Partition;

use super::{Error, state::random_bytes};
use crate::{
    disk::Disk,
    log::{info, warning},
};

const SECTOR_LEN: usize = 512;
const BOOT_SECTOR: u64 = 0;
const COPY: u64 = 6 * SECTOR_LEN as u64;
const ID: Range<usize> = 67..71;
/// What a sector of ours has where.
const MARKS: [(usize, &[u8]); 3] = [(66, &[0x29]), (82, b"FAT32   "), (510, &[0x55, 0xaa])];

/// Gives the volume a random identifier.
pub(super) fn identify(disk: &Disk) -> Result<(), Error> {
    let path = &disk.partition(Partition::Esp)?.path;
    let object = path.to_string_lossy().into_owned();
    let mut device =
        OpenOptions::new().read(true).write(true).open(path).map_err(Error::os("open", &object))?;
    let [a, b, c, d, ..] = random_bytes()?;
    let steps = steps(&mut device, [a, b, c, d]).map_err(Error::os("read", &object))?;
    apply(&steps, &mut device, |device: &mut File| device.sync_all()).map_err(Error::os("write", &object))?;
    if steps.is_empty() {
        warning!("volume keeps its identifier device={object} reason=\"no FAT32 with one\"");
    } else {
        info!("volume identified device={object}");
    }
    Ok(())
}

/// The writes that give a volume another identifier; none if its boot sector is not what it should be.
///
/// 1. The copy, if it is one. Power lost here means: the copy differs from the boot sector, which is what is read.
/// 2. Flush.
/// 3. The boot sector. Power lost here means: it has the old identifier or the new one.
/// 4. Flush.
///
/// Until the partition table has random identifiers, the next boot does all of it again. The kernel may write the sectors
/// around as well: they are as they were.
fn steps(volume: &mut (impl Read + Seek), id: [u8; ID.end - ID.start]) -> io::Result<Vec<Step>> {
    let mut steps = vec![];
    for offset in [COPY, BOOT_SECTOR] {
        let mut sector = vec![0; SECTOR_LEN];
        volume.seek(SeekFrom::Start(offset))?;
        volume.read_exact(&mut sector)?;
        let is_ours =
            MARKS.iter().all(|(at, mark)| sector.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
        match sector.get_mut(ID) {
            Some(place) if is_ours => place.copy_from_slice(&id),
            _ if offset == BOOT_SECTOR => return Ok(vec![]),
            _ => continue,
        }
        steps.extend([Step::Write { offset, bytes: sector }, Step::Flush]);
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::{os::unix::fs::FileExt, path::Path, process::Command};

    use coracle_fat::{MIN_LEN, Volume};

    use super::*;

    const OLD: [u8; 4] = 0x00c0_ac1e_u32.to_le_bytes();
    const NEW: [u8; 4] = *b"\x01\x23\x45\x67";

    fn volume(path: &Path) -> File {
        let mut file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(MIN_LEN).unwrap();
        let files: &[(&str, &[u8])] = &[("EFI/Linux/coracle_1.0.0.efi", b"MZ")];
        let volume = Volume { len: MIN_LEN, id: u32::from_le_bytes(OLD), label: *b"ESP        ", files };
        coracle_fat::write(&mut file, &volume).unwrap();
        file
    }

    /// The identifiers in the boot sector and in its copy.
    fn ids(file: &File) -> [[u8; 4]; 2] {
        [BOOT_SECTOR, COPY].map(|offset| {
            let mut id = [0; 4];
            file.read_exact_at(&mut id, offset + ID.start as u64).unwrap();
            id
        })
    }

    fn fsck(path: &Path) -> (bool, String) {
        let mut fsck = Command::new("fsck.vfat");
        let output = fsck.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("-nv").arg(path).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[test]
    fn whenever_the_power_goes_the_volume_is_good_and_the_next_boot_finishes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("esp");
        for (done, between) in [(0, [OLD, OLD]), (2, [OLD, NEW]), (4, [NEW, NEW])] {
            let mut file = volume(&path);
            let all = steps(&mut file, NEW).unwrap();
            assert_eq!(all.len(), 4);
            apply(&all[..done], &mut file, |_| Ok(())).unwrap();
            assert_eq!(ids(&file), between);
            let read = coracle_fat::read::Image::open(File::open(&path).unwrap(), MIN_LEN);
            assert!(read.is_ok(), "after {done} steps: {:?}", read.err());
            let all = steps(&mut file, *b"next").unwrap();
            apply(&all, &mut file, |_| Ok(())).unwrap();
            assert_eq!(ids(&file), [*b"next"; 2]);
            let (is_clean, said) = fsck(&path);
            assert!(is_clean && !said.contains("differences"), "{said}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = volume(&folder.path().join("esp"));
        file.write_all_at(b"NTFS", COPY + 82).unwrap();
        let offsets = |steps: &[Step]| -> Vec<u64> {
            let written = |step: &Step| match step {
                Step::Write { offset, bytes } => (bytes.len() == SECTOR_LEN).then_some(*offset),
                Step::Flush => None,
            };
            steps.iter().filter_map(written).collect()
        };
        assert_eq!(offsets(&steps(&mut file, NEW).unwrap()), [BOOT_SECTOR], "a copy that is none");
        for (at, _) in MARKS {
            let mut file = volume(&folder.path().join(at.to_string()));
            file.write_all_at(&[0], at as u64).unwrap();
            assert_eq!(steps(&mut file, NEW).unwrap(), [], "byte {at}");
        }
        assert!(steps(&mut io::Cursor::new([0; 100]), NEW).is_err());
    }
}
