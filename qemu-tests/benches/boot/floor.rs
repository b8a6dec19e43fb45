//! The least that could be booted: the image's kernel, `floor.c` and the server, in an initramfs that needs no unpacking.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_qemu_tests::Config;
use coracle_qemu_tests::image::{Image, output, repository, static_program};
use coracle_uki::initramfs::Archive;
use coracle_uki::{Sections, Stub, assemble};
use tempfile::TempDir;

/// The stub of our images, as Debian installs it.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// What our images print no more than.
const WORDS: &str = "loglevel=4";
/// Behind firmware the words of a direct boot come from no one else.
const UEFI_WORDS: &str = "loglevel=4 console=ttyS0 panic=-1 no_timer_check";

/// The files of the floor. They go with it.
pub struct Floor {
    kernel: PathBuf,
    server: PathBuf,
    folder: TempDir,
}

impl Floor {
    /// Compiles and packs it.
    pub fn build(image: &Image) -> Result<Self, Box<dyn Error>> {
        let kernel = image.file("kernel")?;
        let server = static_program("coracle-hello", "coracle-hello")?;
        let folder = tempfile::Builder::new().prefix("coracle-floor-").tempdir()?;
        let init = folder.path().join("init");
        let source = repository().join("qemu-tests/benches/boot/floor.c");
        output(Command::new("gcc").args(["-static", "-Os", "-s", "-Wall", "-o"]).arg(&init).arg(source))?;
        let mut archive = Archive::new();
        archive.directory("dev", 0o755)?.char_device("dev/console", 0o600, 5, 1)?;
        archive.directory("proc", 0o755)?;
        archive.file("init", 0o755, &fs::read(init)?)?.file("hello", 0o755, &fs::read(&server)?)?;
        let floor = Self { kernel, server, folder };
        fs::write(floor.initramfs(), archive.finish())?;
        floor.write_esp()?;
        Ok(floor)
    }

    /// The server, as every subject runs it.
    pub fn server(&self) -> &Path {
        &self.server
    }

    /// Boots without firmware.
    pub fn direct(&self) -> Config {
        Config::direct(&self.kernel, self.initramfs(), WORDS)
    }

    /// Boots what is in the volume [`esp`](Self::esp), without a boot manager.
    pub fn uefi(&self) -> Config {
        Config::uefi(self.folder.path().join("variables"))
    }

    /// A FAT volume on a disk without partitions.
    pub fn esp(&self) -> PathBuf {
        self.folder.path().join("esp")
    }

    fn initramfs(&self) -> PathBuf {
        self.folder.path().join("initramfs")
    }

    fn write_esp(&self) -> Result<(), Box<dyn Error>> {
        let (stub, kernel, initramfs) =
            (fs::read(STUB)?, fs::read(&self.kernel)?, fs::read(self.initramfs())?);
        let sections = Sections {
            osrel: b"ID=floor\n",
            cmdline: UEFI_WORDS.as_bytes(),
            uname: b"floor",
            sbat: None,
            linux: &kernel,
            initrd: Some(&initramfs),
        };
        let (uki, esp) = (self.folder.path().join("uki"), self.esp());
        fs::write(&uki, assemble(&Stub::parse(&stub)?, &sections)?)?;
        fs::File::create(&esp)?.set_len(64 << 20)?;
        output(Command::new("mkfs.vfat").arg(&esp))?;
        output(Command::new("mmd").arg("-i").arg(&esp).args(["::EFI", "::EFI/BOOT"]))?;
        output(Command::new("mcopy").arg("-i").arg(&esp).arg(&uki).arg("::EFI/BOOT/BOOTX64.EFI"))?;
        Ok(())
    }
}
