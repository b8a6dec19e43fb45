//! Every container, unpacked or compared by the tool that everyone has: qemu-img and zstd.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_formats::{Error, Format, Identity};

const MIB: u64 = 1 << 20;
const IDENTITY: Identity = Identity { uuid: *b"\xff\xff\xff\xffidentity0123", timestamp: 1_760_000_000 };

/// A raw image with holes and, at odd places, data that does not compress.
fn sparse(folder: &Path, len: u64, data: &[(u64, usize)]) -> PathBuf {
    let path = folder.join("disk.raw");
    let mut file = File::create(&path).unwrap();
    file.set_len(len).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for (offset, size) in data {
        let bytes: Vec<u8> = (0..*size)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8 | 1
            })
            .collect();
        file.seek(SeekFrom::Start(*offset)).unwrap();
        file.write_all(&bytes).unwrap();
    }
    path
}

/// 64 MiB: first and last byte, across clusters and across the 32 MiB of a VMDK grain table, a whole cluster.
fn disk(folder: &Path) -> PathBuf {
    let data = [
        (0, 1),
        (511, 2),
        (65_535, 2),
        (3 * MIB + 17, 200_001),
        (32 * MIB - 3, 7),
        (40 * MIB, 65_536),
        (64 * MIB - 1, 1),
    ];
    sparse(folder, 64 * MIB, &data)
}

fn convert(format: Format, raw: &Path) -> PathBuf {
    let path = raw.with_extension(format.extension());
    let len = raw.metadata().unwrap().len();
    let mut out = File::create(&path).unwrap();
    let written =
        format.write(&mut File::open(raw).unwrap(), len, &mut out, &IDENTITY).expect("it is written");
    assert_eq!(written, path.metadata().unwrap().len(), "{format:?}");
    path
}

fn run(program: &str, args: &[&str], paths: &[&Path]) -> String {
    let output = Command::new(program).args(args).args(paths).output().expect("the tool starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Equal in content and, since nothing else is printed, in size; a bad checksum would only be a warning.
fn compare(format: &str, raw: &Path, container: &Path) {
    let mut command = Command::new("qemu-img");
    let output =
        command.args(["compare", "-f", "raw", "-F", format]).args([raw, container]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&text), "Images are identical.\n");
}

#[test]
fn every_format_is_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let raw = sparse(folder.path(), 4 * MIB, &[(77, 3), (MIB + 9, 100_000), (4 * MIB - 1, 1)]);
    for format in Format::ALL {
        let first = std::fs::read(convert(format, &raw)).unwrap();
        assert!(first == std::fs::read(convert(format, &raw)).unwrap(), "{format:?}");
    }
}

#[test]
fn qcow2_is_sound_and_equal() {
    let folder = tempfile::tempdir().unwrap();
    // The second is no whole number of clusters, the third holds nothing, the last one needs several L2 tables
    // of which one is left out.
    for (len, data) in [
        (64 * MIB, vec![]),
        (MIB + 512, vec![(MIB, 512)]),
        (MIB, vec![]),
        (1088 * MIB, vec![(5, 1), (1024 * MIB + 9, 70_000), (1087 * MIB, 3)]),
    ] {
        let raw = if len == 64 * MIB { disk(folder.path()) } else { sparse(folder.path(), len, &data) };
        let qcow2 = convert(Format::Qcow2, &raw);
        run("qemu-img", &["check", "-f", "qcow2"], &[&qcow2]);
        compare("qcow2", &raw, &qcow2);
        assert!(qcow2.metadata().unwrap().len() < 2 * MIB, "{len}");
    }
}

#[test]
fn vmdk_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    for (len, data) in [
        (64 * MIB, vec![]),
        (MIB + 65_536, vec![(MIB, 65_536)]),
        (MIB, vec![]),
        (256 * MIB, vec![(130 * MIB + 9, 70_000)]),
    ] {
        let raw = if len == 64 * MIB { disk(folder.path()) } else { sparse(folder.path(), len, &data) };
        let vmdk = convert(Format::Vmdk, &raw);
        compare("vmdk", &raw, &vmdk);
        let info = run("qemu-img", &["info", "-f", "vmdk"], &[&vmdk]);
        assert!(info.contains("create type: streamOptimized"), "{info}");
        assert!(vmdk.metadata().unwrap().len() < MIB, "{len}");
    }
}

#[test]
fn vhd_is_equal_and_keeps_its_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let raw = disk(folder.path());
    let vhd = convert(Format::Vhd, &raw);
    compare("vpc", &raw, &vhd);
    let metadata = vhd.metadata().unwrap();
    assert_eq!(metadata.len(), 64 * MIB + 512);
    assert!(metadata.blocks() * 512 < 16 * MIB);
}

#[test]
fn zstd_unpacks_without_options_and_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let raw = disk(folder.path());
    let packed = convert(Format::RawZst, &raw);
    assert!(packed.metadata().unwrap().len() < MIB);
    let out = folder.path().join("unpacked");
    for options in [["-d", "-q", "-f"].as_slice(), &["-d", "-q", "-f", "--long=27"]] {
        let to = [options, &["-o", out.to_str().unwrap()]].concat();
        run("zstd", &to, &[&packed]);
        run("cmp", &[], &[&raw, &out]);
    }
    let listing = run("zstd", &["-l", "-v"], &[&packed]);
    assert!(listing.contains("XXH64") && listing.contains("(67108864 B)"), "{listing}");
}

#[test]
fn lengths_a_format_cannot_hold_are_refused() {
    for (format, len) in [
        (Format::Qcow2, 0),
        (Format::Qcow2, 513),
        (Format::Vmdk, 0),
        (Format::Vmdk, 65_536 + 512),
        (Format::Vhd, 0),
        (Format::Vhd, MIB + 512),
    ] {
        let error = write_empty(format, len);
        assert!(matches!(error, Error::Unaligned { len: named, .. } if named == len), "{format:?}: {error}");
    }
    for (format, len) in
        [(Format::Qcow2, (16 << 40) + 512), (Format::Vmdk, (2 << 40) + 65_536), (Format::Vhd, 2041 << 30)]
    {
        let error = write_empty(format, len);
        assert!(matches!(error, Error::TooLong { len: named, .. } if named == len), "{format:?}: {error}");
    }
    for format in Format::ALL {
        assert!(matches!(write_empty(format, MIB), Error::Read { offset: 0, .. }), "{format:?}");
    }
}

fn write_empty(format: Format, len: u64) -> Error {
    let mut nothing = std::io::Cursor::new([]);
    let mut out = std::io::Cursor::new(Vec::new());
    format.write(&mut nothing, len, &mut out, &IDENTITY).expect_err("it is refused")
}
