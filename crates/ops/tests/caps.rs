//! Every cap and every rule of the format, each broken once: refused by name, before anything large is unpacked.

mod common;

use common::raw::{self, *};
use coracle_ops::{Applier, BODY_SLACK, Error, Header, MAX_OUTPUT, PATCH_SLACK, Prologue};

/// A target before anything is written.
const NOTHING: [u8; 0] = [];

const SOURCE: u64 = 600 * 4096 + 1;

/// A header with these operations and a target of their length.
fn read(ops: &[RawOp]) -> Result<Header, Error> {
    parse(&head(&unpacked(SOURCE, ops.iter().map(|op| u64::from(op.len)).sum(), ops)))
}

fn block() -> Vec<u8> {
    vec![1; 4096]
}

macro_rules! refused {
    ($result:expr, $($pattern:tt)+) => {{
        let result = $result;
        assert!(matches!(result, Err($($pattern)+)), "{result:?}");
    }};
}

#[test]
fn a_header_written_by_hand_is_read() {
    let ops = [
        RawOp::zero(8192),
        RawOp::copy(&[1; 8192], &[(3, 1), (596, 1)]),
        RawOp::packed(ZSTD, &block(), &[], vec![1; 5]),
        RawOp::packed(PREFIX, &block(), &[(0, 512)], vec![1; 4096 + BODY_SLACK]),
        RawOp::packed(BSDIFF, &[9; 100], &[(600, 1)], vec![1]),
    ];
    let header = read(&ops).unwrap();
    let ats: Vec<_> = header.ops().iter().map(|op| (op.at, op.len, op.body_len)).collect();
    assert_eq!(ats, [(0, 8192, 0), (8192, 8192, 0), (16384, 4096, 5), (20480, 4096, 4608), (24576, 100, 1)]);
    let extents: Vec<_> = header.extents(&header.ops()[1]).iter().map(|extent| extent.block).collect();
    assert_eq!(extents, [3, 600]);
    assert_eq!(header.file_len(), header.ops()[2].body_at + 5 + 4608 + 1);
}

#[test]
fn prologues() {
    let good = head(&unpacked(0, 4096, &[RawOp::zero(4096)]));
    let edited = |at: usize, bytes: &[u8]| {
        let mut head = good.clone();
        head[at..at + bytes.len()].copy_from_slice(bytes);
        parse(&head)
    };
    refused!(Prologue::parse(&good[..19]), Error::Truncated);
    refused!(edited(0, b"c"), Error::Signature);
    refused!(edited(8, &[2]), Error::Version { version: 2 });
    refused!(edited(10, &[1]), Error::Unsupported { field: "zero" });
    for at in [12, 16] {
        refused!(edited(at, &[0; 4]), Error::HeaderLength { len: 0 });
        refused!(edited(at, &(1_u32 << 20 | 1).to_le_bytes()), Error::HeaderLength { .. });
        refused!(edited(at, &[0xff; 4]), Error::HeaderLength { .. });
    }
    refused!(parse(&good[..good.len() - 1]), Error::HeaderBytes { .. });
    refused!(parse(&[&good[..], &[0]].concat()), Error::HeaderBytes { .. });
}

#[test]
fn a_header_of_another_hash_is_not_unpacked() {
    let bomb = head_of(&pack(&vec![0; 1 << 20], &[]), 1 << 20);
    refused!(Header::parse(&bomb, &[0; 32]), Error::HeaderDigest { .. });
}

#[test]
fn header_frames() {
    let header = unpacked(0, 4096, &[RawOp::zero(4096)]);
    let packed = pack(&header, &[]);
    refused!(parse(&head_of(&packed, header.len() + 1)), Error::FrameLength { .. });
    refused!(
        parse(&head_of(&pack(&vec![0; 1 << 24], &[]), 1 << 20)),
        Error::Window { .. } | Error::FrameLength { .. }
    );
    refused!(parse(&head_of(&[&packed[..], &packed].concat(), header.len())), Error::Frame { .. });
    refused!(parse(&head_of(&packed[..packed.len() - 1], header.len())), Error::Unpack { .. });
    refused!(parse(&head_of(b"junk", 4)), Error::Frame { .. });
    let windowed = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0x80, 13 << 3, 1, 0, 0, 0, 1, 0, 0]].concat();
    refused!(parse(&head_of(&windowed, 1)), Error::Window { len: 8388608 });
}

#[test]
fn fixed_fields() {
    let good = unpacked(4096, 4096, &[RawOp::zero(4096)]);
    let edited = |at: usize, bytes: &[u8]| {
        let mut header = good.clone();
        header[at..at + bytes.len()].copy_from_slice(bytes);
        parse(&head(&header))
    };
    edited(0, &[]).unwrap();
    refused!(edited(0, &[1]), Error::Unsupported { field: "block size" });
    refused!(edited(4, &[0]), Error::OpCount { count: 0 });
    refused!(edited(4, &(1_u32 << 14 | 1).to_le_bytes()), Error::OpCount { count: 16385 });
    refused!(edited(4, &[2]), Error::OutputLength { .. } | Error::Truncated);
    for at in [8, 56] {
        refused!(edited(at, &[4]), Error::Identity);
        refused!(edited(at + 1, &[1]), Error::Identity);
        refused!(edited(at, &[0]), Error::Identity);
        refused!(edited(at + 8, &[0; 8]), Error::ImageLength { len: 0 });
        refused!(edited(at + 8, &(16_u64 << 30 | 1).to_le_bytes()), Error::ImageLength { .. });
        refused!(edited(at + 8, &[0xff; 8]), Error::ImageLength { len: u64::MAX });
    }
    refused!(edited(56, &[0; 48]), Error::NoTarget);
    refused!(parse(&head(&[&good[..], &[0]].concat())), Error::Trailing { len: 1 });
    refused!(parse(&head(&good[..good.len() - 1])), Error::Truncated);
    refused!(edited(64, &4097_u64.to_le_bytes()), Error::Coverage { want: 4097, got: 4096 });
    refused!(edited(64, &4095_u64.to_le_bytes()), Error::Coverage { want: 4095, got: 4096 });
}

#[test]
fn outputs() {
    refused!(read(&[RawOp { kind: 0, ..RawOp::zero(4096) }]), Error::Kind { op: 0, kind: 0 });
    refused!(read(&[RawOp { kind: 6, ..RawOp::zero(4096) }]), Error::Kind { kind: 6, .. });
    refused!(read(&[RawOp::zero(4096), RawOp::zero(0)]), Error::OutputLength { op: 1, len: 0 });
    refused!(read(&[RawOp::zero(MAX_OUTPUT as u32 + 1)]), Error::OutputLength { op: 0, len: 1048577 });
    refused!(read(&[RawOp::zero(4095), RawOp::zero(4096)]), Error::OutputLength { op: 0, len: 4095 });
    let mut header = unpacked(0, 1, &[RawOp::zero(1)]);
    let len_at = header.len() - 1;
    header.splice(len_at.., [0x81, 0]);
    refused!(parse(&head(&header)), Error::Varint);
}

#[test]
fn bodies() {
    for kind in [ZSTD, PREFIX, BSDIFF] {
        let op = |body_len| RawOp { body_len, ..RawOp::packed(kind, &block(), &[(0, 1)], Vec::new()) };
        read(&[op(4096 + BODY_SLACK as u32)]).unwrap();
        for len in [0, 4096 + BODY_SLACK as u32 + 1, u32::MAX] {
            refused!(read(&[op(len)]), Error::BodyLength { op: 0, .. });
        }
    }
}

#[test]
fn extents() {
    for kind in [COPY, PREFIX, BSDIFF] {
        let op = |extents: &[(u32, u32)]| RawOp::packed(kind, &[1; 8192], extents, vec![1]);
        for (extents, name) in [
            (&[(0, 1), (0, 0)][..], "empty"),
            (&[(600, 2)], "beyond the end"),
            (&[(601, 1)], "behind the end"),
            (&[(599, 1), (1, 1)], "second behind the end"),
            (&[(0, u32::MAX)], "endless"),
            (&[(u32::MAX, 1)], "far away"),
            (&[(u32::MAX, u32::MAX)], "far away and endless"),
        ] {
            let result = read(&[op(extents)]);
            assert!(matches!(result, Err(Error::Extent { op: 0 })), "{name}: {result:?}");
        }
        refused!(read(&[op(&[])]), Error::OldLength { blocks: 0, .. });
        refused!(read(&[op(&[(0, 513)])]), Error::OldLength { blocks: 513, .. });
        refused!(read(&[op(&[(0, 512), (1, 1)])]), Error::OldLength { blocks: 513, .. });
        let without_source = unpacked(0, 8192, &[op(&[(0, 2)])]);
        refused!(parse(&head(&without_source)), Error::Extent { op: 0 });
    }
    // Written as a gap, an extent before the end of the last one would be a negative number: there is none.
    for extents in [&[(0, 1)][..], &[(0, 3)]] {
        refused!(read(&[RawOp::copy(&[1; 8192], extents)]), Error::OldLength { op: 0, .. });
    }
    let many = vec![RawOp::copy(&[1; MAX_OUTPUT], &[(0, 1); 256]); 257];
    refused!(read(&many), Error::ExtentCount { count: 65792 });
    let mut header = unpacked(SOURCE, 4096, &[RawOp::copy(&block(), &[])]);
    let count_at = header.len() - 1;
    header.splice(count_at.., [0xff, 0xff, 0xff, 0xff, 0x0f]);
    refused!(parse(&head(&header)), Error::ExtentCount { .. });
}

/// Does the only operation of a file written by hand.
fn apply(op: RawOp) -> Result<Vec<u8>, Error> {
    common::apply(&file(SOURCE, &[op]), &vec![5; SOURCE as usize][..])
}

#[test]
fn bodies_are_checked_before_and_outputs_after() {
    let op = RawOp::packed(ZSTD, &block(), &[], pack(&block(), &[]));
    assert_eq!(apply(op.clone()).unwrap(), block());
    refused!(apply(RawOp { output: vec![2; 4096], ..op.clone() }), Error::Output { op: 0, .. });
    let whole = file(SOURCE, std::slice::from_ref(&op));
    let header = common::header(&whole).unwrap();
    let mut applier = Applier::new(&header, &[][..]);
    for wrong in [&op.body[1..], &vec![0; op.body.len()], &[]] {
        refused!(applier.apply(0, wrong, &NOTHING), Error::Body { op: 0 });
    }
    refused!(applier.apply(1, &op.body, &NOTHING), Error::NoSuchOp { op: 1, ops: 1 });
    assert_eq!(applier.apply(0, &op.body, &NOTHING).unwrap().bytes, block());
}

#[test]
fn frames_and_patches_of_the_wrong_length() {
    refused!(
        apply(RawOp::packed(ZSTD, &block(), &[], pack(&[1; 4095], &[]))),
        Error::FrameLength { got: 4095, .. }
    );
    let long = vec![0; 4096 + PATCH_SLACK + 1];
    refused!(apply(RawOp::packed(BSDIFF, &block(), &[(0, 1)], pack(&long, &[]))), Error::FrameLength { .. });
    let sum = |control: &[(u32, u32, u32)], diff: &[u8]| {
        RawOp::packed(BSDIFF, &[6; 4096], &[(0, 1)], pack(&patch(control, diff, &[]), &[]))
    };
    assert_eq!(apply(sum(&[(4096, 0, 0)], &[1; 4096])).unwrap(), [6; 4096]);
    refused!(apply(sum(&[(4097, 0, 0)], &[1; 4097])), Error::Patch { .. });
    refused!(apply(sum(&[(4095, 0, 0)], &[1; 4095])), Error::Patch { .. });
    refused!(apply(sum(&[(0, 0, 1), (1, 0, 0)], &[1])), Error::Patch { .. });
}

#[test]
fn the_last_block_of_a_source_is_filled_up_with_zeros() {
    let copied = [&[5][..], &[0; 4095]].concat();
    assert_eq!(apply(RawOp::copy(&copied, &[(600, 1)])).unwrap(), copied);
    assert_eq!(apply(RawOp::copy(&[5], &[(600, 1)])).unwrap(), [5]);
    let old = [&[5; 4096][..], &copied].concat();
    let op = RawOp::packed(PREFIX, &copied, &[(0, 1), (599, 1)], pack(&copied, &old));
    assert_eq!(apply(op).unwrap(), copied);
}

#[test]
fn behind_the_source_lies_what_was_put_out_before() {
    let first = RawOp::packed(ZSTD, &[3; 8192], &[], pack(&[3; 8192], &[]));
    // Source blocks are 0 to 600, so 601 is the target's first.
    let second = RawOp::copy(&[&[5][..], &[0; 4095], &[3; 8192]].concat(), &[(600, 3)]);
    let file = |second| file(SOURCE, &[first.clone(), second]);
    let out = common::apply(&file(second.clone()), &vec![5; SOURCE as usize][..]).unwrap();
    assert_eq!(out, [&first.output[..], &second.output].concat());
    let itself = RawOp::copy(&[3; 8192], &[(602, 2)]);
    refused!(common::header(&file(itself)), Error::Extent { op: 1 });
    let without_source = raw::file(0, &[first.clone(), RawOp::copy(&[3; 4096], &[(1, 1)])]);
    assert_eq!(common::apply(&without_source, NOTHING).unwrap(), [3; 12288]);
    // What is there is not what was put out.
    let header = common::header(&without_source).unwrap();
    let mut applier = Applier::new(&header, NOTHING);
    refused!(applier.apply(1, &[], &[4; 8192]), Error::Output { op: 1, .. });
    refused!(applier.apply(1, &[], &NOTHING), Error::ReadTarget { at: 4096, .. });
}

#[test]
fn a_source_that_ends_early() {
    let file = file(SOURCE, &[RawOp::copy(&block(), &[(9, 1)])]);
    refused!(common::apply(&file, &[1; 4096][..]), Error::ReadSource { at: 36864, .. });
}
