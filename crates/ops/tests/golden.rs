//! One small file, byte by byte: what was published stays readable.

mod common;

use common::{apply, delta_file, header, small_example};
use coracle_ops::Kind;

const FILE: &[u8] = include_bytes!("golden/small.ops");

#[test]
fn the_file_gives_its_target() {
    let (source, target) = small_example();
    assert!(apply(FILE, &source[..]).unwrap() == target);
}

#[test]
fn it_has_every_kind_of_operation() {
    let header = header(FILE).unwrap();
    for kind in [Kind::Copy, Kind::Zero, Kind::Zstd, Kind::Prefix, Kind::Bsdiff] {
        assert!(header.ops().iter().any(|op| op.kind == kind), "{kind:?} in {:#?}", header.ops());
    }
}

/// Another version of zstd, or a better builder, may make other bytes: then this file is made anew, with `OPS_GOLDEN` set to its
/// path, in a commit that says so. The test above must hold before that.
#[test]
fn the_builder_makes_the_same_bytes_again() {
    let (source, target) = small_example();
    let file = delta_file(&source, &target);
    if let Some(path) = std::env::var_os("OPS_GOLDEN") {
        std::fs::write(path, &file).unwrap();
    }
    assert!(file == FILE, "{} bytes instead of {}", file.len(), FILE.len());
}
