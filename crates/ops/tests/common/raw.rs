//! Ops files written by hand, after the tables of the format and in no need to make sense.

use sha2::{Digest as _, Sha256};

use super::sha256;

pub const COPY: u8 = 1;
pub const ZERO: u8 = 2;
pub const ZSTD: u8 = 3;
pub const PREFIX: u8 = 4;
pub const BSDIFF: u8 = 5;

#[derive(Clone)]
pub struct RawOp {
    pub kind: u8,
    pub len: u32,
    /// What the tag is made of.
    pub output: Vec<u8>,
    /// Gaps and blocks.
    pub extents: Vec<(u32, u32)>,
    pub body: Vec<u8>,
    /// What the header says of the body's length.
    pub body_len: u32,
}

impl RawOp {
    pub fn zero(len: u32) -> Self {
        Self { kind: ZERO, len, output: Vec::new(), extents: Vec::new(), body: Vec::new(), body_len: 0 }
    }

    pub fn copy(output: &[u8], extents: &[(u32, u32)]) -> Self {
        let (len, output) = (output.len() as u32, output.to_vec());
        Self { kind: COPY, output, extents: extents.to_vec(), ..Self::zero(len) }
    }

    pub fn packed(kind: u8, output: &[u8], extents: &[(u32, u32)], body: Vec<u8>) -> Self {
        let body_len = body.len() as u32;
        Self { kind, body, body_len, ..Self::copy(output, extents) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        number(self.len, out);
        if self.kind != ZERO {
            out.extend(&Sha256::digest(&self.output)[..16]);
        }
        if [COPY, PREFIX, BSDIFF].contains(&self.kind) {
            number(self.extents.len() as u32, out);
            for (gap, blocks) in &self.extents {
                number(*gap, out);
                number(*blocks, out);
            }
        }
        if [ZSTD, PREFIX, BSDIFF].contains(&self.kind) {
            number(self.body_len, out);
            out.extend(&Sha256::digest(&self.body)[..16]);
        }
    }
}

pub fn number(mut value: u32, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Kind, length, hash.
pub fn identity(kind: u8, len: u64, hash: [u8; 32]) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &len.to_le_bytes(), &hash].concat()
}

/// The unpacked header of these operations, from a source of so many bytes (none for 0) to a target of so many.
pub fn unpacked(source_len: u64, target_len: u64, ops: &[RawOp]) -> Vec<u8> {
    let mut bytes = [4096_u32, ops.len() as u32].map(u32::to_le_bytes).concat();
    bytes.extend(if source_len == 0 { vec![0; 48] } else { identity(2, source_len, [7; 32]) });
    bytes.extend(identity(1, target_len, [8; 32]));
    ops.iter().for_each(|op| op.encode(&mut bytes));
    bytes
}

pub fn pack(bytes: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut packer = zstd_safe::CCtx::try_create().expect("memory");
    packer.set_parameter(zstd_safe::CParameter::WindowLog(22)).expect("in range");
    packer.ref_prefix(prefix).expect("a prefix");
    let mut packed = vec![0; zstd_safe::compress_bound(bytes.len())];
    let len = packer.compress2(&mut packed[..], bytes).expect("room");
    packed.truncate(len);
    packed
}

/// A head whose parts are these.
pub fn head_of(packed: &[u8], unpacked_len: usize) -> Vec<u8> {
    let lens = [packed.len() as u32, unpacked_len as u32].map(u32::to_le_bytes).concat();
    [&b"CORAOPS\x1a\x01\0\0\0"[..], &lens, packed].concat()
}

/// A head with this header.
pub fn head(unpacked: &[u8]) -> Vec<u8> {
    head_of(&pack(unpacked, &[]), unpacked.len())
}

/// A whole file.
pub fn file(source_len: u64, ops: &[RawOp]) -> Vec<u8> {
    let target_len = ops.iter().map(|op| u64::from(op.len)).sum();
    let bodies: Vec<u8> = ops.iter().flat_map(|op| op.body.clone()).collect();
    [head(&unpacked(source_len, target_len, ops)), bodies].concat()
}

/// Reads a head as if its hash were trusted.
pub fn parse(head: &[u8]) -> Result<coracle_ops::Header, coracle_ops::Error> {
    coracle_ops::Header::parse(head, &sha256(head))
}

/// A patch: control words, differences, insertions.
pub fn patch(control: &[(u32, u32, u32)], diff: &[u8], extra: &[u8]) -> Vec<u8> {
    let mut words = Vec::new();
    for (add, insert, seek) in control {
        [*add, *insert, *seek].into_iter().for_each(|value| number(value, &mut words));
    }
    let lens = [words.len() as u32, diff.len() as u32].map(u32::to_le_bytes).concat();
    [&lens, &words, diff, extra].concat()
}
