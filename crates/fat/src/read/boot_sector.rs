//! What sector 0 says, believed only after it was checked against itself and the volume's length.

use crate::geometry::{MIN_CLUSTERS, SECTOR_LEN};

/// The first cluster's number: 0 and 1 stand for none.
pub(super) const FIRST: u32 = 2;

/// Where everything is, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootSector {
    sectors_per_cluster: u64,
    reserved: u64,
    tables: u64,
    table_sectors: u64,
    /// How many clusters there are.
    pub clusters: u32,
    pub root: u32,
    /// The sector of the boot sector's copy, if there is one.
    pub backup: Option<u64>,
    pub media: u8,
}

impl BootSector {
    /// Checks sector 0 of a volume of `len` bytes; the fields are those of the table in `geometry.rs`.
    pub fn parse(sector: &[u8; SECTOR_LEN as usize], len: u64) -> Result<Self, &'static str> {
        let short = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let long = |at: usize| short(at) | short(at + 2) << 16;
        let expect = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        expect(sector[510..] == [0x55, 0xaa], "the signature is missing")?;
        expect(short(11) == SECTOR_LEN, "sectors are not of 512 bytes")?;
        let sectors_per_cluster = u64::from(sector[13]);
        expect(sectors_per_cluster.is_power_of_two(), "sectors per cluster are no power of two")?;
        expect(short(17) == 0 && short(19) == 0 && short(22) == 0, "a field of FAT16 is in use")?;
        let (reserved, tables) = (short(14), u64::from(sector[16]));
        expect(reserved > 0, "there are no reserved sectors")?;
        expect((1..=2).contains(&tables), "there are neither one nor two tables")?;
        let (sectors, table_sectors) = (long(32), long(36));
        expect(sectors * SECTOR_LEN <= len, "the volume is larger than what holds it")?;
        let overhead = reserved + tables * table_sectors;
        let clusters = sectors.saturating_sub(overhead) / sectors_per_cluster;
        expect(clusters >= MIN_CLUSTERS, "there are too few clusters for FAT32")?;
        expect(clusters + u64::from(FIRST) <= table_sectors * SECTOR_LEN / 4, "the table is too short")?;
        // Fewer than the table's entries, which are fewer than 2^32 / 512 * 128; the top four bits are no part of a number.
        let clusters = u32::try_from(clusters).ok().filter(|count| *count < 0x0fff_fff5);
        let clusters = clusters.ok_or("there are too many clusters for FAT32")?;
        let root = long(44) as u32;
        expect((FIRST..FIRST + clusters).contains(&root), "the root folder is outside")?;
        let backup = Some(short(50)).filter(|at| (1..reserved).contains(at));
        Ok(Self {
            sectors_per_cluster,
            reserved,
            tables,
            table_sectors,
            clusters,
            root,
            backup,
            media: sector[21],
        })
    }

    /// Bytes of a cluster.
    pub fn cluster_len(&self) -> u64 {
        self.sectors_per_cluster * SECTOR_LEN
    }

    /// Byte offsets of the tables.
    pub fn tables(self) -> impl Iterator<Item = u64> {
        (0..self.tables).map(move |n| (self.reserved + n * self.table_sectors) * SECTOR_LEN)
    }

    /// Bytes of a table that stand for clusters.
    pub fn table_len(&self) -> u64 {
        (u64::from(self.clusters) + u64::from(FIRST)) * 4
    }

    /// Whether there is a cluster of this number.
    pub fn has(&self, cluster: u32) -> bool {
        (FIRST..FIRST + self.clusters).contains(&cluster)
    }

    /// Byte offset of a cluster that [`has`](Self::has) is true of.
    pub fn offset(&self, cluster: u32) -> u64 {
        let first = self.reserved + self.tables * self.table_sectors;
        (first + u64::from(cluster - FIRST) * self.sectors_per_cluster) * SECTOR_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Geometry, MIN_LEN};

    #[test]
    fn own_sectors_are_read_as_they_were_meant() {
        for len in [MIN_LEN, 512 << 20, 1 << 40] {
            let geometry = Geometry::of(len);
            let read = BootSector::parse(&geometry.boot_sector(1, b"ESP        "), len).unwrap();
            assert_eq!((read.clusters, read.root, read.backup), (geometry.clusters, 2, Some(6)));
            assert_eq!(read.tables().collect::<Vec<_>>(), geometry.fat_offsets());
            assert_eq!(read.offset(77), geometry.cluster_offset(77));
        }
    }

    #[test]
    fn each_bent_field_is_named() {
        let good = Geometry::of(MIN_LEN).boot_sector(1, b"ESP        ");
        for (at, value, says) in [
            (510, 0, "signature"),
            (11, 1, "512 bytes"),
            (13, 3, "power of two"),
            (13, 0, "power of two"),
            (13, 128, "too few"),
            (17, 1, "FAT16"),
            (14, 0, "reserved"),
            (16, 0, "tables"),
            (16, 3, "tables"),
            (35, 0xff, "larger"),
            (34, 0, "too few"),
            (37, 0, "too short"),
            (47, 1, "root folder"),
        ] {
            let mut bent = good;
            bent[at] = value;
            let error = BootSector::parse(&bent, MIN_LEN).unwrap_err();
            assert!(error.contains(says), "byte {at}: {error}");
        }
    }
}
