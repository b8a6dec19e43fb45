//! dm-verity hash areas: made, checked and described to the device mapper.
//!
//! A hash area in blocks of 4096 bytes:
//!
//! | block        | content                                                        |
//! |--------------|----------------------------------------------------------------|
//! | 0            | [`Superblock`] in the first 512 bytes, zeros after             |
//! | 1 ..         | top level: one block, whose hash is the root hash              |
//! | after it     | the next level down, and so on                                 |
//! | last         | leaf level: the hashes of the data blocks, 128 to a block      |
//!
//! Data of one block has no level at all: the root hash is the hash of that block.

mod build;
mod error;
mod levels;
mod superblock;
mod table;
mod verify;

pub use build::{build, build_unsealed};
pub use error::{Damage, Error};
pub use levels::{BLOCK, Block, Digest, hash_area_len, top_block_hash};
pub use superblock::{DataBlocks, SUPERBLOCK_LEN, Salt, Superblock};
pub use table::{Opt, table_line};
pub use verify::{measure, scan, verify, verify_tree};
