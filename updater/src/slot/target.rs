//! The slot that is written, and how far it is: each state is a type, and the next one is made from it.

use coracle_layout::partition::Partition;
use coracle_layout::{RootHash, Slot, VERITY_SALT};
use coracle_verity::{BLOCK, DataBlocks, Superblock, hash_area_len, top_block_hash};

use crate::keep::Store;
use crate::slot::checkpoint::Checkpoint;
use crate::slot::device::{BlockDevice, Origin, Part};
use crate::slot::error::Error;
use crate::slot::job::Job;
use crate::slot::store;

/// Superblock and top block of the tree: without either, stage 1 passes the slot over.
const TREE_HEAD: usize = 2 * BLOCK;
/// Where a filesystem says that it is one.
const ROOT_HEAD: usize = BLOCK;

/// The slot that does not run.
#[derive(Debug)]
pub struct Target<D> {
    pub(crate) slot: Slot,
    pub(crate) root: Part<D>,
    pub(crate) tree: Part<D>,
}

impl<D: BlockDevice> Target<D> {
    /// The slot beside the one that runs, from devices that are its root and its tree. On a machine: [`Target::open`].
    pub fn beside(running: Slot, root: D, tree: D) -> Self {
        let slot = running.other();
        Self {
            slot,
            root: Part { which: Partition::Root(slot), device: root },
            tree: Part { which: Partition::Verity(slot), device: tree },
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether a root of so many blocks fits, with its tree.
    ///
    /// # Errors
    /// [`Error::TooSmall`].
    pub fn fits(&self, data: DataBlocks) -> Result<(), Error> {
        let area = hash_area_len(data).max(TREE_HEAD as u64);
        for (part, needs) in [(&self.root, data.get().saturating_mul(BLOCK as u64)), (&self.tree, area)] {
            let has = part.device.size();
            if has < needs {
                return Err(Error::TooSmall { partition: part.which.label(), has, needs });
            }
        }
        Ok(())
    }

    /// Holds the job against the sizes of the partitions. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::TooSmall`].
    pub fn plan<'j>(self, job: &'j Job<'j>) -> Result<Planned<'j, D>, Error> {
        self.fits(job.superblock.data_blocks)?;
        Ok(Planned(Under { job, target: self }))
    }

    /// The root that can be chosen from it, if one can: what stage 1 would say.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn content(&self) -> Result<Option<RootHash>, Error> {
        let mut head = [0; TREE_HEAD];
        self.tree.read(&mut head, 0, Origin::Nearest)?;
        let parsed = head.first_chunk().map(Superblock::parse);
        let (Some(Ok(superblock)), Some(top)) = (parsed, head.last_chunk::<BLOCK>()) else { return Ok(None) };
        let is_ours = superblock.salt.as_bytes() == VERITY_SALT && self.fits(superblock.data_blocks).is_ok();
        Ok(is_ours.then(|| RootHash::new(top_block_hash(&VERITY_SALT, top))))
    }

    /// Makes sure that nothing in it can be chosen.
    ///
    /// 1. The checkpoint is removed, as what it speaks of is about to go. Power lost here means: the slot is as it was.
    /// 2. The head of the tree, superblock and top block, is zeroed and flushed. Power lost here means: as it was, or it cannot
    ///    be chosen, with its data untouched.
    /// 3. The head of the root is zeroed and flushed. Power lost here means: it cannot be chosen.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Checkpoint`].
    pub fn poison(&self, store: &impl Store) -> Result<(), Error> {
        store::remove(store)?;
        self.behead()?;
        self.root.write(&[0; ROOT_HEAD], 0)?;
        self.root.flush()
    }

    /// The slot cannot be chosen any more: the head of the tree is zeros, durably.
    pub(crate) fn behead(&self) -> Result<(), Error> {
        self.tree.write(&[0; TREE_HEAD], 0)?;
        self.tree.flush()
    }
}

/// A target and the job that is done on it.
#[derive(Debug)]
pub(crate) struct Under<'j, D> {
    pub job: &'j Job<'j>,
    pub target: Target<D>,
}

impl<D: BlockDevice> Under<'_, D> {
    /// Whether it has no superblock at all.
    pub fn is_poisoned(&self) -> Result<bool, Error> {
        let mut block = [0; BLOCK];
        self.target.tree.read(&mut block, 0, Origin::Nearest)?;
        Ok(block == [0; BLOCK])
    }

    pub fn checkpoint(&self, done: usize) -> Checkpoint {
        let (slot, ops_file, root) = (self.target.slot, *self.job.header.digest(), self.job.root);
        Checkpoint { slot, ops_file, root, done: u32::try_from(done).unwrap_or(u32::MAX) }
    }
}

/// A slot that the job fits into. Nothing was changed.
#[derive(Debug)]
pub struct Planned<'j, D>(pub(crate) Under<'j, D>);

/// A slot that cannot be chosen, with what the first operations put out.
#[derive(Debug)]
pub struct Poisoned<'j, D> {
    pub(crate) under: Under<'j, D>,
    pub(crate) done: usize,
}

/// A slot that all operations were done on, as it is said: sealing it finds out.
#[derive(Debug)]
pub struct Written<'j, D>(pub(crate) Under<'j, D>);

impl<'j, D: BlockDevice> Planned<'j, D> {
    /// Goes on from the checkpoint, if it is of this job and the slot is still poisoned; else [`Planned::poison`].
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Checkpoint`].
    pub fn begin(self, store: &impl Store) -> Result<Poisoned<'j, D>, Error> {
        let under = &self.0;
        if let Some(found) = store::load(store)? {
            let done = found.done as usize;
            let fits = found == under.checkpoint(done) && done <= under.job.header.ops().len();
            if fits && under.is_poisoned()? {
                return Ok(Poisoned { under: self.0, done });
            }
        }
        self.poison(store)
    }

    /// Begins anew: [`Target::poison`].
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Checkpoint`].
    pub fn poison(self, store: &impl Store) -> Result<Poisoned<'j, D>, Error> {
        self.0.target.poison(store)?;
        Ok(Poisoned { under: self.0, done: 0 })
    }

    /// Takes it that all was written before, for an agent that was restarted when it was about to seal.
    #[must_use]
    pub fn written(self) -> Written<'j, D> {
        Written(self.0)
    }
}

impl<D> Poisoned<'_, D> {
    /// Operations that need not be done again.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }
}

impl<D> Written<'_, D> {
    /// The root that it should hold.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.0.job.root
    }
}
