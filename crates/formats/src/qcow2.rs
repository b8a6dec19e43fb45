//! QEMU's qcow2, version 3, with clusters only where the disk has data.
//!
//! All integers are big-endian. The file is written front to back, in clusters of 64 KiB:
//!
//! | part | content |
//! |---|---|
//! | header | 104 bytes and an empty list of extensions |
//! | refcount table | offsets of the refcount blocks |
//! | refcount blocks | 16 bits for each cluster of the file: 1 |
//! | L1 table | offsets of the L2 tables, with the "refcount is one" bit; 0 for 512 MiB of zeros |
//! | L2 tables | offsets of the clusters, with the same bit; 0 for 64 KiB of zeros |
//! | clusters | data in the disk's order |
//!
//! | at | size | field of the header |
//! |---|---|---|
//! | 0 | 4 + 4 | `QFI\xfb`, version 3 |
//! | 20 | 4 | cluster bits |
//! | 24 | 8 | the disk's length |
//! | 36 | 4 + 8 | L1 entries, offset of the L1 table |
//! | 48 | 8 + 4 | offset of the refcount table, its clusters |
//! | 96 | 4 + 4 | refcount order (2^4 bits), header length |
//!
//! The input is read twice, once to find the data and once to copy it, so that the tables can stand before it.

use std::io::{Read, Seek, SeekFrom, Write};

use crate::sparse::{Chunks, Content};
use crate::{Error, Identity};

const FORMAT: &str = "qcow2";
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const SECTOR: u64 = 512;
/// Bounds the list of used clusters to 32 MiB.
const MAX_LEN: u64 = 16 << 40;
const L2_ENTRIES: u64 = CLUSTER / 8;
const REFCOUNTS_PER_BLOCK: u64 = CLUSTER / 2;
const REFCOUNT_ORDER: u32 = 4;
const HEADER_LEN: u32 = 104;
/// The cluster's refcount is one: it may be written in place.
const COPIED: u64 = 1 << 63;

/// Writes the qcow2 and gives its length. The identity is not stored.
///
/// # Errors
/// `len` is not a whole number of sectors, is above 16 TiB, or reading or writing fails.
pub fn write(
    input: &mut (impl Read + Seek),
    len: u64,
    out: &mut (impl Write + Seek),
    _identity: &Identity,
) -> Result<u64, Error> {
    if len == 0 || !len.is_multiple_of(SECTOR) {
        return Err(Error::Unaligned { format: FORMAT, len, unit: SECTOR });
    }
    if len > MAX_LEN {
        return Err(Error::TooLong { format: FORMAT, len, max: MAX_LEN });
    }
    let failed = Error::write(FORMAT);
    let mut chunks = Chunks::new(input, len, CLUSTER as usize)?;
    let used = Used::find(&mut chunks)?;
    let plan = Plan::of(&used);

    out.seek(SeekFrom::Start(0)).map_err(&failed)?;
    let mut table = Table::new(out);
    table.raw(&plan.header(len)).map_err(&failed)?;
    (0..plan.refcount_blocks)
        .try_for_each(|block| table.entry((plan.blocks_at() + block) * CLUSTER))
        .and_then(|()| table.align())
        .map_err(&failed)?;
    for _ in 0..plan.clusters() {
        table.raw(&1u16.to_be_bytes()).map_err(&failed)?;
    }
    table.align().map_err(&failed)?;
    write_tables(&mut table, &used, &plan).map_err(&failed)?;

    for index in 0..used.clusters {
        if used.has(index) {
            // A cluster that lost its data since the first pass is written as it is now.
            let (_, bytes) = chunks.read(index)?;
            table.raw(bytes).map_err(&failed)?;
        }
    }
    table.finish().map_err(&failed)?;
    Ok(plan.clusters() * CLUSTER)
}

/// The L1 table and the L2 tables behind it.
fn write_tables(table: &mut Table<'_, impl Write>, used: &Used, plan: &Plan) -> std::io::Result<()> {
    let mut next_l2 = plan.l2_at();
    for l1 in 0..plan.l1_entries {
        if used.any_in_table(l1) {
            table.entry((next_l2 * CLUSTER) | COPIED)?;
            next_l2 += 1;
        } else {
            table.entry(0)?;
        }
    }
    table.align()?;
    let mut next_data = plan.data_at();
    for l1 in (0..plan.l1_entries).filter(|l1| used.any_in_table(*l1)) {
        for index in l1 * L2_ENTRIES..(l1 + 1) * L2_ENTRIES {
            if used.has(index) {
                table.entry((next_data * CLUSTER) | COPIED)?;
                next_data += 1;
            } else {
                table.entry(0)?;
            }
        }
    }
    Ok(())
}

/// Which of the disk's clusters hold data, a bit each.
struct Used {
    clusters: u64,
    words: Vec<u64>,
}

impl Used {
    fn find<R: Read + Seek>(chunks: &mut Chunks<'_, R>) -> Result<Self, Error> {
        let clusters = chunks.count();
        let mut words = vec![0; clusters.div_ceil(64) as usize];
        for index in 0..clusters {
            if chunks.read(index)?.0 == Content::Data {
                words[(index / 64) as usize] |= 1 << (index % 64);
            }
        }
        Ok(Self { clusters, words })
    }

    fn has(&self, index: u64) -> bool {
        self.words.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether one of the clusters that L2 table `l1` describes holds data.
    fn any_in_table(&self, l1: u64) -> bool {
        let words = (L2_ENTRIES / 64) as usize;
        self.words.iter().skip(l1 as usize * words).take(words).any(|word| *word != 0)
    }

    fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// How many clusters each part of the file takes, in file order.
struct Plan {
    refcount_table: u64,
    refcount_blocks: u64,
    l1_entries: u64,
    l2_tables: u64,
    data: u64,
}

impl Plan {
    fn of(used: &Used) -> Self {
        let l1_entries = used.clusters.div_ceil(L2_ENTRIES);
        let l2_tables = (0..l1_entries).filter(|l1| used.any_in_table(*l1)).count() as u64;
        let mut plan =
            Self { refcount_table: 1, refcount_blocks: 1, l1_entries, l2_tables, data: used.count() };
        // The refcounts count themselves: grow until they cover the file.
        loop {
            let blocks = plan.clusters().div_ceil(REFCOUNTS_PER_BLOCK);
            let table = (blocks * 8).div_ceil(CLUSTER);
            if (blocks, table) == (plan.refcount_blocks, plan.refcount_table) {
                return plan;
            }
            (plan.refcount_blocks, plan.refcount_table) = (blocks, table);
        }
    }

    fn blocks_at(&self) -> u64 {
        1 + self.refcount_table
    }

    fn l1_at(&self) -> u64 {
        self.blocks_at() + self.refcount_blocks
    }

    fn l2_at(&self) -> u64 {
        self.l1_at() + (self.l1_entries * 8).div_ceil(CLUSTER)
    }

    fn data_at(&self) -> u64 {
        self.l2_at() + self.l2_tables
    }

    fn clusters(&self) -> u64 {
        self.data_at() + self.data
    }

    /// The header's cluster.
    fn header(&self, len: u64) -> Vec<u8> {
        let mut header = vec![0; CLUSTER as usize];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"QFI\xfb");
        put(4, &3u32.to_be_bytes());
        put(20, &CLUSTER_BITS.to_be_bytes());
        put(24, &len.to_be_bytes());
        // MAX_LEN gives at most 2^15 L1 entries and far fewer clusters of refcount table.
        put(36, &(self.l1_entries as u32).to_be_bytes());
        put(40, &(self.l1_at() * CLUSTER).to_be_bytes());
        put(48, &CLUSTER.to_be_bytes());
        put(56, &(self.refcount_table as u32).to_be_bytes());
        put(96, &REFCOUNT_ORDER.to_be_bytes());
        put(100, &HEADER_LEN.to_be_bytes());
        header
    }
}

/// A buffered output that knows where in a cluster it is.
struct Table<'a, W: Write> {
    out: std::io::BufWriter<&'a mut W>,
    position: u64,
}

impl<'a, W: Write> Table<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Self { out: std::io::BufWriter::new(out), position: 0 }
    }

    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.position += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn entry(&mut self, value: u64) -> std::io::Result<()> {
        self.raw(&value.to_be_bytes())
    }

    /// Zeros up to the next cluster.
    fn align(&mut self) -> std::io::Result<()> {
        let missing = self.position.next_multiple_of(CLUSTER) - self.position;
        self.raw(&vec![0; missing as usize])
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_cover_the_whole_file_themselves_included() {
        for clusters in [1, 64, 32_000, 32_763, 32_764, 32_765, 70_000, 1 << 20, 1 << 28] {
            let used = Used { clusters, words: vec![u64::MAX; (clusters as usize).div_ceil(64)] };
            let plan = Plan::of(&used);
            assert!(plan.refcount_blocks * REFCOUNTS_PER_BLOCK >= plan.clusters(), "{clusters}");
            assert!(plan.refcount_table * CLUSTER / 8 >= plan.refcount_blocks, "{clusters}");
        }
    }
}
