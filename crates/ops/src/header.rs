//! The header: what the file makes of what, and its operations.
//!
//! One zstd frame behind the prologue; its content:
//!
//! | bytes      | field                                                                   |
//! |------------|-------------------------------------------------------------------------|
//! | 0 .. 4     | block size, 4096                                                        |
//! | 4 .. 8     | count of operations, 1 to 16384                                         |
//! | 8 .. 56    | source: an identity, or zeros in a file that needs none                 |
//! | 56 .. 104  | target: an identity                                                     |
//! | 104 ..     | the operations' records (`op.rs`), in the order of their outputs        |
//!
//! An identity:
//!
//! | bytes      | field                                                                   |
//! |------------|-------------------------------------------------------------------------|
//! | 0          | kind of the hash: 1 SHA-256 of the bytes, 2 dm-verity root hash,        |
//! |            | 3 SHA-256 of the bytes, which are the unpacked form of a kernel image   |
//! | 1 .. 8     | zeros                                                                   |
//! | 8 .. 16    | bytes of the image, 1 to 16 GiB                                         |
//! | 16 .. 48   | the hash                                                                |

use sha2::{Digest as _, Sha256};

use crate::bytes::Bytes;
use crate::error::Error;
use crate::frame;
use crate::identity::{Digest, Identity};
use crate::limits::{BLOCK, MAX_OPS};
use crate::op::{Around, Extent, Op, Position};
use crate::prologue::Prologue;

/// Bytes before the first record.
#[cfg(feature = "build")]
pub(crate) const FIXED_LEN: usize = 8 + 2 * crate::identity::IDENTITY_LEN;

/// A header whose hash held, and in which everything fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    digest: Digest,
    source: Option<Identity>,
    target: Identity,
    ops: Vec<Op>,
    extents: Vec<Extent>,
    file_len: u64,
}

impl Header {
    /// Reads a header, prologue included, of exactly [`Prologue::header_len`] bytes.
    ///
    /// 1. The prologue says how long it must be.
    /// 2. The SHA-256 of all the bytes is compared with `trusted`, which a signature vouches for.
    /// 3. Only then is it unpacked, into as many bytes as the prologue says.
    pub fn parse(bytes: &[u8], trusted: &Digest) -> Result<Self, Error> {
        let prologue = Prologue::parse(bytes)?;
        let (want, got) = (prologue.header_len(), bytes.len());
        if want != got {
            return Err(Error::HeaderBytes { want, got });
        }
        let digest: Digest = Sha256::digest(bytes).into();
        if digest != *trusted {
            return Err(Error::HeaderDigest { want: *trusted, got: digest });
        }
        let packed = bytes.get(Prologue::LEN..).ok_or(Error::Truncated)?;
        let mut unpacked = vec![0; prologue.unpacked as usize];
        frame::unpack(packed, &[], &mut unpacked)?;
        Self::parse_unpacked(&unpacked, digest, want as u64)
    }

    fn parse_unpacked(bytes: &[u8], digest: Digest, header_len: u64) -> Result<Self, Error> {
        let mut bytes = Bytes(bytes);
        if bytes.u32()? as usize != BLOCK {
            return Err(Error::Unsupported { field: "block size" });
        }
        let count = bytes.u32()?;
        if !(1..=MAX_OPS).contains(&(count as usize)) {
            return Err(Error::OpCount { count: count.into() });
        }
        let source = Identity::parse(&mut bytes)?;
        let target = Identity::parse(&mut bytes)?.ok_or(Error::NoTarget)?;
        let around = Around { source_blocks: source.map_or(0, Identity::blocks), ops: count as usize };
        let (mut ops, mut extents) = (Vec::with_capacity(around.ops), Vec::new());
        let mut next = Position { op: 0, at: 0, body_at: header_len };
        for _ in 0..count {
            ops.push(Op::parse(&mut bytes, around, &mut next, &mut extents)?);
        }
        if !bytes.is_empty() {
            return Err(Error::Trailing { len: bytes.0.len() });
        }
        if next.at != target.len {
            return Err(Error::Coverage { want: target.len, got: next.at });
        }
        extents.shrink_to_fit();
        Ok(Self { digest, source, target, ops, extents, file_len: next.body_at })
    }

    /// The hash that this header was read with: with the number of an operation it names a place to resume at.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What a delta starts from; `None` for a full file.
    #[must_use]
    pub fn source(&self) -> Option<Identity> {
        self.source
    }

    /// What comes out.
    #[must_use]
    pub fn target(&self) -> Identity {
        self.target
    }

    /// The operations; their outputs cover the target without gap or overlap, in order.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The blocks that one of these operations takes: those of the source are counted first, then those of the target.
    #[must_use]
    pub fn extents(&self, op: &Op) -> &[Extent] {
        let (first, end) = op.extents;
        self.extents.get(first as usize..end as usize).unwrap_or_default()
    }

    /// Bytes of the whole ops file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.file_len
    }
}
