//! The verified root: a dm-verity device over a slot, mounted.

use std::{
    fs::{self, OpenOptions},
    os::fd::AsFd,
};

use coracle_fence::mapper::{self, Name, Table};
use coracle_layout::{RootHash, Slot, partition::Partition};
use coracle_verity::{Opt, Superblock, table_line};
use rustix::mount::MountFlags;

use super::Error;
use crate::disk::Disk;

/// Where the root is mounted until it is `/`.
pub(crate) const NEW_ROOT: &str = "/root";

const CONTROL: &str = "/dev/mapper/control";
/// As device-mapper calls the device; the first one is `/dev/dm-0`.
const NAME: &str = "root";
const DEVICE: &str = "/dev/dm-0";

/// A block that is corrupt or cannot be read is the end of this boot, never the beginning of another behaviour. Both since
/// Linux 6.12 (`panic_on_error`), 5.9 (`panic_on_corruption`).
const OPTIONS: [Opt; 2] = [Opt::PanicOnCorruption, Opt::PanicOnError];

/// Makes the device.
pub(crate) fn open(disk: &Disk, slot: Slot, superblock: &Superblock, root: &RootHash) -> Result<(), Error> {
    let data = disk.partition(Partition::Root(slot))?;
    let tree = disk.partition(Partition::Verity(slot))?;
    let params = table_line(&data.numbers, &tree.numbers, superblock, root.as_bytes(), &OPTIONS)
        .map_err(Error::Table)?;
    let control =
        OpenOptions::new().read(true).write(true).open(CONTROL).map_err(Error::on("open", CONTROL))?;
    let name = Name::new(NAME).map_err(Error::Mapper)?;
    let table = Table { sectors: superblock.data_blocks.sectors(), target: "verity", params: &params };
    mapper::create(control.as_fd(), name)
        .and_then(|()| mapper::load(control.as_fd(), name, table))
        .and_then(|()| mapper::resume(control.as_fd(), name))
        .map_err(Error::Mapper)
}

/// Mounts it.
///
/// Set-id bits keep their meaning: the images of containers are in it, and their programs may need them.
pub(crate) fn mount() -> Result<(), Error> {
    fs::create_dir_all(NEW_ROOT).map_err(Error::on("make", NEW_ROOT))?;
    rustix::mount::mount(DEVICE, NEW_ROOT, "erofs", MountFlags::RDONLY | MountFlags::NODEV, None)
        .map_err(Error::on("mount", DEVICE))
}
