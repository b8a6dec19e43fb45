//! From a written slot to one that can be chosen.

use coracle_layout::{RootHash, Slot};
use coracle_verity::{BLOCK, Error as Verity, build_unsealed, verify_tree};

use crate::keep::Store;
use crate::slot::device::{BlockDevice, Origin};
use crate::slot::error::{Error, Operation};
use crate::slot::reader::{Reader, Writer};
use crate::slot::store;
use crate::slot::target::{Under, Written};

/// A slot that holds this root, read back from the disk block by block. Stage 1 will find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The slot.
    pub slot: Slot,
    /// Its root.
    pub root: RootHash,
}

impl<D: BlockDevice> Written<'_, D> {
    /// Builds the tree, proves that the slot holds the root, and says so on the disk.
    ///
    /// 1. The head of the tree is zeroed if it is not, and flushed; the root is flushed. Power lost here means: no root.
    /// 2. The tree is built from the data, which are read back past every cache. Power lost here means: no root, as there is no
    ///    superblock.
    /// 3. Its root hash is compared with the one asked for, and it is flushed. Power lost here means: the same.
    /// 4. The tree is read back past every cache, each block held against its hash. Power lost here means: the same.
    /// 5. The superblock is written, flushed and read back. Power lost here means: no root, or the whole root: the superblock is
    ///    one sector, and everything else was on the disk before.
    /// 6. The checkpoint is removed. Power lost here means: the root; the checkpoint is not of a poisoned slot, hence of none.
    ///
    /// # Errors
    /// [`Error::RootHashMismatch`] and [`Error::ReadBack`] make the next installation begin anew. [`Error::Device`],
    /// [`Error::Checkpoint`].
    pub fn seal(self, store: &impl Store) -> Result<Sealed, Error> {
        let under = self.0;
        let sealed = under.prove().and_then(|()| under.say());
        if let Err(Error::RootHashMismatch { .. } | Error::ReadBack { .. }) | Ok(()) = sealed {
            store::remove(store)?;
        }
        sealed.map(|()| Sealed { slot: under.target.slot, root: under.job.root })
    }
}

impl<D: BlockDevice> Under<'_, D> {
    /// Steps 1 to 4.
    fn prove(&self) -> Result<(), Error> {
        let (root, tree, piece) = (&self.target.root, &self.target.tree, self.job.pace.piece);
        if !self.is_poisoned()? {
            self.target.behead()?;
        }
        // Not for granted: who zeroed it may have been killed before the flush.
        tree.flush()?;
        root.flush()?;

        // One pass proves the data and makes their tree.
        let data = Reader::new(root, piece);
        let built = build_unsealed(data, &self.job.superblock, &mut Writer::new(tree));
        let got = built.map(RootHash::new).map_err(|error| self.tree_error(error))?;
        if got != self.job.root {
            return Err(Error::RootHashMismatch { slot: self.target.slot, want: self.job.root, got });
        }
        tree.flush()?;

        let mut hashes = Reader::new(tree, piece).headed(self.job.superblock.block());
        verify_tree(&mut hashes, self.job.root.as_bytes()).map_err(|error| self.tree_error(error))
    }

    /// Step 5.
    fn say(&self) -> Result<(), Error> {
        let (tree, block) = (&self.target.tree, self.job.superblock.block());
        tree.write(&block, 0)?;
        tree.flush()?;
        let mut read = [0; BLOCK];
        tree.read(&mut read, 0, Origin::Disk)?;
        if read == block { Ok(()) } else { Err(Error::ReadBack { slot: self.target.slot, source: None }) }
    }

    fn tree_error(&self, error: Verity) -> Error {
        let (root, tree) = (&self.target.root, &self.target.tree);
        let at = |block: u64| block.saturating_mul(BLOCK as u64);
        match error {
            Verity::ReadData { block, source } => root.error(Operation::Read, at(block), source),
            Verity::ReadHash { block, source } => tree.error(Operation::Read, at(block), source),
            Verity::WriteHash { block, source } => tree.error(Operation::Write, at(block), source),
            Verity::Damaged(damage) => Error::ReadBack { slot: self.target.slot, source: Some(damage) },
            other => Error::Tree(other),
        }
    }
}
