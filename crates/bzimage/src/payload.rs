//! Where the kernel's payload lies in a UKI.
//!
//! Of the [x86 boot protocol](https://docs.kernel.org/arch/x86/boot.html), from the beginning of the section `.linux`:
//!
//! | at    | size | field                                                                          |
//! |-------|------|--------------------------------------------------------------------------------|
//! | 0x1f1 | 1    | setup_sects: sectors of 512 bytes before the protected-mode code, less one; 0 means 4 |
//! | 0x1fe | 2    | boot_flag, 0xaa55                                                              |
//! | 0x202 | 4    | header, `HdrS`                                                                 |
//! | 0x206 | 2    | version, 0x0208 at least                                                       |
//! | 0x248 | 4    | payload_offset, from the protected-mode code on                                |
//! | 0x24c | 4    | payload_length: the frame, and 4 bytes that say how long its content is        |

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use coracle_uki::find_section;

use crate::Error;
use crate::frame::{self, HEADER_LEN, MAX_FRAME};

/// Bytes of the setup header that are read.
const SETUP: usize = 0x250;
/// Bytes behind the frame.
const LENGTH: u64 = 4;
const SECTOR: u64 = 512;
/// The first version that knows a payload.
const WITH_PAYLOAD: u16 = 0x0208;

/// A kernel's payload in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Bytes of the image.
    pub image: u64,
    /// Bytes of it before the frame.
    pub at: u64,
    /// Bytes of the frame.
    pub frame: u64,
    /// Bytes of its content.
    pub content: u64,
}

impl Payload {
    /// Finds it in a UKI, and holds all that the headers say against the length of the file and the caps of this crate.
    pub fn find(uki: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let section = find_section(uki, ".linux").map_err(Error::Uki)?;
        Self::within(uki, section.ok_or(Error::Payload { what: "no section .linux" })?)
    }

    /// The same in a kernel alone. Reads all of the frame.
    pub fn check(kernel: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let len = kernel.seek(SeekFrom::End(0)).map_err(Error::Read)?;
        let payload = Self::within(kernel, 0..len)?;
        kernel.seek(SeekFrom::Start(payload.at)).map_err(Error::Read)?;
        frame::decompress(kernel, payload.frame, payload.content, &mut std::io::sink())?;
        Ok(payload)
    }

    fn within(uki: &mut (impl Read + Seek), section: Range<u64>) -> Result<Self, Error> {
        let missing = |what| Error::Payload { what };
        let image = uki.seek(SeekFrom::End(0)).map_err(Error::Read)?;
        let mut setup = [0; SETUP];
        if section.end.saturating_sub(section.start) < SETUP as u64 {
            return Err(missing("the kernel is too short"));
        }
        uki.seek(SeekFrom::Start(section.start)).map_err(Error::Read)?;
        uki.read_exact(&mut setup).map_err(Error::Read)?;
        if array(&setup, 0x1fe) != [0x55, 0xaa] || &array(&setup, 0x202) != b"HdrS" {
            return Err(missing("no setup header"));
        }
        if u16::from_le_bytes(array(&setup, 0x206)) < WITH_PAYLOAD {
            return Err(missing("the boot protocol is too old"));
        }
        let [sectors] = array(&setup, 0x1f1);
        let sectors = if sectors == 0 { 4 } else { u64::from(sectors) };
        let [offset, length] = [0x248, 0x24c].map(|at| u64::from(u32::from_le_bytes(array(&setup, at))));
        // Sums of a file's offset and 32-bit numbers.
        let at = section.start + (sectors + 1) * SECTOR + offset;
        let frame = length.saturating_sub(LENGTH);
        if at + length > section.end {
            return Err(missing("it lies outside the kernel"));
        }
        if !(HEADER_LEN as u64..=MAX_FRAME).contains(&frame) {
            return Err(missing("it is too short or too long"));
        }
        let mut head = [0; HEADER_LEN];
        uki.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
        uki.read_exact(&mut head).map_err(Error::Read)?;
        Ok(Self { image, at, frame, content: frame::content_len(&head)? })
    }
}

/// Bytes at a place that is within the header by its constant.
fn array<const N: usize>(setup: &[u8; SETUP], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(setup.iter().skip(at)).for_each(|(to, from)| *to = *from);
    bytes
}
