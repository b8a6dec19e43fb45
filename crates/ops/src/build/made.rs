//! A file in the making, and its head when it is made.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::candidates::Candidate;
use super::pack::pack;
use crate::error::Error;
use crate::header::{FIXED_LEN, Header};
use crate::identity::{Digest, Identity, Tag};
use crate::limits::{BLOCK, MAX_HEADER, MAX_IMAGE, MAX_OPS};
use crate::op::Record;
use crate::prologue::Prologue;

/// The head of a finished ops file; its bodies have been written before.
#[derive(Debug, Clone)]
pub struct Made {
    /// What comes before the bodies: prologue and header.
    pub head: Vec<u8>,
    /// SHA-256 of the head, for a manifest to name.
    pub digest: Digest,
    /// The head, read back.
    pub header: Header,
}

/// Takes operations in the order of their outputs.
#[derive(Debug)]
pub(super) struct Writer<'b, W> {
    bodies: &'b mut W,
    fixed: Vec<u8>,
    records: Vec<u8>,
    ops: usize,
}

impl<'b, W: Write> Writer<'b, W> {
    pub fn new(source: Option<Identity>, target: Identity, bodies: &'b mut W) -> Result<Self, Error> {
        for len in source.iter().chain([&target]).map(|image| image.len) {
            if !(1..=MAX_IMAGE).contains(&len) {
                return Err(Error::ImageLength { len });
            }
        }
        let mut fixed = Vec::with_capacity(FIXED_LEN);
        fixed.extend((BLOCK as u32).to_le_bytes());
        fixed.extend([0; 4]);
        fixed.extend(Identity::encode(source));
        fixed.extend(Identity::encode(Some(target)));
        Ok(Self { bodies, fixed, records: Vec::new(), ops: 0 })
    }

    /// Adds the operation that makes these bytes. It was tried out.
    pub fn push(&mut self, candidate: Candidate, bytes: &[u8]) -> Result<(), Error> {
        let Candidate { kind, extents, body } = candidate;
        let record = Record {
            kind,
            len: bytes.len() as u32,
            tag: Tag::of(bytes),
            extents,
            body: kind.has_body().then(|| (body.len() as u32, Tag::of(&body))),
        };
        record.encode(&mut self.records);
        self.bodies.write_all(&body).map_err(Error::Write)?;
        self.ops += 1;
        Ok(())
    }

    /// The head of what was pushed, read back as a machine would.
    pub fn finish(mut self) -> Result<Made, Error> {
        if self.ops > MAX_OPS {
            return Err(Error::OpCount { count: self.ops as u64 });
        }
        self.fixed[4..8].copy_from_slice(&(self.ops as u32).to_le_bytes());
        let unpacked = [self.fixed, self.records].concat();
        let packed = pack(&unpacked, &[])?;
        for len in [packed.len(), unpacked.len()] {
            if len > MAX_HEADER {
                return Err(Error::HeaderLength { len: u32::try_from(len).unwrap_or(u32::MAX) });
            }
        }
        let prologue = Prologue { packed: packed.len() as u32, unpacked: unpacked.len() as u32 };
        let head = [&prologue.encode()[..], &packed].concat();
        let digest = Sha256::digest(&head).into();
        let header = Header::parse(&head, &digest)?;
        Ok(Made { head, digest, header })
    }
}
