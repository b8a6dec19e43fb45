//! A partition that grew: the kernel is told, without reading the table of a disk in use again.
//!
//! linux/blkpg.h, `BLKPG_RESIZE_PARTITION`, Linux 3.6.

use std::os::fd::BorrowedFd;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

use crate::Error;

/// `struct blkpg_partition`; both texts are unused by this command.
#[repr(C)]
pub(crate) struct Partition {
    start: i64,
    length: i64,
    number: i32,
    devname: [u8; 64],
    volname: [u8; 64],
}
const _: () = assert!(size_of::<Partition>() == 152);

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
pub(crate) struct Arg<'a> {
    op: i32,
    flags: i32,
    datalen: i32,
    data: &'a Partition,
}
const _: () = assert!(size_of::<Arg>() == 24);

pub(crate) const BLKPG: Opcode = opcode::none(0x12, 105);
pub(crate) const RESIZE: i32 = 3;

/// Tells the kernel that partition `number` of `disk` starts at byte `start`, as before, and is now `length` bytes long.
pub fn resize(disk: BorrowedFd<'_>, number: i32, start: i64, length: i64) -> Result<(), Error> {
    let data = Partition { start, length, number, devname: [0; 64], volname: [0; 64] };
    let arg = Arg { op: RESIZE, flags: 0, datalen: size_of::<Partition>() as i32, data: &data };
    // SAFETY: the command reads an `Arg` and the partition it points to; both live until it returns, and it writes neither.
    unsafe { ioctl(disk, Setter::<BLKPG, Arg<'_>>::new(arg)) }
        .map_err(|source| Error::ResizePartition { number, source })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd, path::Path, process::Command};

    use super::*;

    fn shell(script: &str, image: &Path) -> String {
        let out = Command::new("sh").args(["-ec", script, "sh"]).arg(image).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_partition_of_a_disk_grows_to_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        let device = shell("losetup --find --show \"$1\"", &image);
        let disk = fs::File::open(&device).unwrap();
        let add = shell(
            &format!("addpart {device} 1 2048 8192; cat /sys/class/block/{}p1/size", &device[5..]),
            &image,
        );
        let resized = resize(disk.as_fd(), 1, 1 << 20, 8 << 20);
        let missing = resize(disk.as_fd(), 2, 1 << 20, 8 << 20);
        let size = shell(&format!("cat /sys/class/block/{}p1/size", &device[5..]), &image);
        shell(&format!("delpart {device} 1; losetup --detach {device}"), &image);
        resized.unwrap();
        assert_eq!((add.as_str(), size.as_str()), ("8192", "16384"));
        assert_eq!(missing, Err(Error::ResizePartition { number: 2, source: rustix::io::Errno::NXIO }));
    }
}
