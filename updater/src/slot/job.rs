//! What is to be installed.

use coracle_layout::{RootHash, VERITY_SALT};
use coracle_ops::{Hash, Header};
use coracle_verity::{DataBlocks, Salt, Superblock};

use crate::slot::error::Error;

const BLOCK: u64 = coracle_verity::BLOCK as u64;

/// How much is done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes of one write or read, whole blocks.
    pub piece: usize,
    /// Bytes after which what was written is flushed and a checkpoint noted.
    pub checkpoint: u64,
}

impl Pace {
    /// The pace of a machine.
    pub const MACHINE: Self = Self { piece: 1 << 20, checkpoint: 32 << 20 };
}

/// A root, and the ops file that makes it. One that is made fits the machine; whether it fits the slot, [`crate::slot::Target::plan`] says.
#[derive(Debug, Clone)]
pub struct Job<'h> {
    pub(crate) header: &'h Header,
    pub(crate) root: RootHash,
    pub(crate) superblock: Superblock,
    pub(crate) pace: Pace,
}

impl<'h> Job<'h> {
    /// The job to install `root` from this ops file on a machine that runs `running`.
    ///
    /// # Errors
    /// [`Error::NotARoot`], [`Error::OtherTarget`], [`Error::OtherSource`].
    pub fn new(header: &'h Header, root: RootHash, running: RootHash) -> Result<Self, Error> {
        let target = header.target();
        let Hash::Verity(digest) = target.hash else { return Err(Error::NotARoot) };
        if digest != *root.as_bytes() {
            return Err(Error::OtherTarget { want: root, got: RootHash::new(digest) });
        }
        // A root of one block has no tree, and stage 1 refuses it.
        if !target.len.is_multiple_of(BLOCK) || target.len < 2 * BLOCK {
            return Err(Error::NotARoot);
        }
        if header.source().is_some_and(|source| source.hash != Hash::Verity(*running.as_bytes())) {
            return Err(Error::OtherSource { running });
        }
        let superblock = Superblock {
            uuid: uuid(&root),
            data_blocks: DataBlocks::new(target.len / BLOCK).map_err(Error::Tree)?,
            salt: Salt::new(&VERITY_SALT).map_err(Error::Tree)?,
        };
        Ok(Self { header, root, superblock, pace: Pace::MACHINE })
    }

    /// The same job at another pace; a piece is at least a block.
    #[must_use]
    pub fn at(self, pace: Pace) -> Self {
        let piece = pace.piece.next_multiple_of(BLOCK as usize).max(BLOCK as usize);
        Self { pace: Pace { piece, ..pace }, ..self }
    }

    /// The root that is installed.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.root
    }
}

/// The identifier of the hash area: of version 8, made of the root hash, so that one root has one superblock.
fn uuid(root: &RootHash) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.iter_mut().zip(root.as_bytes()).for_each(|(to, from)| *to = *from);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    uuid
}
