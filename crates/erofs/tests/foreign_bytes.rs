//! The reader meets bytes that nobody meant well.

use std::io::Cursor;

use coracle_erofs::read::{Error, Image, Limits};
use coracle_erofs::{Label, Options, write};
use coracle_tree::{Content, Meta, Mode, Tree};
use proptest::prelude::*;

const LIMITS: Limits = Limits { entries: 1000, path: 4096 };

fn image() -> Vec<u8> {
    let dir = || Meta::root(Mode::EXECUTABLE);
    let mut tree = Tree::new(dir());
    tree.dir("d", dir()).unwrap();
    let mut meta = Meta::root(Mode::READABLE);
    meta.xattrs.insert(b"user.a".to_vec(), b"value".to_vec());
    tree.file("d/f", meta, Content::from(vec![3; 5000])).unwrap();
    tree.symlink("l", Meta::root(Mode::OPEN), "d/f").unwrap();
    let options = Options { uuid: [1; 16], build_time: 1, volume_label: Label::default() };
    let mut out = Cursor::new(Vec::new());
    write(&tree, &options, &mut out).unwrap();
    out.into_inner()
}

fn list(bytes: Vec<u8>) -> Result<usize, Error> {
    Image::open(Cursor::new(bytes))?.entries(LIMITS).map(|entries| entries.len())
}

#[test]
fn damage_is_named() {
    let damaged = |at: usize, byte: u8| {
        let mut bytes = image();
        bytes[at] = byte;
        list(bytes).unwrap_err()
    };
    assert!(matches!(damaged(1024, 0), Error::Superblock { .. }));
    assert!(matches!(damaged(1024 + 64, b'x'), Error::Checksum { .. }));
    assert!(matches!(damaged(1024 + 12, 9), Error::Unsupported { .. }));
    assert!(matches!(damaged(1024 + 80, 2), Error::Unsupported { .. }));
    assert!(matches!(damaged(4096, 2 << 1 | 8), Error::Unsupported { .. }));
    assert!(matches!(damaged(4096 + 5, 0), Error::Inode { .. }));
    assert!(matches!(list(image()[..8192].to_vec()), Err(Error::Superblock { .. })));
    assert!(matches!(list(Vec::new()), Err(Error::Superblock { .. })));
    let few = Limits { entries: 3, ..LIMITS };
    let refused = Image::open(Cursor::new(image())).unwrap().entries(few);
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    assert_eq!(list(image()).unwrap(), 4);
}

#[test]
fn a_directory_inside_itself_is_refused() {
    let mut bytes = image();
    // Behind the root's 32-byte inode lie the entries `.`, `..` and `d`, of 12 bytes each.
    bytes[4096 + 32 + 24..][..8].copy_from_slice(&128_u64.to_le_bytes());
    let refused = list(bytes);
    assert!(
        matches!(refused, Err(Error::Inode { nid: 128, what: "a directory with two names" })),
        "{refused:?}"
    );
}

#[test]
fn data_is_read_at_most_once() {
    let clean = image();
    let entries = Image::open(Cursor::new(clean.clone())).unwrap().entries(LIMITS).unwrap();
    let file = entries.iter().find(|entry| entry.path == b"d/f").unwrap();
    for size in [clean.len() as u32, u32::MAX] {
        let mut bytes = clean.clone();
        bytes[file.inode.nid as usize * 32 + 8..][..4].copy_from_slice(&size.to_le_bytes());
        let refused = list(bytes);
        assert!(matches!(refused, Err(Error::Inode { nid, .. }) if nid == file.inode.nid), "{refused:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..12_288)) {
        let _refused = list(bytes.clone());
        if let Some(fields) = bytes.get_mut(1024..4096) {
            fields.copy_from_slice(&image()[1024..4096]);
        }
        let _refused = list(bytes);
    }

    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((4096_usize..16_384, any::<u8>()), 1..8)) {
        let mut bytes = image();
        for (at, byte) in flips {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _answer = list(bytes);
    }
}
