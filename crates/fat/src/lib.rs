//! FAT32 volumes with 4 KiB clusters: written in one go, always the same way, and [read] with bounds.
//!
//! What goes where, in sectors of 512 bytes (Microsoft's FAT specification, version 1.03):
//!
//! | sectors | holds |
//! |---|---|
//! | 0, 6 | boot sector and its copy |
//! | 1, 7 | FSInfo and its copy |
//! | `reserved` … | two file allocation tables |
//! | then | clusters from number 2: the root folder, then everything else in the order of the tree, each in one run |
//!
//! `reserved` is at least 32 and such that clusters begin at a multiple of 4 KiB.

mod folder;
mod geometry;
mod name;
pub mod read;
mod volume;

pub use folder::PathError;
pub use geometry::{CLUSTER_LEN, MIN_LEN};
pub use volume::{Error, Volume, write};
