//! Small kernel images made by hand, for tests.

use crate::{Sections, Stub, assemble};

/// An image with this command line and this kernel.
///
/// # Panics
/// When one of them is empty.
pub fn uki(cmdline: &str, linux: &[u8]) -> Vec<u8> {
    assemble(&Stub::parse(&stub()).unwrap(), &sections(cmdline, linux)).unwrap()
}

pub(crate) fn sections<'a>(cmdline: &'a str, linux: &'a [u8]) -> Sections<'a> {
    Sections {
        osrel: b"ID=coracle\n",
        cmdline: cmdline.as_bytes(),
        uname: b"6.12.1",
        sbat: None,
        linux,
        initrd: None,
    }
}

/// A smallest possible stub: `.text` and `.sbat`, headers of 1 KiB, and a symbol tail of three bytes.
pub(crate) fn stub() -> Vec<u8> {
    let mut file = vec![0; 0x803];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86\x02");
    put(0x4c, &0x800_u32.to_le_bytes());
    put(0x54, &240_u16.to_le_bytes());
    put(0x58, &0x20b_u16.to_le_bytes());
    for (at, value) in [(32, 0x1000_u32), (36, 0x200), (56, 0x3000), (60, 0x400), (64, 99), (108, 16)] {
        put(0x58 + at, &value.to_le_bytes());
    }
    let table = 0x58 + 240;
    for (header, name, vma, raw) in [(table, b".text", 0x1000, 0x400), (table + 40, b".sbat", 0x2000, 0x600)]
    {
        put(header, name);
        for (at, value) in [(8, 5_u32), (12, vma), (16, 0x200), (20, raw), (36, 0x4000_0040)] {
            put(header + at, &value.to_le_bytes());
        }
    }
    put(0x400, b"codes");
    put(0x600, b"sbat,");
    file
}
