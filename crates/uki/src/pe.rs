//! The part of the Portable Executable format that a UKI needs: finding and checking the headers and sections.
//!
//! All integers are little-endian. Only PE32+ for the machines Coracle runs on is read.
//!
//! | at | size | field |
//! |---|---|---|
//! | 0 | 2 | `MZ` |
//! | 0x3c | 4 | offset of the PE header |
//! | PE + 0 | 4 | `PE\0\0` |
//! | PE + 4 | 2 | Machine |
//! | PE + 6 | 2 | NumberOfSections |
//! | PE + 12 | 8 | PointerToSymbolTable, NumberOfSymbols |
//! | PE + 20 | 2 | SizeOfOptionalHeader |
//! | PE + 24 | … | optional header: magic 0x20b at +0, SizeOfInitializedData +8, SectionAlignment +32, FileAlignment +36, SizeOfImage +56, SizeOfHeaders +60, CheckSum +64, NumberOfRvaAndSizes +108, data directories +112 |
//! | after it | 40 each | section headers: name 8, VirtualSize 4, VirtualAddress 4, SizeOfRawData 4, PointerToRawData 4, …, Characteristics +36 |

use std::ops::Range;

/// The size of one section header.
pub(crate) const SECTION_HEADER: usize = 40;
/// More sections than any UKI has; the limit the PE loader of Windows set for images.
const MAX_SECTIONS: usize = 96;
/// Offset of the data directories inside a PE32+ optional header.
const DATA_DIRECTORIES: usize = 112;
const MACHINE_X86_64: u16 = 0x8664;
const MACHINE_AARCH64: u16 = 0xaa64;
const MAGIC_PE32_PLUS: u16 = 0x20b;

/// Why a PE file could not be read or assembled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field lies beyond the end of the file.
    #[error("reading the {field}: the file ends before it")]
    Truncated {
        /// The field that was looked for.
        field: &'static str,
    },
    /// The file is not a PE32+ image for a known machine.
    #[error("reading the {field}: not a PE32+ image for x86-64 or aarch64")]
    NotPe {
        /// The field that differs.
        field: &'static str,
    },
    /// The section table is empty or too long.
    #[error("reading the section table: {count} sections, where 1 to 96 are allowed")]
    SectionCount {
        /// The number the header claims.
        count: usize,
    },
    /// A section's name is not printable ASCII.
    #[error("reading section {index}: its name is not printable ASCII")]
    SectionName {
        /// The place in the section table, from 0.
        index: usize,
    },
    /// Two sections bear one name, so a reader's choice would decide what boots.
    #[error("reading the section table: the name {name} occurs twice")]
    DuplicateSection {
        /// The repeated name.
        name: String,
    },
    /// A section's bytes or addresses are outside the file or the address space.
    #[error("reading section {name}: it reaches outside the file")]
    OutOfFile {
        /// The section.
        name: String,
    },
    /// Two sections, or a section and the headers, share file bytes or addresses.
    #[error("reading section {name}: it overlaps {other}")]
    Overlap {
        /// The later section.
        name: String,
        /// What it overlaps.
        other: String,
    },
    /// An alignment in the header is not a power of two that this crate can keep.
    #[error("reading the stub: file alignment {file} or section alignment {section} is not usable")]
    Alignment {
        /// FileAlignment.
        file: u32,
        /// SectionAlignment.
        section: u32,
    },
    /// The stub carries a signature, which assembling would break.
    #[error("reading the stub: it is already signed")]
    SignedStub,
    /// The stub already has a section that is to be added.
    #[error("assembling the image: the stub already has a section {name}")]
    StubHasSection {
        /// The section.
        name: String,
    },
    /// A section to be added is empty.
    #[error("assembling the image: section {name} is empty")]
    EmptySection {
        /// The section.
        name: &'static str,
    },
    /// The stub's headers have no room for more section headers.
    #[error("assembling the image: {count} section headers do not fit into the stub's headers")]
    NoHeaderRoom {
        /// The sections the image would have.
        count: usize,
    },
    /// The image would pass 4 GiB, which PE cannot express.
    #[error("assembling the image: section {name} would reach past 4 GiB")]
    TooLarge {
        /// The section that does not fit.
        name: String,
    },
}

/// One checked section header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub name: String,
    pub index: usize,
    pub virtual_size: u32,
    pub vma: u32,
    pub raw: Range<usize>,
    pub characteristics: u32,
}

impl Header {
    /// The file bytes that are loaded: the raw data without its padding.
    pub fn data(&self) -> Range<usize> {
        let len = self.raw.len().min(self.virtual_size as usize);
        self.raw.start..self.raw.start + len
    }

    /// The first address after the section.
    pub fn vma_end(&self) -> u64 {
        u64::from(self.vma) + u64::from(self.virtual_size)
    }
}

/// The checked headers of one PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headers {
    /// Offset of `PE\0\0`.
    pub pe: usize,
    /// Offset of the optional header.
    pub optional: usize,
    /// Offset of the section table.
    pub table: usize,
    pub size_of_headers: usize,
    pub section_alignment: u32,
    pub file_alignment: u32,
    /// Data directories present, of at most 16.
    pub directories: usize,
    pub sections: Vec<Header>,
}

impl Headers {
    /// Offset of CheckSum.
    pub fn checksum(&self) -> usize {
        self.optional + 64
    }

    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Self::parse_head(file, file.len())
    }

    /// The same from the first bytes of a file that has `len`.
    pub fn parse_head(file: &[u8], len: usize) -> Result<Self, Error> {
        if file.get(..2) != Some(b"MZ") {
            return Err(Error::NotPe { field: "DOS magic" });
        }
        let pe = u32_at(file, 0x3c, "PE header's offset")? as usize;
        if bytes(file, pe, 4, "PE magic")? != b"PE\0\0" {
            return Err(Error::NotPe { field: "PE magic" });
        }
        // `pe` comes from a u32 and the slice above exists, so these small sums cannot overflow.
        let machine = u16_at(file, pe + 4, "machine")?;
        if machine != MACHINE_X86_64 && machine != MACHINE_AARCH64 {
            return Err(Error::NotPe { field: "machine" });
        }
        let count = usize::from(u16_at(file, pe + 6, "number of sections")?);
        if count == 0 || count > MAX_SECTIONS {
            return Err(Error::SectionCount { count });
        }
        let optional = pe + 24;
        let optional_len = usize::from(u16_at(file, pe + 20, "size of the optional header")?);
        if optional_len < DATA_DIRECTORIES {
            return Err(Error::Truncated { field: "optional header" });
        }
        let table = optional + optional_len;
        bytes(file, optional, optional_len, "optional header")?;
        if u16_at(file, optional, "optional header's magic")? != MAGIC_PE32_PLUS {
            return Err(Error::NotPe { field: "optional header's magic" });
        }
        let size_of_headers = u32_at(file, optional + 60, "size of the headers")? as usize;
        if size_of_headers > file.len() || size_of_headers < table + count * SECTION_HEADER {
            return Err(Error::Truncated { field: "headers" });
        }
        let directories = u32_at(file, optional + 108, "number of data directories")? as usize;
        let directories = directories.min(16).min((optional_len - DATA_DIRECTORIES) / 8);
        let sections =
            (0..count).map(|index| header(file, len, table, index)).collect::<Result<Vec<_>, _>>()?;
        refuse_conflicts(&sections, size_of_headers)?;
        Ok(Self {
            pe,
            optional,
            table,
            size_of_headers,
            section_alignment: u32_at(file, optional + 32, "section alignment")?,
            file_alignment: u32_at(file, optional + 36, "file alignment")?,
            directories,
            sections,
        })
    }

    /// The offset of data directory `index`'s entry, if the header has it.
    pub fn directory(&self, index: usize) -> Option<usize> {
        (index < self.directories).then_some(self.optional + DATA_DIRECTORIES + index * 8)
    }
}

fn header(file: &[u8], file_len: usize, table: usize, index: usize) -> Result<Header, Error> {
    let at = table + index * SECTION_HEADER;
    let entry = bytes(file, at, SECTION_HEADER, "section table")?;
    let len = entry[..8].iter().position(|b| *b == 0).unwrap_or(8);
    let (name, rest) = entry[..8].split_at(len);
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) || rest.iter().any(|b| *b != 0) {
        return Err(Error::SectionName { index });
    }
    let name: String = name.iter().map(|b| char::from(*b)).collect();
    let field = |offset| u32_at(entry, offset, "section header");
    let (virtual_size, vma, raw_size, raw_start) = (field(8)?, field(12)?, field(16)?, field(20)?);
    // A section without file bytes may have any pointer; it is read as an empty range.
    let raw = if raw_size == 0 {
        0..0
    } else {
        let end = (raw_start as usize).checked_add(raw_size as usize);
        end.filter(|end| *end <= file_len)
            .map(|end| raw_start as usize..end)
            .ok_or_else(|| Error::OutOfFile { name: name.clone() })?
    };
    let header = Header { name, index, virtual_size, vma, raw, characteristics: field(36)? };
    if header.vma_end() > u64::from(u32::MAX) {
        return Err(Error::OutOfFile { name: header.name });
    }
    Ok(header)
}

fn refuse_conflicts(sections: &[Header], size_of_headers: usize) -> Result<(), Error> {
    for (at, section) in sections.iter().enumerate() {
        if !section.raw.is_empty() && section.raw.start < size_of_headers {
            return Err(Error::Overlap { name: section.name.clone(), other: "the headers".into() });
        }
        for earlier in &sections[..at] {
            if earlier.name == section.name {
                return Err(Error::DuplicateSection { name: section.name.clone() });
            }
            let bytes = section.raw.start < earlier.raw.end && earlier.raw.start < section.raw.end;
            let addresses = u64::from(section.vma) < earlier.vma_end()
                && u64::from(earlier.vma) < section.vma_end()
                && section.virtual_size > 0
                && earlier.virtual_size > 0;
            if bytes || addresses {
                return Err(Error::Overlap { name: section.name.clone(), other: earlier.name.clone() });
            }
        }
    }
    Ok(())
}

/// `len` bytes at `at`, or which field is missing.
pub(crate) fn bytes<'a>(
    file: &'a [u8],
    at: usize,
    len: usize,
    field: &'static str,
) -> Result<&'a [u8], Error> {
    at.checked_add(len).and_then(|end| file.get(at..end)).ok_or(Error::Truncated { field })
}

fn u16_at(file: &[u8], at: usize, field: &'static str) -> Result<u16, Error> {
    let b = bytes(file, at, 2, field)?;
    Ok(u16::from_le_bytes([b[0], b[1]]))
}

/// The little-endian 32-bit number at `at`.
pub(crate) fn u32_at(file: &[u8], at: usize, field: &'static str) -> Result<u32, Error> {
    let b = bytes(file, at, 4, field)?;
    Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}
