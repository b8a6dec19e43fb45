//! What is left to spend on one image, over all its layers.

use crate::error::Refusal;
use crate::limits::Limits;
use crate::rootfs::InodeId;

#[derive(Debug)]
pub(crate) struct Budget {
    pub limits: Limits,
    entries: u64,
    metadata: u64,
    content: u64,
    inodes: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        // Inode 0 is the root that every tree starts with.
        let Limits { entries, metadata_bytes, content_bytes, .. } = limits;
        Self { limits, entries, metadata: metadata_bytes, content: content_bytes, inodes: 0 }
    }

    pub(crate) fn entries_left(&self) -> u64 {
        self.entries
    }

    /// Pays for one entry that keeps `bytes` in memory.
    pub(crate) fn entry(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.entries = self.entries.checked_sub(1).ok_or(Refusal::Limit("entries"))?;
        self.metadata = self.metadata.checked_sub(bytes as u64).ok_or(Refusal::Limit("metadata_bytes"))?;
        Ok(())
    }

    /// Pays for file content before it is copied.
    pub(crate) fn content(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.content = self.content.checked_sub(bytes).ok_or(Refusal::Limit("content_bytes"))?;
        Ok(())
    }

    pub(crate) fn inode(&mut self) -> InodeId {
        self.inodes = self.inodes.wrapping_add(1);
        InodeId(self.inodes)
    }
}
