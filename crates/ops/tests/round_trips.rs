//! What goes in comes out: any edits, any ends, from any operation on, and never from another source.

mod common;

use std::ops::Range;

use common::{Random, apply, apply_from, delta_file, full_file, header, image, plausible, small_example};
use coracle_ops::build::{Image, delta};
use coracle_ops::{Error, Hash, Kind, MAX_BODY, MAX_OUTPUT, Request};
use proptest::prelude::*;

/// One change between two images; places and lengths are taken modulo what there is.
#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, usize),
    Delete(usize, usize),
    Move(usize, usize, usize),
    Flip(usize),
    Zeros(usize, usize),
    Repeat(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (at, len) = (0_usize..1 << 20, 1_usize..40_000);
    prop_oneof![
        (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Insert(at, len)),
        (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Delete(at, len)),
        (at.clone(), len.clone(), at.clone()).prop_map(|(at, len, to)| Edit::Move(at, len, to)),
        at.clone().prop_map(Edit::Flip),
        (at.clone(), (1_usize..30).prop_map(|blocks| blocks * 4096))
            .prop_map(|(at, len)| Edit::Zeros(at, len)),
        (at, len).prop_map(|(at, len)| Edit::Repeat(at, len)),
    ]
}

fn part(len: usize, at: usize, want: usize) -> Range<usize> {
    let at = at % (len + 1);
    at..(at + want).min(len)
}

fn edited(source: &[u8], edits: &[Edit], random: &mut Random) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for edit in edits {
        let len = bytes.len();
        match *edit {
            Edit::Insert(at, want) => drop(bytes.splice(part(len, at, 0), random.bytes(want))),
            Edit::Delete(at, want) => drop(bytes.drain(part(len, at, want))),
            Edit::Move(at, want, to) => {
                let moved: Vec<u8> = bytes.drain(part(len, at, want)).collect();
                let to = part(bytes.len(), to, 0);
                bytes.splice(to, moved);
            }
            Edit::Flip(at) => bytes[part(len, at, 1)].iter_mut().for_each(|byte| *byte ^= 1),
            Edit::Zeros(at, want) => bytes[part(len, at, want)].fill(0),
            Edit::Repeat(at, want) => {
                let repeated = bytes[part(len, at, want)].to_vec();
                bytes.extend(repeated);
            }
        }
    }
    if bytes.is_empty() { vec![1] } else { bytes }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn edits(seed in 1_u64.., len in 1_usize..200_000, edits in proptest::collection::vec(edit(), 0..6)) {
        let mut random = Random(seed);
        let source = plausible(&mut random, len);
        let target = edited(&source, &edits, &mut random);
        let file = delta_file(&source, &target);
        prop_assert!(apply(&file, &source[..]).unwrap() == target);
        let full = full_file(&target);
        prop_assert!(apply(&full, &[][..]).unwrap() == target);
        prop_assert!(file.len() <= full.len() + 4096, "a delta of {} bytes, {} in full", file.len(), full.len());
    }

    #[test]
    fn requests_cover_what_is_left(seed in 1_u64.., limit in 0_u64..10_000) {
        let (source, target) = small_example();
        let header = header(&delta_file(&source, &target)).unwrap();
        let from = Random(seed).below(header.ops().len());
        let requests: Vec<Request> = header.requests(from, limit).collect();
        let (mut op, mut at) = (from, header.ops()[from].body_at);
        for request in &requests {
            prop_assert_eq!((request.ops.start, request.bytes.start), (op, at));
            prop_assert!(!request.ops.is_empty());
            prop_assert!(request.bytes.end - at <= limit || request.ops.len() == 1);
            (op, at) = (request.ops.end, request.bytes.end);
        }
        prop_assert_eq!((op, at), (header.ops().len(), header.file_len()));
    }
}

#[test]
fn ends_that_are_no_blocks_and_images_of_one_byte() {
    let bytes = plausible(&mut Random(3), 3 * 4096 + 7);
    for target in [1, 4095, 4096, 4097, bytes.len()] {
        for source in [1, 4095, 4096, 4097, bytes.len()] {
            let (source, target) = (&bytes[..source], &bytes[..target]);
            assert!(apply(&delta_file(source, target), source).unwrap() == target);
        }
        assert!(apply(&full_file(&bytes[..target]), &[][..]).unwrap() == bytes[..target]);
        assert!(apply(&full_file(&vec![0; target]), &[][..]).unwrap() == vec![0; target]);
    }
}

#[test]
fn bytes_that_do_not_shrink_stay_within_the_caps() {
    let target = Random(4).bytes(2 * MAX_OUTPUT + 5);
    let file = full_file(&target);
    let header = header(&file).unwrap();
    assert!(
        header.ops().iter().all(|op| (op.len as usize) <= MAX_OUTPUT && (op.body_len as usize) <= MAX_BODY)
    );
    assert!(apply(&file, &[][..]).unwrap() == target);
}

#[test]
fn an_image_that_only_moved_has_no_bodies() {
    let source = Random(5).bytes(64 * 4096);
    let target = [&source[20 * 4096..], &source[..20 * 4096]].concat();
    let header = header(&delta_file(&source, &target)).unwrap();
    assert!(header.ops().iter().all(|op| op.kind == Kind::Copy), "{:?}", header.ops());
    assert_eq!(
        header.requests(0, u64::MAX).map(|request| request.bytes.end - request.bytes.start).sum::<u64>(),
        0
    );
    assert_eq!(header.source(), Some(image(&source).identity));
    assert!(matches!(header.target().hash, Hash::Sha256(_)));
}

/// As a kernel image's: the header alone says that other bytes are meant than the image's own.
#[test]
fn an_unpacked_form_says_so() {
    let (source, target) = small_example();
    let [old, new] = [&source, &target].map(|bytes| Image::unpacked(&bytes[..], bytes.len() as u64).unwrap());
    let mut bodies = Vec::new();
    let made = delta(&old, &new, &mut bodies).unwrap();
    let file = [made.head, bodies].concat();
    let header = header(&file).unwrap();
    assert_eq!((header.source(), header.target()), (Some(old.identity), new.identity));
    assert!(matches!(header.target().hash, Hash::Unpacked(_)));
    assert!(apply(&file, &source[..]).unwrap() == target);
}

#[test]
fn any_operation_is_a_place_to_resume_at() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    let header = header(&file).unwrap();
    for from in 0..=header.ops().len() {
        let done = header.ops().get(from).map_or(target.len(), |op| op.at as usize);
        let mut out = vec![0xee; target.len()];
        out[..done].copy_from_slice(&target[..done]);
        apply_from(from, &file, &header, &source[..], &mut out).unwrap();
        assert!(out == target, "from {from}");
        // Power went between a write and its note: some are done again.
        apply_from(from / 2, &file, &header, &source[..], &mut out).unwrap();
        assert!(out == target, "from {from}, again from {}", from / 2);
    }
}

#[test]
fn another_source_ends_before_anything_is_wrong() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    let header = header(&file).unwrap();
    let other = Random(6).bytes(source.len());
    for op in 0..header.ops().len() {
        let mut out = vec![0xee; target.len()];
        let mut applier = coracle_ops::Applier::new(&header, &other[..]);
        let result = applier.apply(op, common::body(&file, &header, op), &target[..]);
        let reads = header.ops()[op].kind.has_extents();
        match result {
            Ok(output) => {
                assert!(!reads, "operation {op} should have failed");
                out[output.at as usize..][..output.bytes.len()].copy_from_slice(output.bytes);
            }
            Err(Error::Output { .. } | Error::Unpack { .. }) => assert!(reads),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn the_same_images_give_the_same_file() {
    let (source, target) = small_example();
    assert!(delta_file(&source, &target) == delta_file(&source, &target));
    assert!(full_file(&target) == full_file(&target));
}
