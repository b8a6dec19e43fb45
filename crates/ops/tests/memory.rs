//! The heap that reading and applying takes, for the largest file that the caps allow. Alone in its program: it counts everything.

mod common;

use common::raw::*;
use common::sha256;
use coracle_fence::allocator::Counted;
use coracle_ops::{
    Applier, DECODER, Header, MAX_EXTENTS, MAX_HEADER, MAX_OLD, MAX_OPS, MAX_OUTPUT, MEMORY, PATCH_SLACK,
    Prologue,
};

#[global_allocator]
static HEAP: Counted = Counted::new();

/// As many operations and extents as there may be, and one of each kind that takes most: 2 MiB of old bytes and 1 MiB out, the
/// patch with the longest control words that it may have.
fn largest() -> Vec<u8> {
    let output = vec![5; MAX_OUTPUT];
    let old: Vec<u8> = vec![5; MAX_OLD];
    // Words without effect, three bytes each.
    let idle = (PATCH_SLACK - 64) / 3;
    let mut control = vec![(0, 0, 0); idle];
    control.push((MAX_OUTPUT as u32, 0, 0));
    let plain = patch(&control, &vec![0; MAX_OUTPUT], &[]);
    assert!(plain.len() > MAX_OUTPUT + PATCH_SLACK - 128);
    let all = (0, (MAX_OLD / 4096) as u32);
    let mut ops = vec![
        RawOp::packed(ZSTD, &output, &[], pack(&output, &[])),
        RawOp::packed(PREFIX, &output, &[all], pack(&output, &old)),
        RawOp::packed(BSDIFF, &output, &[all], pack(&plain, &[])),
        RawOp::copy(&output, &[(0, 256)]),
        RawOp::zero(MAX_OUTPUT as u32),
    ];
    let left = MAX_OPS - ops.len();
    let extents = (MAX_EXTENTS - 3) / left;
    let apart: Vec<_> = (0..extents as u32).map(|_| (1, 1)).collect();
    ops.extend(vec![RawOp::copy(&vec![5; extents * 4096], &apart); left]);
    file(MAX_OLD as u64, &ops)
}

#[test]
fn the_largest_file_fits() {
    let file = largest();
    let head_len = Prologue::parse(&file).unwrap().header_len();
    let digest = sha256(&file[..head_len]);
    let source = vec![5_u8; MAX_OLD];

    let before = HEAP.used();
    let _ = HEAP.most();
    let header = Header::parse(&file[..head_len], &digest).unwrap();
    let parsing = HEAP.most() - before + head_len;
    let held = HEAP.used() - before;
    assert_eq!(header.ops().len(), MAX_OPS);
    // A head as long as it may be, which this one is too regular to have.
    assert!(parsing + MAX_HEADER - head_len <= MEMORY, "{parsing} bytes to read the header");

    let mut applier = Applier::new(&header, &source[..]);
    for op in 0..5 {
        let at = header.ops()[op].body_at as usize;
        let body = file[at..at + header.ops()[op].body_len as usize].to_vec();
        applier.apply(op, &body, &source[..]).unwrap();
    }
    let applying = HEAP.most() - before;
    let buffers = 2 * MAX_OUTPUT + MAX_OLD + PATCH_SLACK;
    assert!(applying <= held + buffers + DECODER + (1 << 16), "{applying} bytes, {held} of them the header");
    // Bodies as long as they may be, which these are too regular to have.
    let worst = applying + coracle_ops::MAX_BODY;
    println!("header {held}, reading it {parsing}, applying {applying}, with the longest body {worst}");
    assert!(worst <= MEMORY, "{worst} bytes");
}
