//! The words that the parts of Coracle share.
//!
//! Slots, versions, root hashes, the partitions of the disk, paths, the words of the kernel command line, the
//! boot record, and what the updater says to PID 1. Nothing in here opens a file: bytes and text come in, values go out.

pub mod boot_record;
pub mod cmdline;
pub mod control;
mod pairs;
pub mod partition;
pub mod paths;
mod root_hash;
mod slot;
mod version;

pub use pairs::pairs;
pub use root_hash::{BadRootHash, RootHash};
pub use slot::Slot;
pub use version::{BadVersion, OsVersion};

/// The salt of every dm-verity tree that Coracle builds: the ASCII text `coracle.verity.salt.v1` padded with
/// zeros to 32 bytes.
///
/// It is constant so that the same root gives the same root hash on every machine and in every build. A salt
/// only slows down a search for collisions across many trees; the root hash itself is signed.
pub const VERITY_SALT: [u8; 32] = *b"coracle.verity.salt.v1\0\0\0\0\0\0\0\0\0\0";
