//! A kernel that was built again, without a compiler: it has another build ID. Whatever it is that differs, the frame does from there
//! to its end.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use coracle_bzimage::{BLOCK, Payload, compress, unpack};
use coracle_qemu_tests::image::{Image, kernel, repository};
use coracle_qemu_tests::{Error, disk};

/// What comes before the kernel's build ID: a note of GNU's with 20 bytes, of type 3.
const BEFORE_ID: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
const ID: usize = 20;

/// The kernel of `image`, rebuilt, in a cache of kernels of its own.
pub fn rebuilt(image: &Image) -> Result<PathBuf, Error> {
    let original = kernel()?;
    let key = original.parent().and_then(Path::file_name).expect("an entry of the cache");
    let entry = repository().join("build/test/rebuilt-kernel").join(key);
    let new = entry.join("bzImage");
    if !new.exists() {
        fs::create_dir_all(&entry).unwrap();
        for name in ["config", "packer", "release"] {
            disk::copy(&original.with_file_name(name), &entry.join(name))?;
        }
        let (bytes, unfinished) = (change(&original, &image.file("uki")?), entry.join("unfinished"));
        fs::write(&unfinished, bytes).unwrap();
        fs::rename(&unfinished, &new).unwrap();
    }
    Ok(new)
}

/// Headers before and behind the frame know its length. So of the bits to be changed it is the first one that keeps it.
fn change(kernel: &Path, uki: &Path) -> Vec<u8> {
    let mut form = Vec::new();
    let payload = unpack(&mut File::open(uki).unwrap(), &mut form).unwrap().payload;
    let at = BLOCK + (payload.at as usize).next_multiple_of(BLOCK);
    let content = &mut form[at..][..payload.content as usize];
    let mut bytes = fs::read(kernel).unwrap();
    let frame_at = Payload::check(&mut Cursor::new(&bytes)).unwrap().at as usize;

    let is_before_id = |window: &[u8]| window == BEFORE_ID;
    let id = content.windows(BEFORE_ID.len()).position(is_before_id).expect("a build ID") + BEFORE_ID.len();
    for byte in id..id + ID {
        content[byte] ^= 1;
        let mut frame = Vec::new();
        compress(&mut &content[..], payload.content, &mut frame).unwrap();
        content[byte] ^= 1;
        if frame.len() as u64 == payload.frame {
            bytes[frame_at..][..frame.len()].copy_from_slice(&frame);
            return bytes;
        }
    }
    panic!("every change of the build ID changes the length of the frame");
}
