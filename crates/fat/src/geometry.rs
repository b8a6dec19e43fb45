//! How a volume's bytes are divided, and the sectors that say so.

pub(crate) const SECTOR_LEN: u64 = 512;
/// Bytes of one cluster: one block of any disk in use, so that no write makes the disk read first.
pub const CLUSTER_LEN: u64 = 4096;
const SECTORS_PER_CLUSTER: u64 = CLUSTER_LEN / SECTOR_LEN;
const FAT_COUNT: u64 = 2;
const MIN_RESERVED: u64 = 32;
/// Fewer clusters make a volume FAT16 by definition.
pub(crate) const MIN_CLUSTERS: u64 = 65_525;
/// The smallest volume that has so many clusters, in bytes, with 1 MiB to spare for the tables.
pub const MIN_LEN: u64 = MIN_CLUSTERS * CLUSTER_LEN + (1 << 20);
/// The largest volume: its sectors are counted in 32 bits.
pub(crate) const MAX_LEN: u64 = u32::MAX as u64 * SECTOR_LEN;

/// Where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    sectors: u64,
    reserved: u64,
    fat_sectors: u64,
    /// Clusters, not counting the two numbers that stand for none.
    pub(crate) clusters: u32,
}

impl Geometry {
    /// Divides `len` bytes, between [`MIN_LEN`] and [`MAX_LEN`].
    pub(crate) fn of(len: u64) -> Self {
        let sectors = len / SECTOR_LEN;
        // An upper bound of the clusters gives tables that are never too small.
        let bound = (sectors - MIN_RESERVED) / SECTORS_PER_CLUSTER;
        let fat_sectors = ((bound + 2) * 4).div_ceil(SECTOR_LEN);
        let overhead = (MIN_RESERVED + FAT_COUNT * fat_sectors).next_multiple_of(SECTORS_PER_CLUSTER);
        let clusters = (sectors - overhead) / SECTORS_PER_CLUSTER;
        Self { sectors, reserved: overhead - FAT_COUNT * fat_sectors, fat_sectors, clusters: clusters as u32 }
    }

    /// Byte offsets of the file allocation tables.
    pub(crate) fn fat_offsets(self) -> [u64; FAT_COUNT as usize] {
        std::array::from_fn(|n| (self.reserved + n as u64 * self.fat_sectors) * SECTOR_LEN)
    }

    /// Byte offset of a cluster.
    pub(crate) fn cluster_offset(self, cluster: u32) -> u64 {
        let first = (self.reserved + FAT_COUNT * self.fat_sectors) * SECTOR_LEN;
        first + (u64::from(cluster) - 2) * CLUSTER_LEN
    }

    /// Sector 0, and 6.
    ///
    /// | offset | size | field |
    /// |---|---|---|
    /// | 0 | 3 | jump, never taken by UEFI |
    /// | 3 | 8 | OEM name |
    /// | 11 | 2 | bytes per sector |
    /// | 13 | 1 | sectors per cluster |
    /// | 14 | 2 | reserved sectors |
    /// | 16 | 1 | tables |
    /// | 21 | 1 | media: fixed disk |
    /// | 24, 26 | 2, 2 | sectors per track, heads: of no meaning since LBA |
    /// | 32 | 4 | sectors |
    /// | 36 | 4 | sectors per table |
    /// | 44 | 4 | first cluster of the root folder |
    /// | 48, 50 | 2, 2 | sectors of FSInfo and of the boot sector's copy |
    /// | 64 | 1 | drive number |
    /// | 66 | 1 | signature 0x29: the three fields that follow exist |
    /// | 67 | 4 | volume identifier |
    /// | 71 | 11 | volume label |
    /// | 82 | 8 | `FAT32   ` |
    /// | 510 | 2 | 0x55 0xaa |
    pub(crate) fn boot_sector(self, volume_id: u32, label: &[u8; 11]) -> [u8; SECTOR_LEN as usize] {
        let mut sector = [0; SECTOR_LEN as usize];
        let mut put = |offset: usize, bytes: &[u8]| sector[offset..][..bytes.len()].copy_from_slice(bytes);
        put(0, &[0xeb, 0x58, 0x90]);
        put(3, b"CORACLE ");
        put(11, &(SECTOR_LEN as u16).to_le_bytes());
        put(13, &[SECTORS_PER_CLUSTER as u8]);
        put(14, &(self.reserved as u16).to_le_bytes());
        put(16, &[FAT_COUNT as u8]);
        put(21, &[0xf8]);
        put(24, &63u16.to_le_bytes());
        put(26, &255u16.to_le_bytes());
        put(32, &(self.sectors as u32).to_le_bytes());
        put(36, &(self.fat_sectors as u32).to_le_bytes());
        put(44, &2u32.to_le_bytes());
        put(48, &1u16.to_le_bytes());
        put(50, &6u16.to_le_bytes());
        put(64, &[0x80]);
        put(66, &[0x29]);
        put(67, &volume_id.to_le_bytes());
        put(71, label);
        put(82, b"FAT32   ");
        put(510, &[0x55, 0xaa]);
        sector
    }

    /// Sector 1, and 7: how many clusters are free, and where to look for one.
    pub(crate) fn fs_info(self, next_free: u32) -> [u8; SECTOR_LEN as usize] {
        let mut sector = [0; SECTOR_LEN as usize];
        let mut put = |offset: usize, value: u32| sector[offset..][..4].copy_from_slice(&value.to_le_bytes());
        put(0, 0x4161_5252);
        put(484, 0x6141_7272);
        put(488, self.clusters - (next_free - 2));
        put(492, next_free);
        put(508, 0xaa55_0000);
        sector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_fat32_with_aligned_clusters_inside_the_volume() {
        for len in [MIN_LEN, MIN_LEN + 513, 512 << 20, (512 << 20) + 4095, 1 << 31, 1 << 40, MAX_LEN] {
            let geometry = Geometry::of(len);
            assert!(u64::from(geometry.clusters) >= MIN_CLUSTERS, "{len}");
            assert!((u64::from(geometry.clusters) + 2) * 4 <= geometry.fat_sectors * SECTOR_LEN, "{len}");
            assert_eq!(geometry.cluster_offset(2) % CLUSTER_LEN, 0, "{len}");
            assert!(geometry.cluster_offset(geometry.clusters + 2) <= len, "{len}");
            assert!(geometry.reserved >= MIN_RESERVED && geometry.reserved < MIN_RESERVED + 8, "{len}");
        }
    }
}
