//! A disk of a certain speed: a file as a loop device, which the kernel holds to it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_qemu_tests::image::output;

use crate::Result;

/// Where the kernel takes speeds of block devices: in cgroup v1, whose root is everybody, the threads that write pages back included.
const THROTTLE: &str = "/sys/fs/cgroup/blkio";
const DIRECTIONS: [&str; 2] = ["blkio.throttle.write_bps_device", "blkio.throttle.read_bps_device"];

/// A mounted file system without a journal on such a disk. It goes with the value.
pub struct Disk {
    file: PathBuf,
    folder: PathBuf,
    device: String,
    /// As the kernel names it, once it is held to a speed.
    number: Option<String>,
}

impl Disk {
    /// A disk of so many bytes, of which so many can be read or written in a second.
    pub fn new(scratch: &Path, len: u64, speed: u64) -> Result<Self> {
        if !Path::new(THROTTLE).join(DIRECTIONS[0]).exists() {
            return Err(format!("the kernel holds no disk to a speed here: no {}", DIRECTIONS[0]).into());
        }
        let (file, folder) = (scratch.join("disk"), scratch.join("mounted"));
        File::create(&file)?.set_len(len)?;
        fs::create_dir_all(&folder)?;
        output(Command::new("mkfs.ext4").args(["-q", "-F", "-O", "^has_journal"]).arg(&file))?;
        let found = output(Command::new("losetup").args(["--find", "--show"]).arg(&file))?;
        let mut disk = Self { file, folder, device: found.trim().to_owned(), number: None };
        output(Command::new("mount").arg(&disk.device).arg(&disk.folder))?;
        let number = fs::metadata(&disk.device)?.rdev();
        let number = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
        disk.hold(&number, speed)?;
        disk.number = Some(number);
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A speed of 0 is none.
    fn hold(&self, number: &str, speed: u64) -> Result<()> {
        for direction in DIRECTIONS {
            fs::write(Path::new(THROTTLE).join(direction), format!("{number} {speed}"))?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let released = self.number.as_deref().map_or(Ok(()), |number| self.hold(number, 0));
        let gone = [
            released,
            output(Command::new("umount").arg(&self.folder)).map(drop).map_err(Into::into),
            output(Command::new("losetup").arg("--detach").arg(&self.device)).map(drop).map_err(Into::into),
            fs::remove_file(&self.file).map_err(Into::into),
        ];
        for error in gone.into_iter().filter_map(std::result::Result::err) {
            eprintln!("bench: something of the disk {} is left: {error}", self.device);
        }
    }
}
