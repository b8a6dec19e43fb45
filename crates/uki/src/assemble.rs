//! Assembling a UKI: the stub's sections, packed anew, and after them ours.
//!
//! The file consists of the stub's headers with a longer section table, then the raw data of every section
//! back to back in table order, each padded with zeros to FileAlignment. Without gaps every byte is covered by
//! the Authenticode hash. Symbols after the stub's last section are dropped, and the debug directory is
//! zero, because its file offsets would no longer hold.
//!
//! | section | order | content |
//! |---|---|---|
//! | the stub's own, without `.sbat` if it is replaced | 1 | unchanged, at unchanged addresses |
//! | `.osrel` | 2 | os-release: the boot manager's title and version |
//! | `.cmdline` | 3 | the kernel command line |
//! | `.uname` | 4 | the kernel's release |
//! | `.sbat` | 5 | generations for Secure Boot revocation, if replaced |
//! | `.linux` | 6 | the kernel; late, so that its growth moves little |
//! | `.initrd` | 7 | stage 1, if there is one |

use crate::checksum;
use crate::image::CERTIFICATE_TABLE;
use crate::pe::{Error, Headers, SECTION_HEADER, u32_at};

/// Sections begin on a page whatever SectionAlignment says: the stub hands them on as they lie in memory.
const PAGE: u64 = 4096;
const DEBUG_DIRECTORY: usize = 6;
/// IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ.
const READ_ONLY_DATA: u32 = 0x4000_0040;
const SBAT: &str = ".sbat";

/// A checked, unsigned UEFI stub such as systemd's `linuxx64.efi.stub`.
#[derive(Debug, Clone)]
pub struct Stub<'a> {
    file: &'a [u8],
    headers: Headers,
}

impl<'a> Stub<'a> {
    /// Reads the stub's headers.
    ///
    /// # Errors
    /// Not a sound PE32+ image, already signed, or with alignments that are no powers of two up to a page.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let headers = Headers::parse(file)?;
        let (file_alignment, section) = (headers.file_alignment, headers.section_alignment);
        let usable = |n: u32| n.is_power_of_two() && u64::from(n) <= PAGE;
        if !usable(file_alignment) || file_alignment < 512 || !usable(section) {
            return Err(Error::Alignment { file: file_alignment, section });
        }
        if let Some(at) = headers.directory(CERTIFICATE_TABLE)
            && u32_at(file, at + 4, "certificate table's size")? != 0
        {
            return Err(Error::SignedStub);
        }
        Ok(Self { file, headers })
    }
}

/// What a UKI holds besides the stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections<'a> {
    /// `.osrel`: the text of os-release.
    pub osrel: &'a [u8],
    /// `.cmdline`: the kernel command line.
    pub cmdline: &'a [u8],
    /// `.uname`: the kernel's release, as `uname -r` prints it.
    pub uname: &'a [u8],
    /// `.sbat`: replaces the stub's own; `None` keeps that.
    pub sbat: Option<&'a [u8]>,
    /// `.linux`: the whole kernel image.
    pub linux: &'a [u8],
    /// `.initrd`: a cpio archive, compressed or not; `None` for a kernel that mounts its root itself.
    pub initrd: Option<&'a [u8]>,
}

/// A section of the file to be written.
struct Part<'a> {
    name: &'a str,
    vma: u32,
    virtual_size: u32,
    characteristics: u32,
    data: &'a [u8],
}

/// Builds the image. The same input gives the same bytes.
///
/// # Errors
/// A section is empty or already in the stub, the stub's headers are full, or the image passes 4 GiB.
pub fn assemble(stub: &Stub<'_>, sections: &Sections<'_>) -> Result<Vec<u8>, Error> {
    let parts = parts(stub, sections)?;
    let headers = &stub.headers;
    let table_len = parts.len() * SECTION_HEADER;
    if headers.table + table_len > headers.size_of_headers {
        return Err(Error::NoHeaderRoom { count: parts.len() });
    }
    let mut out = stub.file[..headers.size_of_headers].to_vec();
    let file_alignment = headers.file_alignment as usize;
    out.resize(out.len().next_multiple_of(file_alignment), 0);
    out[headers.table..headers.size_of_headers].fill(0);

    let mut initialised = 0u32;
    for (index, part) in parts.iter().enumerate() {
        let too_large = || Error::TooLarge { name: part.name.to_owned() };
        let raw_len = part.data.len().next_multiple_of(file_alignment);
        let (pointer, raw_size) = match raw_len {
            0 => (0, 0),
            _ => (
                u32::try_from(out.len()).map_err(|_| too_large())?,
                u32::try_from(raw_len).map_err(|_| too_large())?,
            ),
        };
        let entry = headers.table + index * SECTION_HEADER;
        out[entry..entry + part.name.len()].copy_from_slice(part.name.as_bytes());
        for (offset, value) in [
            (8, part.virtual_size),
            (12, part.vma),
            (16, raw_size),
            (20, pointer),
            (36, part.characteristics),
        ] {
            put(&mut out, entry + offset, value);
        }
        if part.characteristics & 0x40 != 0 {
            initialised = initialised.checked_add(raw_size).ok_or_else(too_large)?;
        }
        out.extend_from_slice(part.data);
        out.resize(out.len().next_multiple_of(file_alignment), 0);
    }
    finish_headers(&mut out, headers, &parts, initialised)?;
    let sum = checksum::of(&out, headers.checksum());
    put(&mut out, headers.checksum(), sum);
    Ok(out)
}

/// The stub's sections that stay, then ours at ascending page addresses.
fn parts<'a>(stub: &'a Stub<'_>, sections: &Sections<'a>) -> Result<Vec<Part<'a>>, Error> {
    let kept = stub.headers.sections.iter().filter(|s| s.name != SBAT || sections.sbat.is_none());
    let mut parts: Vec<Part<'a>> = kept
        .map(|section| Part {
            name: &section.name,
            vma: section.vma,
            virtual_size: section.virtual_size,
            characteristics: section.characteristics,
            data: &stub.file[section.raw.clone()],
        })
        .collect();
    // The replaced `.sbat` counts too: the headers' SizeOfImage is kept above everything the stub knew.
    let mut end = stub.headers.sections.iter().map(crate::pe::Header::vma_end).max().unwrap_or(0);
    let ours = [
        (".osrel", Some(sections.osrel)),
        (".cmdline", Some(sections.cmdline)),
        (".uname", Some(sections.uname)),
        (SBAT, sections.sbat),
        (".linux", Some(sections.linux)),
        (".initrd", sections.initrd),
    ];
    for (name, data) in ours {
        let Some(data) = data else { continue };
        if data.is_empty() {
            return Err(Error::EmptySection { name });
        }
        if parts.iter().any(|part| part.name == name) {
            return Err(Error::StubHasSection { name: name.to_owned() });
        }
        let vma = end.next_multiple_of(PAGE);
        end = vma + data.len() as u64;
        let (Ok(vma), Ok(_)) = (u32::try_from(vma), u32::try_from(end.next_multiple_of(PAGE))) else {
            return Err(Error::TooLarge { name: name.to_owned() });
        };
        let virtual_size = data.len() as u32;
        parts.push(Part { name, vma, virtual_size, characteristics: READ_ONLY_DATA, data });
    }
    Ok(parts)
}

/// Makes the header fields agree with the new section table.
fn finish_headers(out: &mut [u8], headers: &Headers, parts: &[Part<'_>], data: u32) -> Result<(), Error> {
    let count = u16::try_from(parts.len()).map_err(|_| Error::NoHeaderRoom { count: parts.len() })?;
    out[headers.pe + 6..headers.pe + 8].copy_from_slice(&count.to_le_bytes());
    out[headers.pe + 12..headers.pe + 20].fill(0);
    let end = parts.iter().map(|part| u64::from(part.vma) + u64::from(part.virtual_size)).max();
    let image = u32::try_from(end.unwrap_or(0).next_multiple_of(PAGE))
        .map_err(|_| Error::TooLarge { name: "the image".into() })?;
    put(out, headers.optional + 8, data);
    put(out, headers.optional + 56, image);
    if let Some(at) = headers.directory(DEBUG_DIRECTORY) {
        out[at..at + 8].fill(0);
    }
    Ok(())
}

fn put(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Uki;
    use crate::specimen::{sections, stub};

    #[test]
    fn the_sbat_is_kept_or_replaced_never_doubled() {
        let file = stub();
        let stub = Stub::parse(&file).unwrap();
        for (sbat, expected) in [(None, b"sbat,".as_slice()), (Some(b"mine,1".as_slice()), b"mine,1")] {
            let out = assemble(&stub, &Sections { sbat, ..sections("quiet", b"linux") }).unwrap();
            let uki = Uki::parse(&out).unwrap();
            assert_eq!(uki.section(".sbat"), Some(expected));
            assert_eq!(uki.section(".text"), Some(b"codes".as_slice()));
        }
    }

    #[test]
    fn bad_stubs_and_sections_are_refused() {
        let good = stub();
        let bent = |at: usize, value: u32| {
            let mut file = good.clone();
            put(&mut file, at, value);
            Stub::parse(&file).map(|_| ())
        };
        assert_eq!(bent(0x58 + 112 + 36, 8), Err(Error::SignedStub));
        assert_eq!(bent(0x58 + 36, 0), Err(Error::Alignment { file: 0, section: 0x1000 }));
        assert_eq!(bent(0x58 + 32, 0x3000), Err(Error::Alignment { file: 0x200, section: 0x3000 }));

        let stub = Stub::parse(&good).unwrap();
        let (empty, full) = (sections("", b"linux"), sections("quiet", b"linux"));
        assert_eq!(assemble(&stub, &empty), Err(Error::EmptySection { name: ".cmdline" }));
        let once = assemble(&stub, &full).unwrap();
        assert_eq!(
            assemble(&Stub::parse(&once).unwrap(), &full),
            Err(Error::StubHasSection { name: ".osrel".into() })
        );
    }

    #[test]
    fn a_full_section_table_is_refused() {
        let mut file = stub();
        // The optional header grows until only the two headers in place fit.
        let table = 0x58 + 240;
        let entries = file[table..table + 80].to_vec();
        let grown = 0x400 - 80 - 0x58;
        file[table..0x400].fill(0);
        file[0x400 - 80..0x400].copy_from_slice(&entries);
        file[0x54..0x56].copy_from_slice(&(grown as u16).to_le_bytes());
        let stub = Stub::parse(&file).unwrap();
        assert_eq!(assemble(&stub, &sections("quiet", b"linux")), Err(Error::NoHeaderRoom { count: 6 }));
    }
}
