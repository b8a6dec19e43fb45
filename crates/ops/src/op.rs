//! One operation: what it puts out, what it takes for that, and its record in the header.
//!
//! | field         | bytes            | in                        |
//! |---------------|------------------|---------------------------|
//! | kind          | 1                | all: the table below      |
//! | output length | number           | all                       |
//! | output tag    | 16               | all but ZERO              |
//! | extents       | number           | COPY, PREFIX, BSDIFF      |
//! | for each one: |                  |                           |
//! | … gap         | number           | blocks behind the one before, at first from block 0 |
//! | … blocks      | number           | 1 and more                |
//! | body length   | number           | ZSTD, PREFIX, BSDIFF      |
//! | body tag      | 16               | ZSTD, PREFIX, BSDIFF      |
//!
//! | kind | name   | output                                                                            |
//! |------|--------|-----------------------------------------------------------------------------------|
//! | 1    | COPY   | the first bytes of the extents                                                    |
//! | 2    | ZERO   | zeros                                                                             |
//! | 3    | ZSTD   | the content of the body, a zstd frame                                             |
//! | 4    | PREFIX | the same with the extents' bytes before it, as a raw-content prefix               |
//! | 5    | BSDIFF | a patch (`patch.rs`) applied to the extents' bytes; the patch is a frame's content |
//!
//! Numbers are LEB128 in their shortest form, at most 32 bits. Extents ascend and do not overlap, their bytes in a row are the
//! operation's old bytes. Their blocks are those of the source, the last one filled up with zeros, and behind them those that
//! earlier operations have put out.

use crate::bytes::Bytes;
use crate::error::Error;
use crate::identity::Tag;
use crate::limits::{BLOCK, BODY_SLACK, MAX_EXTENTS, MAX_OLD, MAX_OUTPUT};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Puts out old bytes.
    Copy = 1,
    /// Puts out zeros.
    Zero = 2,
    /// Unpacks its body.
    Zstd = 3,
    /// Unpacks its body, which refers to old bytes.
    Prefix = 4,
    /// Unpacks its body and applies it to old bytes as a patch.
    Bsdiff = 5,
}

impl Kind {
    /// Whether it takes old bytes.
    #[must_use]
    pub fn has_extents(self) -> bool {
        matches!(self, Self::Copy | Self::Prefix | Self::Bsdiff)
    }

    /// Whether it takes bytes of the ops file.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Zstd | Self::Prefix | Self::Bsdiff)
    }
}

/// Blocks that follow each other: first those of the source are counted, then those of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first one.
    pub block: u32,
    /// How many, at least one.
    pub blocks: u32,
}

/// One operation of a checked header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// What it does.
    pub kind: Kind,
    /// First byte of the target that it puts out.
    pub at: u64,
    /// Bytes that it puts out.
    pub len: u32,
    /// First byte of its body in the ops file; of the next body if it has none.
    pub body_at: u64,
    /// Bytes of its body, 0 if it has none.
    pub body_len: u32,
    pub(crate) tag: Option<Tag>,
    pub(crate) body_tag: Option<Tag>,
    /// Its extents, as a part of the header's.
    pub(crate) extents: (u32, u32),
}

/// Where one operation ends and the next begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub op: usize,
    pub at: u64,
    pub body_at: u64,
}

/// What a record is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    pub source_blocks: u64,
    pub ops: usize,
}

impl Op {
    /// Whether these bytes are known to be what it puts out. Of what it takes over unchanged nothing is known: do it again.
    #[must_use]
    pub fn is_output(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len as usize && self.tag == Some(Tag::of(bytes))
    }

    /// Reads one record, adds its extents to those of the header and moves on to the next operation's position.
    pub(crate) fn parse(
        bytes: &mut Bytes<'_>,
        around: Around,
        next: &mut Position,
        extents: &mut Vec<Extent>,
    ) -> Result<Self, Error> {
        let Position { op, at, body_at } = *next;
        let kind = match bytes.u8()? {
            1 => Kind::Copy,
            2 => Kind::Zero,
            3 => Kind::Zstd,
            4 => Kind::Prefix,
            5 => Kind::Bsdiff,
            kind => return Err(Error::Kind { op, kind }),
        };
        let len = bytes.varint()?;
        let whole_blocks = (len as usize).is_multiple_of(BLOCK) || op + 1 == around.ops;
        if !(1..=MAX_OUTPUT).contains(&(len as usize)) || !whole_blocks {
            return Err(Error::OutputLength { op, len });
        }
        let tag = if kind == Kind::Zero { None } else { Some(Tag(bytes.array()?)) };
        let first = extents.len() as u32;
        if kind.has_extents() {
            let there = around.source_blocks + at / BLOCK as u64;
            let blocks = parse_extents(bytes, op, there, extents)?;
            let fits = match kind {
                Kind::Copy => blocks == len.div_ceil(BLOCK as u32),
                _ => (1..=MAX_OLD / BLOCK).contains(&(blocks as usize)),
            };
            if !fits {
                return Err(Error::OldLength { op, blocks });
            }
        }
        let (mut body_len, mut body_tag) = (0, None);
        if kind.has_body() {
            body_len = bytes.varint()?;
            if !(1..=len as usize + BODY_SLACK).contains(&(body_len as usize)) {
                return Err(Error::BodyLength { op, len: body_len });
            }
            body_tag = Some(Tag(bytes.array()?));
        }
        *next = Position { op: op + 1, at: at + u64::from(len), body_at: body_at + u64::from(body_len) };
        let extents = (first, extents.len() as u32);
        Ok(Self { kind, at, len, body_at, body_len, tag, body_tag, extents })
    }
}

/// Reads the extents of one operation, for which so many blocks are there, and gives the count of their blocks, which is at most that of [`MAX_OLD`].
fn parse_extents(
    bytes: &mut Bytes<'_>,
    op: usize,
    there: u64,
    extents: &mut Vec<Extent>,
) -> Result<u32, Error> {
    let count = extents.len() as u64 + u64::from(bytes.varint()?);
    if count > MAX_EXTENTS as u64 {
        return Err(Error::ExtentCount { count });
    }
    let (mut end, mut total) = (0_u64, 0_u64);
    while (extents.len() as u64) < count {
        let start = end + u64::from(bytes.varint()?);
        let blocks = bytes.varint()?;
        // A gap is never negative, so extents in any other order, or overlapping, cannot be written.
        end = start + u64::from(blocks);
        let block = u32::try_from(start).map_err(|_| Error::Extent { op })?;
        if blocks == 0 || end > there {
            return Err(Error::Extent { op });
        }
        total += u64::from(blocks);
        if total > (MAX_OLD / BLOCK) as u64 {
            return Err(Error::OldLength { op, blocks: u32::try_from(total).unwrap_or(u32::MAX) });
        }
        extents.push(Extent { block, blocks });
    }
    Ok(total as u32)
}

/// A record to be written; lengths, tags and extents as in [`Op`].
#[cfg(feature = "build")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub kind: Kind,
    pub len: u32,
    pub tag: Tag,
    pub extents: Vec<Extent>,
    pub body: Option<(u32, Tag)>,
}

#[cfg(feature = "build")]
impl Record {
    /// Appends the bytes that [`Op::parse`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        use crate::bytes::put_varint;
        out.push(self.kind as u8);
        put_varint(self.len, out);
        if self.kind != Kind::Zero {
            out.extend(self.tag.0);
        }
        if self.kind.has_extents() {
            put_varint(self.extents.len() as u32, out);
            let mut end = 0;
            for Extent { block, blocks } in &self.extents {
                put_varint(block - end, out);
                put_varint(*blocks, out);
                end = block + blocks;
            }
        }
        if let Some((len, tag)) = self.body {
            put_varint(len, out);
            out.extend(tag.0);
        }
    }
}
