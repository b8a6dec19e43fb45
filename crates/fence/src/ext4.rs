//! A mounted ext4 filesystem that grows or gets a UUID of its own.
//!
//! <https://docs.kernel.org/filesystems/ext4/>, fs/ext4/ext4.h: `EXT4_IOC_RESIZE_FS` since Linux 3.3, `EXT4_IOC_SETFSUUID` since 6.0.

use std::os::fd::BorrowedFd;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

use crate::Error;

/// `struct fsuuid` with the 16 bytes that follow it.
#[repr(C)]
struct FsUuid {
    len: u32,
    flags: u32,
    uuid: [u8; 16],
}
const _: () = assert!(size_of::<FsUuid>() == 24);

const RESIZE_FS: Opcode = opcode::write::<u64>(b'f', 16);
// The number was made from the structure without its flexible array.
const SETFSUUID: Opcode = opcode::write::<[u32; 2]>(b'f', 44);

/// Grows the filesystem that `folder` lies on to `blocks` of its own blocks. Needs `CAP_SYS_RESOURCE`.
pub fn resize(folder: BorrowedFd<'_>, blocks: u64) -> Result<(), Error> {
    // SAFETY: the command reads one `u64`, which `Setter` keeps alive across the call.
    unsafe { ioctl(folder, Setter::<RESIZE_FS, u64>::new(blocks)) }
        .map_err(|source| Error::ResizeExt4 { blocks, source })
}

/// Gives the filesystem that `folder` lies on this UUID, on disk too.
///
/// A filesystem with metadata checksums needs the feature `metadata_csum_seed`, as its checksums start from the UUID otherwise.
pub fn set_uuid(folder: BorrowedFd<'_>, uuid: [u8; 16]) -> Result<(), Error> {
    let arg = FsUuid { len: 16, flags: 0, uuid };
    // SAFETY: the command reads the structure and as many bytes after its head as `len` says: those of `uuid`.
    unsafe { ioctl(folder, Setter::<SETFSUUID, FsUuid>::new(arg)) }.map_err(Error::SetUuid)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd, process::Command};

    use super::*;

    fn run(program: &str, args: &[&str]) -> String {
        let out = Command::new(program).args(args).output().unwrap();
        assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn a_mounted_filesystem_grows_and_is_renamed_and_stays_clean() {
        let folder = tempfile::tempdir().unwrap();
        let (image, at) = (folder.path().join("image"), folder.path().join("at"));
        let (image, at) = (image.to_str().unwrap(), at.to_str().unwrap());
        File::create(image).unwrap().set_len(64 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-b", "4096", "-O", "metadata_csum_seed", image, "32M"]);
        std::fs::create_dir(at).unwrap();
        run("mount", &["-o", "loop", image, at]);
        let root = File::open(at).unwrap();
        let grown = resize(root.as_fd(), 16_384);
        let named = set_uuid(root.as_fd(), *b"coracle-filesyst");
        let blocks = rustix::fs::fstatfs(&root).unwrap().f_blocks;
        drop(root);
        run("umount", &[at]);
        named.unwrap();
        let head = run("dumpe2fs", &["-h", image]);
        assert!(head.contains("636f7261-636c-652d-6669-6c6573797374"), "{head}");
        // A root without CAP_SYS_RESOURCE may not resize: then nothing may have changed.
        let may = rustix::thread::capabilities(None).unwrap().effective;
        if may.contains(rustix::thread::CapabilitySet::SYS_RESOURCE) {
            grown.unwrap();
            assert!(blocks > 14_000 && head.contains("Block count:              16384"), "{blocks} {head}");
        } else {
            assert_eq!(grown, Err(Error::ResizeExt4 { blocks: 16_384, source: rustix::io::Errno::PERM }));
            assert!(head.contains("Block count:              8192"), "{head}");
        }
        run("e2fsck", &["-fn", image]);
    }
}
