//! The state partition: its identifiers and its size, the filesystem in it, and what happens without it.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use coracle_fence::{ext4, partition};
use coracle_gpt::{Growth, Guid, Side, Table, apply};
use coracle_layout::{partition::Partition, paths};
use rustix::rand::{GetRandomFlags, getrandom};
use sys_mount::{Mount, MountFlags, UnmountFlags, unmount};

use super::{
    Error, Machine, Mode, esp,
    machine::OnStateFailure,
    superblock::{BLOCK_LEN, Superblock},
};
use crate::{
    disk::Disk,
    log::{Chain, error, info, warning},
};

/// Gives disk, partitions and the volume on the ESP random identifiers at the first boot, and the state partition what has
/// been added to the disk.
///
/// One rewrite of the table serves both, in the order of [`Table::steps`]: whenever the power goes, one of the two copies is
/// whole, and the next boot does the rest. The disk's identifier tells that the first boot was, so the volume comes before.
pub(super) fn grow_partition(machine: &mut Machine) -> Result<(), Error> {
    let disk = machine.disk()?;
    let is_first_boot = !disk.table.disk_guid().is_random();
    if is_first_boot && let Err(error) = esp::identify(&disk) {
        // No reason to withhold the disk's end, or to try at every boot.
        warning!("volume keeps its identifier error={:?}", Chain(&error).to_string());
    }
    let Disk { name, path, mut table, side, .. } = disk;
    let object = path.to_string_lossy().into_owned();
    let mut device =
        OpenOptions::new().read(true).write(true).open(&path).map_err(Error::os("open", &object))?;
    let len = device.seek(SeekFrom::End(0)).map_err(Error::os("measure", &object))?;
    let growth = table.grow_last(len).map_err(|source| Error::Table { disk: name, source })?;
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

pub(super) fn random_bytes() -> Result<[u8; 16], Error> {
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

/// Mounts the state partition, once it is as the kernel wants it.
pub(super) fn mount(machine: &mut Machine) -> Result<(), Error> {
    let device = device(machine)?;
    let object = device.to_string_lossy().into_owned();
    let file = OpenOptions::new().read(true).write(true).open(&device).map_err(Error::os("open", &object))?;
    let mut superblock = Superblock::read(&file).map_err(Error::os("read", &object))?;
    let len = (&file).seek(SeekFrom::End(0)).map_err(Error::os("measure", &object))?;
    if superblock.is_torn(len) {
        superblock.mend(&file).map_err(Error::os("mend the superblock of", &object))?;
        warning!("state superblock was torn and is mended device={object}");
    }
    drop(file);
    if superblock.needs_recovery() {
        replay_journal(&device)?;
    }
    mount_with(&device, MountFlags::empty())
}

/// Replays the journal, by a mount that ends at once.
///
/// ext4 takes its size from the superblock before it replays the journal. Where the power went while the filesystem grew,
/// the journal has another size; a mount that goes on then cannot allocate blocks ("Structure needs cleaning"). The next
/// one knows. Power lost here means that the journal is replayed again.
fn replay_journal(device: &Path) -> Result<(), Error> {
    mount_with(device, MountFlags::RDONLY)?;
    unmount(paths::STATE, UnmountFlags::empty()).map_err(Error::os("unmount", paths::STATE))
}

fn mount_with(device: &Path, flags: MountFlags) -> Result<(), Error> {
    Mount::builder()
        .fstype("ext4")
        .flags(flags | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME)
        .data(&format!("errors=remount-ro,commit=5,resuid={0},resgid={0}", paths::STATE_RESERVE))
        .mount(device, paths::STATE)
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
    let superblock = Superblock::read(&raw).map_err(Error::os("read", &object))?;
    let root = File::open(paths::STATE).map_err(Error::os("open", paths::STATE))?;
    let fence = |action| {
        let object = object.clone();
        move |source| Error::Fence { action, object, source }
    };
    let wanted = len / BLOCK_LEN;
    if superblock.blocks() < wanted {
        ext4::resize(root.as_fd(), wanted).map_err(fence("grow"))?;
        info!("state filesystem grown device={object} blocks={wanted}");
    }
    if !superblock.uuid().is_random() {
        ext4::set_uuid(root.as_fd(), Guid::from_random(random_bytes()?).to_bytes())
            .map_err(fence("identify"))?;
    }
    Ok(())
}
