//! Installing a root into the slot that does not run.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | [`Target::open`], [`Target::plan`]: the other slot's partitions, exclusively, and large enough | nothing happened |
//! | 2 | [`Planned::begin`]: the checkpoint is forgotten, the slot poisoned | the old root, whole, or no root |
//! | 3 | [`Poisoned::write`]: operations are verified and written; each 32 MiB a flush, then a checkpoint | no root; on from the checkpoint |
//! | 4 | [`Written::seal`]: the tree is built, compared, flushed, read back; the superblock is the last write | no root, or the new one, whole |
//!
//! A slot holds a root if its superblock is valid and its tree's top block has the root hash: that is how stage 1 chooses. In
//! `docs/update-protocol.md` the steps are taken apart, write by write.
//!
//! Nothing here can name the running slot: a [`Target`] is made from it and is the other one.

mod aligned;
mod checkpoint;
mod device;
mod error;
mod job;
mod partition;
mod reader;
mod scribe;
mod seal;
mod store;
mod stream;
mod target;
mod write;

pub use checkpoint::Checkpoint;
pub use device::BlockDevice;
pub use error::{Error, Operation, Remedy};
pub use job::{Job, Pace};
pub use partition::PartitionDevice;
pub use seal::Sealed;
pub use store::checkpoint_in;
pub use target::{Planned, Poisoned, Target, Written};
pub use write::{Bodies, Stored};
