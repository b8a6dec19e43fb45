//! Reading a UKI back: its sections by name, without trusting a byte of it.

use crate::checksum::{self, Damage};
use crate::pe::{Error, Headers, bytes, u32_at};

/// The certificate table's place among the data directories.
pub(crate) const CERTIFICATE_TABLE: usize = 4;

/// One section of a [`Uki`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// The name without its padding, such as `.cmdline`.
    pub name: String,
    /// The address relative to the image's base (the header's VirtualAddress).
    pub vma: u32,
    /// The bytes the section takes in memory (the header's VirtualSize).
    pub size: u32,
    /// The section's bytes in the file, without padding; at most `size`.
    pub data: &'a [u8],
}

/// A PE file whose sections are known to have distinct names, to lie inside the file and not to overlap.
///
/// Nothing is said about a signature's validity, nor about the kernel inside. Multi-profile images, which
/// repeat section names on purpose, are refused: Coracle builds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uki<'a> {
    sections: Vec<Section<'a>>,
    certificates: Option<&'a [u8]>,
    file: &'a [u8],
    stated: u32,
    checksum_at: usize,
}

impl<'a> Uki<'a> {
    /// Reads the headers of `file`.
    ///
    /// # Errors
    /// Every [`Error`] whose text begins with "reading": not a PE32+ image, truncated, duplicated names,
    /// overlaps, sections out of the file.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let headers = Headers::parse(file)?;
        let certificates = match headers.directory(CERTIFICATE_TABLE) {
            Some(at) => {
                // Alone among the directories, this one holds a file offset, not an address.
                let start = u32_at(file, at, "certificate table's offset")? as usize;
                let len = u32_at(file, at + 4, "certificate table's size")? as usize;
                (len > 0).then(|| bytes(file, start, len, "certificate table")).transpose()?
            }
            None => None,
        };
        let stated = u32_at(file, headers.checksum(), "checksum")?;
        let checksum_at = headers.checksum();
        let section = |header: crate::pe::Header| Section {
            data: &file[header.data()],
            vma: header.vma,
            size: header.virtual_size,
            name: header.name,
        };
        let sections = headers.sections.into_iter().map(section).collect();
        Ok(Self { sections, certificates, file, stated, checksum_at })
    }

    /// All sections in the order of the section table.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The bytes of the section called `name`, such as `.cmdline`.
    pub fn section(&self, name: &str) -> Option<&'a [u8]> {
        self.sections.iter().find(|section| section.name == name).map(|section| section.data)
    }

    /// Whether the file is as its own checksum says. Reads all of it.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn is_whole(&self) -> Result<(), Damage> {
        checksum::check(self.stated, checksum::of(self.file, self.checksum_at))
    }

    /// The unverified certificate table (the Secure Boot signature), if the file has one.
    pub fn certificates(&self) -> Option<&'a [u8]> {
        self.certificates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::{Stub, assemble};
    use crate::specimen::{sections, uki};
    use crate::{Unread, check_whole};
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Where the synthetic stub's section table begins.
    const TABLE: usize = 0x40 + 24 + 240;

    fn built() -> Vec<u8> {
        uki("quiet", &[7; 1000])
    }

    #[test]
    fn sections_come_back() {
        let file = built();
        let uki = Uki::parse(&file).unwrap();
        assert_eq!(uki.section(".cmdline"), Some(b"quiet".as_slice()));
        assert_eq!(uki.section(".linux"), Some([7u8; 1000].as_slice()));
        assert_eq!(uki.section(".initrd"), None);
        assert_eq!(uki.certificates(), None);
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let good = built();
        let read = |file: &[u8]| check_whole(&mut Cursor::new(file));
        assert_eq!(Uki::parse(&good).unwrap().is_whole(), Ok(()));
        assert!(read(&good).is_ok());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x11;
            if let Ok(uki) = Uki::parse(&bad) {
                let whole = uki.is_whole();
                assert!(matches!(whole, Err(Damage::Differs { .. })), "byte {at}: {whole:?}");
            }
            assert!(read(&bad).is_err(), "byte {at}");
        }
        for len in 0..good.len() {
            assert!(read(&good[..len]).is_err(), "{len} bytes");
        }
        let mut without = good;
        without[0x58 + 64..0x58 + 68].fill(0);
        assert_eq!(Uki::parse(&without).unwrap().is_whole(), Err(Damage::Unstated));
        assert!(matches!(read(&without), Err(Unread::Damaged(Damage::Unstated))));
    }

    #[test]
    fn bent_files_are_refused() {
        let put = |file: &mut Vec<u8>, section: usize, field: usize, value: u32| {
            let at = TABLE + section * 40 + field;
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        type Bend<'f> = (&'static str, &'f dyn Fn(&mut Vec<u8>), fn(&Error) -> bool);
        let cases: &[Bend<'_>] = &[
            ("no DOS magic", &|f| f[0] = 0, |e| matches!(e, Error::NotPe { field: "DOS magic" })),
            ("header offset far away", &|f| f[0x3c..0x40].fill(0xff), |e| {
                matches!(e, Error::Truncated { .. })
            }),
            ("no PE magic", &|f| f[0x40] = 0, |e| matches!(e, Error::NotPe { field: "PE magic" })),
            ("foreign machine", &|f| f[0x44] = 1, |e| matches!(e, Error::NotPe { field: "machine" })),
            ("no sections", &|f| f[0x46] = 0, |e| matches!(e, Error::SectionCount { count: 0 })),
            ("too many sections", &|f| f[0x46] = 97, |e| matches!(e, Error::SectionCount { count: 97 })),
            ("PE32", &|f| f[0x58] = 0x0b - 1, |e| matches!(e, Error::NotPe { .. })),
            ("name of control bytes", &|f| f[TABLE] = 1, |e| matches!(e, Error::SectionName { index: 0 })),
            ("same name twice", &|f| f.copy_within(TABLE..TABLE + 8, TABLE + 40), |e| {
                matches!(e, Error::DuplicateSection { .. })
            }),
            ("raw data past the end", &|f| put(f, 1, 16, u32::MAX), |e| matches!(e, Error::OutOfFile { .. })),
            ("raw pointer past the end", &|f| put(f, 1, 20, 1 << 30), |e| {
                matches!(e, Error::OutOfFile { .. })
            }),
            ("address space wraps", &|f| put(f, 1, 12, u32::MAX), |e| matches!(e, Error::OutOfFile { .. })),
            ("section over the headers", &|f| put(f, 1, 20, 0), |e| matches!(e, Error::Overlap { .. })),
            ("section bytes shared", &|f| put(f, 1, 20, 0x400), |e| matches!(e, Error::Overlap { .. })),
            ("addresses shared", &|f| put(f, 1, 12, 0x1000), |e| matches!(e, Error::Overlap { .. })),
            ("certificates past the end", &|f| f[0x58 + 112 + 32..0x58 + 112 + 40].fill(0x7f), |e| {
                matches!(e, Error::Truncated { field: "certificate table" })
            }),
        ];
        for (name, bend, expected) in cases {
            let mut file = built();
            bend(&mut file);
            let error = Uki::parse(&file).expect_err(name);
            assert!(expected(&error), "{name}: {error:?}");
        }
    }

    #[test]
    fn truncation_at_any_length_is_refused() {
        let file = built();
        for len in 0..file.len() {
            assert!(Uki::parse(&file[..len]).is_err(), "{len} of {}", file.len());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Uki::parse(&bytes); // Only the absence of a panic matters.
        }

        #[test]
        fn changed_bytes_never_panic(changes in proptest::collection::vec((0usize..0x300, any::<u8>()), 1..8)) {
            let mut file = built();
            for (at, value) in changes {
                file[at] = value;
            }
            if let Ok(uki) = Uki::parse(&file) {
                prop_assert!(uki.sections().iter().all(|s| s.data.len() <= s.size as usize));
            }
            if let Ok(stub) = Stub::parse(&file) {
                let _ = assemble(&stub, &sections("quiet", b"linux")); // Only the absence of a panic matters.
            }
        }
    }
}
