//! The state partition: its identifiers and its size, the filesystem in it, and what happens without it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::fd::AsFd,
    path::PathBuf,
};

use coracle_fence::{ext4, partition};
use coracle_gpt::{Growth, Guid, Side, Table, apply};
use coracle_layout::{partition::Partition, paths};
use rustix::rand::{GetRandomFlags, getrandom};
use sys_mount::{Mount, MountFlags};

use super::{Error, Machine, Mode, machine::OnStateFailure};
use crate::{
    disk::Disk,
    log::{Chain, error, info, warning},
};

/// Bytes of an ext4 block, as the builder makes the filesystem.
const BLOCK_LEN: u64 = 4096;
/// Where an ext4 superblock is, and its length.
const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK_LEN: usize = 1024;

/// Gives disk and partitions random identifiers at the first boot, and the state partition what has been added to the disk.
///
/// One rewrite serves both, in the order of [`Table::steps`]: whenever the power goes, one of the two copies is whole, and
/// the next boot does the rest.
pub(super) fn grow_partition(machine: &mut Machine) -> Result<(), Error> {
    let Disk { name, path, mut table, side, .. } = machine.disk()?;
    let object = path.to_string_lossy().into_owned();
    let mut device =
        OpenOptions::new().read(true).write(true).open(&path).map_err(Error::os("open", &object))?;
    let len = device.seek(SeekFrom::End(0)).map_err(Error::os("measure", &object))?;
    let growth = table.grow_last(len).map_err(|source| Error::Table { disk: name, source })?;
    let is_first_boot = !table.disk_guid().is_random();
    if growth == Growth::None && !is_first_boot && side == Side::Primary {
        return Ok(());
    }
    if is_first_boot {
        let mut ids = random_guids(table.partitions().len() + 1)?.into_iter();
        table.randomize(|| ids.next().unwrap_or(Guid::ZERO));
    }
    apply(&table.steps(side), &mut device, |device| device.sync_all())
        .map_err(Error::os("write", &object))?;
    if let Growth::Grown { number, .. } = growth {
        tell_kernel(&device, &table, number.get(), &object)?;
    }
    info!("partition table written disk={object} first_boot={is_first_boot} growth={growth:?}");
    Ok(())
}

fn random_guids(count: usize) -> Result<Vec<Guid>, Error> {
    (0..count).map(|_| random_bytes().map(Guid::from_random)).collect()
}

fn random_bytes() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(Error::os("draw", "an identifier"))?;
    Ok(bytes)
}

/// The kernel keeps the old size of a partition of a disk in use until it is told.
fn tell_kernel(device: &File, table: &Table, number: u32, disk: &str) -> Result<(), Error> {
    let Some(grown) = table.partitions().iter().find(|partition| partition.number.get() == number) else {
        return Ok(());
    };
    let start = grown.first_lba.offset(table.sector_size());
    let end = grown.last_lba.offset(table.sector_size()) + table.sector_size().bytes();
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    partition::resize(device.as_fd(), number, signed(start), signed(end - start)).map_err(|source| {
        Error::Fence {
            action: "tell the kernel the new size of partition",
            object: format!("{number} of {disk}"),
            source,
        }
    })
}

/// The device of the state partition.
fn device(machine: &Machine) -> Result<PathBuf, Error> {
    Ok(machine.disk()?.partition(Partition::State)?.path.clone())
}

/// Mounts the state partition; the kernel replays its journal.
pub(super) fn mount(machine: &mut Machine) -> Result<(), Error> {
    let device = device(machine)?;
    Mount::builder()
        .fstype("ext4")
        .flags(MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME)
        .data("errors=remount-ro,commit=5")
        .mount(&device, paths::STATE)
        .map(drop)
        .map_err(Error::os("mount the state partition", device.to_string_lossy()))
}

/// Brings the machine up without its state partition, and touches nothing on it: what looks corrupt may be all there is.
pub(super) fn do_without(machine: &mut Machine, cause: &Error) {
    machine.mode = match machine.on_state_failure {
        OnStateFailure::Recover => Mode::Recovery,
        OnStateFailure::Volatile => Mode::Volatile,
    };
    error!("the state partition cannot be used mode={:?} error={:?}", machine.mode, Chain(cause).to_string());
    let mounted = Mount::builder()
        .fstype("tmpfs")
        .flags(MountFlags::NOSUID | MountFlags::NODEV)
        .data("mode=0755,size=25%")
        .mount("tmpfs", paths::STATE);
    if let Err(error) = mounted {
        warning!("nor is there room in memory error={error:?}");
    }
}

/// Lets the filesystem fill its partition, and gives it an identifier of its own at the first boot.
pub(super) fn grow_filesystem(machine: &mut Machine) -> Result<(), Error> {
    if machine.mode != Mode::Normal {
        return Ok(());
    }
    let path = device(machine)?;
    let object = path.to_string_lossy().into_owned();
    let mut raw = File::open(&path).map_err(Error::os("open", &object))?;
    let len = raw.seek(SeekFrom::End(0)).map_err(Error::os("measure", &object))?;
    let mut superblock = [0; SUPERBLOCK_LEN];
    raw.seek(SeekFrom::Start(SUPERBLOCK_AT))
        .and_then(|_| raw.read_exact(&mut superblock))
        .map_err(Error::os("read", &object))?;
    let root = File::open(paths::STATE).map_err(Error::os("open", paths::STATE))?;
    let fence = |action| {
        let object = object.clone();
        move |source| Error::Fence { action, object, source }
    };
    let wanted = len / BLOCK_LEN;
    if blocks(&superblock) < wanted {
        ext4::resize(root.as_fd(), wanted).map_err(fence("grow"))?;
        info!("state filesystem grown device={object} blocks={wanted}");
    }
    if !Guid::from_bytes(uuid(&superblock)).is_random() {
        ext4::set_uuid(root.as_fd(), Guid::from_random(random_bytes()?).to_bytes())
            .map_err(fence("identify"))?;
    }
    Ok(())
}

/// The blocks that an ext4 filesystem has, by its superblock (fs/ext4/ext4.h): the low half at 4, the high half at 336. What
/// `statvfs` tells leaves out journal and tables, which are a quarter of a small one.
fn blocks(superblock: &[u8; SUPERBLOCK_LEN]) -> u64 {
    let half = |at: usize| {
        let bytes = superblock.get(at..).and_then(<[u8]>::first_chunk).copied();
        u64::from(u32::from_le_bytes(bytes.unwrap_or_default()))
    };
    half(4) | half(336) << 32
}

/// Its identifier, at 104.
fn uuid(superblock: &[u8; SUPERBLOCK_LEN]) -> [u8; 16] {
    superblock.get(104..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    #[test]
    fn a_superblock_tells_size_and_identifier_as_mke2fs_wrote_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let id = "01234567-89ab-4def-8123-456789abcdef";
        let path = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
        let made = Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-b", "4096", "-U", id])
            .arg(file.path())
            .arg("20M")
            .env("PATH", path)
            .status();
        assert!(made.unwrap().success());
        let mut superblock = [0; SUPERBLOCK_LEN];
        let mut raw = File::open(file.path()).unwrap();
        raw.seek(SeekFrom::Start(SUPERBLOCK_AT)).and_then(|_| raw.read_exact(&mut superblock)).unwrap();
        assert_eq!(blocks(&superblock), (20 << 20) / BLOCK_LEN);
        let hex: String = uuid(&superblock).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, id.replace('-', ""));
        superblock[336] = 2;
        assert_eq!(blocks(&superblock), (2 << 32) | ((20 << 20) / BLOCK_LEN));
    }
}
