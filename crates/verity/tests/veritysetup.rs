//! Our hash areas against cryptsetup's: it accepts ours, and its own are the same bytes.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use coracle_verity::{BLOCK, DataBlocks, Salt, Superblock, build, hash_area_len, verify};

const SALT_HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const UUID: &str = "6d1f6c4e-0c3b-4b7c-9d3e-1f2a3b4c5d6e";

/// Sizes at and around the edges of a level.
const SIZES: [u64; 5] = [1, 2, 128, 129, 128 * 128 + 1];

#[test]
fn veritysetup_makes_the_same_bytes_and_accepts_ours() {
    for blocks in SIZES {
        for salt_hex in [SALT_HEX, "-"] {
            compare(blocks, salt_hex);
        }
    }
}

fn compare(blocks: u64, salt_hex: &str) {
    let dir = tempfile::tempdir().expect("scratch folder");
    let [data, ours, theirs] = ["data", "ours", "theirs"].map(|name| dir.path().join(name));
    write_data(&data, blocks);

    let superblock = Superblock {
        uuid: unhex(&UUID.replace('-', "")).try_into().expect("16 bytes"),
        data_blocks: DataBlocks::new(blocks).expect("in range"),
        salt: Salt::new(&unhex(salt_hex.trim_matches('-'))).expect("short"),
    };
    let mut out = File::create_new(&ours).expect("create");
    let root = build(File::open(&data).expect("open"), &superblock, &mut out).expect("build");
    let root_hex: String = root.iter().map(|byte| format!("{byte:02x}")).collect();

    let options = ["--salt", salt_hex, "--uuid", UUID];
    let said = veritysetup(&[&["format"], &options[..]].concat(), &[&data, &theirs], None);
    assert!(said.contains(&root_hex), "{blocks} blocks: root hash {root_hex} not in\n{said}");
    let mut want = fs::read(&theirs).expect("read");
    let len = hash_area_len(superblock.data_blocks) as usize;
    assert!(want.len() <= len, "{blocks} blocks: {} is more than {len}", want.len());
    want.resize(len, 0); // without a tree the file ends with the superblock
    assert!(want == fs::read(&ours).expect("read"), "{blocks} blocks, salt {salt_hex}: areas differ");

    veritysetup(&["verify"], &[&data, &ours], Some(&root_hex));
    let open = |path| File::open(path).expect("open");
    verify(&mut open(&data), &mut open(&theirs), &root).expect("theirs holds");
}

/// Blocks that differ from each other, with a zero one among them.
fn write_data(path: &Path, blocks: u64) {
    let bytes: Vec<u8> = (0..blocks)
        .flat_map(|block| [(block.wrapping_mul(0x9e37_79b9) >> 8) as u8, block as u8].repeat(BLOCK / 2))
        .collect();
    fs::write(path, bytes).expect("write data");
}

fn veritysetup(args: &[&str], files: &[&Path], root: Option<&str>) -> String {
    let output =
        Command::new("veritysetup").args(args).args(files).args(root).output().expect("run veritysetup");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "veritysetup {args:?}: {text}");
    text
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
        .collect()
}
