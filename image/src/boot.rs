//! What the firmware starts: stage 1's archive, the unified kernel image, the EFI system partition.

use coracle_fat::Volume;
use coracle_layout::paths;
use coracle_uki::initramfs::Archive;
use coracle_uki::{EntryName, Sections, Stub, assemble};

use crate::Error;
use crate::identity::Identity;

/// systemd's UEFI stub, where its package puts it.
pub const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// systemd's boot manager, where its package puts it.
pub const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
/// Level of zstd that others compress an initramfs with.
const LEVEL: i32 = 19;
/// The boot manager shows no menu and lets nobody edit a command line.
const LOADER_CONF: &str = "timeout 0\neditor no\nauto-firmware no\nconsole-mode keep\n";

/// The first root: folders, console and program in one archive, `/init` in a second.
///
/// The kernel stops behind an archive in which a file is not as its check says, so that damage that the firmware let pass
/// leaves it without `/init`: it panics, and the machine restarts. It is not compressed: unpacking costs each boot more than
/// reading, and an update of the program would carry all of it (`docs/adr/0005-one-init-in-the-uki.md`).
pub fn initramfs(init: &[u8]) -> Result<Vec<u8>, Error> {
    let mut program = Archive::new();
    for folder in ["dev", "proc", "sys", "run", "root", "sbin"] {
        program.directory(folder, 0o755)?;
    }
    // The kernel opens it as PID 1's standard streams before anything is mounted.
    program.char_device("dev/console", 0o600, 5, 1)?;
    program.file(paths::INIT.trim_start_matches('/'), 0o755, init)?;
    let mut start = Archive::new();
    start.symlink("init", paths::INIT)?;
    Ok([program.finish(), start.finish()].concat())
}

/// The first root as it would be compressed, the form in which its budget is counted.
pub fn compressed(initramfs: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(initramfs, LEVEL).map_err(Error::file("compress", "stage 1"))
}

/// What a unified kernel image is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// systemd's stub.
    pub stub: &'a [u8],
    /// os-release.
    pub osrelease: &'a str,
    /// The command line.
    pub cmdline: &'a str,
    /// The kernel's release.
    pub release: &'a str,
    /// The kernel.
    pub kernel: &'a [u8],
    /// Stage 1.
    pub initramfs: &'a [u8],
}

/// The unified kernel image. The SBAT section is the stub's own.
pub fn uki(parts: &Parts<'_>) -> Result<Vec<u8>, Error> {
    let sections = Sections {
        osrel: parts.osrelease.as_bytes(),
        cmdline: parts.cmdline.as_bytes(),
        uname: parts.release.as_bytes(),
        sbat: None,
        linux: parts.kernel,
        initrd: Some(parts.initramfs),
    };
    Ok(assemble(&Stub::parse(parts.stub)?, &sections)?)
}

/// The version that a UEFI program of systemd states in `#### LoaderInfo: systemd-boot 252.39 ####`; `unknown` if it states none.
pub fn version(program: &[u8]) -> String {
    const MARK: &[u8] = b"#### LoaderInfo: systemd-";
    let stated = program.windows(MARK.len()).position(|window| window == MARK).and_then(|at| {
        let rest = program.get(at + MARK.len()..)?;
        let rest =
            std::str::from_utf8(rest.get(..rest.len().min(128))?.split(|byte| *byte == b'#').next()?).ok()?;
        rest.split_whitespace().nth(1)
    });
    stated.unwrap_or("unknown").to_owned()
}

/// The files of the EFI system partition, by path.
///
/// The boot manager is in its own place and in the one that firmware looks at when it knows nothing else. The fallback is
/// what the last boot option starts when the boot manager or the entry has rotted: at first a copy of the only entry.
pub fn files<'a>(entry: &EntryName, uki: &'a [u8], loader: &'a [u8]) -> Vec<(String, &'a [u8])> {
    vec![
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), loader),
        ("EFI/systemd/systemd-bootx64.efi".to_owned(), loader),
        (format!("EFI/Linux/{entry}"), uki),
        ("EFI/coracle/fallback.efi".to_owned(), uki),
        ("loader/loader.conf".to_owned(), LOADER_CONF.as_bytes()),
    ]
}

/// Writes the EFI system partition of `len` bytes to the start of `out`, which must read as zeros.
pub fn esp(
    out: &mut (impl std::io::Write + std::io::Seek),
    len: u64,
    identity: &Identity,
    files: &[(String, &[u8])],
) -> Result<(), Error> {
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    let volume = Volume { len, id: identity.serial("esp"), label: *b"ESP        ", files: &files };
    Ok(coracle_fat::write(out, &volume)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_programs() {
        let text = |text: &str| version(text.as_bytes());
        assert_eq!(text("x#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####\0"), "252.39-1~deb12u2");
        assert_eq!(text("#### LoaderInfo: systemd-boot"), "unknown");
        assert_eq!(text(""), "unknown");
        for path in [STUB, LOADER] {
            let stated = version(&std::fs::read(path).unwrap());
            assert!(stated.starts_with(|digit: char| digit.is_ascii_digit()), "{path}: {stated}");
        }
    }
}
