//! VMware's streamOptimized VMDK: compressed grains, written front to back. What an OVA holds.
//!
//! All integers are little-endian; offsets and lengths count sectors of 512 bytes.
//!
//! | part | content |
//! |---|---|
//! | header | 1 sector; its grain directory offset says "at the end" |
//! | descriptor | 20 sectors of text |
//! | per 32 MiB with data | grain markers with their data, then a marker and a grain table of 4 sectors |
//! | grain directory | a marker, then the sector of each grain table or 0 |
//! | footer | a marker, then the header again with the directory's offset |
//! | end | a marker of zeros |
//!
//! | at | size | field of the header |
//! |---|---|---|
//! | 0 | 4 + 4 + 4 | `KDMV`, version 3, flags: newline test, compressed grains, markers |
//! | 12 | 8 + 8 | capacity, grain size (128) |
//! | 28 | 8 + 8 | descriptor's offset and size |
//! | 44 | 4 | entries of a grain table (512) |
//! | 56 | 8 + 8 | grain directory's offset, overhead before the first grain |
//! | 73 | 4 + 2 | `\n \r\n`, compression (1, deflate) |
//!
//! | at | size | field of a marker |
//! |---|---|---|
//! | 0 | 8 | sectors that follow; for a grain its first sector on the disk |
//! | 8 | 4 | 0; for a grain the length of its data, which begins at 12 |
//! | 12 | 4 | kind: 0 end, 1 grain table, 2 grain directory, 3 footer |

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::sparse::{Chunks, Content};
use crate::{Error, Identity};

const FORMAT: &str = "vmdk";
const SECTOR: u64 = 512;
const GRAIN_SECTORS: u64 = 128;
const GRAIN: u64 = GRAIN_SECTORS * SECTOR;
const TABLE_ENTRIES: u64 = 512;
/// Bounds the grain directory to 256 KiB; the format's own limit for one extent.
const MAX_LEN: u64 = 2 << 40;
const DESCRIPTOR_SECTORS: u64 = 20;
const OVERHEAD: u64 = 128;
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
const AT_END: u64 = u64::MAX;

/// What follows a marker.
#[derive(Clone, Copy)]
enum Marker {
    End = 0,
    GrainTable = 1,
    GrainDirectory = 2,
    Footer = 3,
}

/// Writes the VMDK and gives its length.
///
/// # Errors
/// `len` is not a whole number of grains of 64 KiB, is above 2 TiB, or reading or writing fails.
pub fn write(
    input: &mut (impl Read + Seek),
    len: u64,
    out: &mut (impl Write + Seek),
    identity: &Identity,
) -> Result<u64, Error> {
    if len == 0 || !len.is_multiple_of(GRAIN) {
        return Err(Error::Unaligned { format: FORMAT, len, unit: GRAIN });
    }
    if len > MAX_LEN {
        return Err(Error::TooLong { format: FORMAT, len, max: MAX_LEN });
    }
    let mut chunks = Chunks::new(input, len, GRAIN as usize)?;
    out.seek(SeekFrom::Start(0)).map_err(Error::write(FORMAT))?;
    let mut stream = Stream { out: BufWriter::new(out), position: 0 };
    stream.put(&header(len, AT_END))?;
    stream.put(&descriptor(len, identity))?;
    stream.put(&vec![0; (OVERHEAD * SECTOR - stream.position) as usize])?;

    let mut directory = Vec::new();
    for first in (0..chunks.count()).step_by(TABLE_ENTRIES as usize) {
        let mut table = [0u32; TABLE_ENTRIES as usize];
        let grains = TABLE_ENTRIES.min(chunks.count() - first);
        for (index, entry) in (first..first + grains).zip(&mut table) {
            if let (Content::Data, grain) = chunks.read(index)? {
                *entry = stream.sector()?;
                stream.grain(index * GRAIN_SECTORS, grain)?;
            }
        }
        directory.push(if table.iter().any(|entry| *entry != 0) {
            stream.table(Marker::GrainTable, &table)?
        } else {
            0
        });
    }
    let directory_at = stream.table(Marker::GrainDirectory, &directory)?;
    stream.marker(1, Marker::Footer)?;
    stream.put(&header(len, u64::from(directory_at)))?;
    stream.marker(0, Marker::End)?;
    stream.out.flush().map_err(Error::write(FORMAT))?;
    Ok(stream.position)
}

fn header(len: u64, directory: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDMV");
    put(4, &3u32.to_le_bytes());
    put(8, &FLAGS.to_le_bytes());
    put(12, &(len / SECTOR).to_le_bytes());
    put(20, &GRAIN_SECTORS.to_le_bytes());
    put(28, &1u64.to_le_bytes());
    put(36, &DESCRIPTOR_SECTORS.to_le_bytes());
    put(44, &(TABLE_ENTRIES as u32).to_le_bytes());
    put(56, &directory.to_le_bytes());
    put(64, &OVERHEAD.to_le_bytes());
    put(73, b"\n \r\n");
    put(77, &1u16.to_le_bytes());
    header
}

/// The descriptor's text in its sectors. The content ID has to differ from `ffffffff`, which means "no parent".
fn descriptor(len: u64, identity: &Identity) -> Vec<u8> {
    let [a, b, c, d, ..] = identity.uuid;
    let content_id = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff;
    let hex: Vec<String> = identity.uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid = format!("{}-{}", hex[..8].join(" "), hex[8..].join(" "));
    let sectors = len / SECTOR;
    let cylinders = sectors.div_ceil(255 * 63);
    let text = format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID={content_id:08x}\n\
         parentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\
         \n\
         # Extent description\n\
         RW {sectors} SPARSE \"coracle.vmdk\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.virtualHWVersion = \"10\"\n\
         ddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\n\
         ddb.geometry.sectors = \"63\"\n\
         ddb.uuid = \"{uuid}\"\n"
    );
    let mut bytes = text.into_bytes();
    bytes.resize((DESCRIPTOR_SECTORS * SECTOR) as usize, 0);
    bytes
}

/// The output, which counts.
struct Stream<'a, W: Write> {
    out: BufWriter<&'a mut W>,
    position: u64,
}

impl<W: Write> Stream<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.position += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::write(FORMAT))
    }

    /// The current sector, as tables store it.
    fn sector(&self) -> Result<u32, Error> {
        u32::try_from(self.position / SECTOR)
            .map_err(|_| Error::Overflow { format: FORMAT, field: "32-bit sector offsets" })
    }

    /// Zeros up to the next sector.
    fn align(&mut self) -> Result<(), Error> {
        let missing = self.position.next_multiple_of(SECTOR) - self.position;
        self.put(&[0; SECTOR as usize][..missing as usize])
    }

    fn grain(&mut self, first_sector: u64, data: &[u8]) -> Result<(), Error> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).map_err(Error::write(FORMAT))?;
        let packed = encoder.finish().map_err(Error::write(FORMAT))?;
        self.put(&first_sector.to_le_bytes())?;
        // A grain of 64 KiB grows by a few bytes at worst.
        self.put(&(packed.len() as u32).to_le_bytes())?;
        self.put(&packed)?;
        self.align()
    }

    fn marker(&mut self, sectors: u64, kind: Marker) -> Result<(), Error> {
        self.put(&sectors.to_le_bytes())?;
        self.put(&0u32.to_le_bytes())?;
        self.put(&(kind as u32).to_le_bytes())?;
        self.align()
    }

    /// A marker and a table of sector numbers; gives the sector where the table itself begins.
    fn table(&mut self, kind: Marker, entries: &[u32]) -> Result<u32, Error> {
        self.marker((entries.len() as u64 * 4).div_ceil(SECTOR), kind)?;
        let at = self.sector()?;
        for entry in entries {
            self.put(&entry.to_le_bytes())?;
        }
        self.align()?;
        Ok(at)
    }
}
