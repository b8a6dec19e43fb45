//! What we write, read by binutils and GNU cpio; the stub is systemd's.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use coracle_uki::initramfs::Archive;
use coracle_uki::{Sections, Stub, Uki, assemble};

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const SBAT: &[u8] = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n";

fn output(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").env("TZ", "UTC").output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the tool prints text")
}

/// Lengths around the alignments: 1, an exact multiple of 512, more than a page.
fn sections<'a>(linux: &'a [u8], initrd: &'a [u8], sbat: Option<&'a [u8]>) -> Sections<'a> {
    Sections {
        osrel: b"ID=coracle\nVERSION_ID=1.2.3\n",
        cmdline: &[b'q'; 512],
        uname: b"6",
        sbat,
        linux,
        initrd: Some(initrd),
    }
}

#[test]
fn binutils_finds_every_section_as_given() {
    let stub_file = fs::read(STUB).expect("the stub is installed");
    let stub = Stub::parse(&stub_file).expect("the stub is sound");
    let linux: Vec<u8> = (0..100_001u32).map(|i| (i * 7) as u8).collect();
    let initrd = vec![0x5a; 4097];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.efi");
    for sbat in [None, Some(SBAT), Some([b's'; 5000].as_slice())] {
        let sections = sections(&linux, &initrd, sbat);
        let image = assemble(&stub, &sections).expect("it assembles");
        assert_eq!(image, assemble(&stub, &sections).unwrap(), "twice the same");
        fs::write(&path, &image).unwrap();

        let listing = output(Command::new("objdump").arg("-h").arg(&path));
        let original = Uki::parse(&stub_file).unwrap();
        let mut expected: Vec<(&str, &[u8])> = original
            .sections()
            .iter()
            .filter(|s| s.name != ".sbat" || sbat.is_none())
            .map(|s| (s.name.as_str(), s.data))
            .collect();
        expected.extend([
            (".osrel", sections.osrel),
            (".cmdline", sections.cmdline),
            (".uname", sections.uname),
        ]);
        expected.extend(sbat.map(|sbat| (".sbat", sbat)));
        expected.extend([(".linux", linux.as_slice()), (".initrd", initrd.as_slice())]);

        let listed: Vec<(String, usize)> = listing.lines().filter_map(listed_section).collect();
        let sizes: Vec<(String, usize)> =
            expected.iter().map(|(name, data)| ((*name).to_owned(), data.len())).collect();
        assert_eq!(listed, sizes, "{listing}");

        let uki = Uki::parse(&image).expect("it reads back");
        for (name, data) in expected {
            assert_eq!(uki.section(name), Some(data), "{name}");
            if sections_of_ours(name) {
                assert_eq!(extracted(&path, name), data, "{name}");
            }
        }
        let private = output(Command::new("objdump").arg("-p").arg(&path));
        let end = uki.sections().iter().map(|s| s.vma + s.size).max().unwrap().next_multiple_of(4096);
        assert!(private.contains(&format!("SizeOfImage\t\t{end:08x}")), "{private}");
        assert_eq!(image.len() % 512, 0);
    }
}

fn sections_of_ours(name: &str) -> bool {
    [".osrel", ".cmdline", ".uname", ".sbat", ".linux", ".initrd"].contains(&name)
}

/// `  0 .text  0000bff0  …` of objdump: the name and the size.
fn listed_section(line: &str) -> Option<(String, usize)> {
    let mut words = line.split_whitespace();
    words.next()?.parse::<u32>().ok()?;
    let name = words.next()?;
    Some((name.to_owned(), usize::from_str_radix(words.next()?, 16).ok()?))
}

fn extracted(image: &Path, name: &str) -> Vec<u8> {
    let out = image.with_extension("section");
    let only = format!("--only-section={name}");
    output(Command::new("objcopy").args(["-O", "binary", &only]).arg(image).arg(&out));
    fs::read(out).unwrap()
}

fn stage1() -> Vec<u8> {
    let mut archive = Archive::new();
    archive
        .directory("dev", 0o755)
        .and_then(|a| a.char_device("dev/console", 0o600, 5, 1))
        .and_then(|a| a.directory("root", 0o700))
        .and_then(|a| a.file("init", 0o755, b"odd"))
        .and_then(|a| a.file("empty", 0o444, b""))
        .and_then(|a| a.symlink("link", "root"))
        .expect("all entries are taken");
    archive.finish()
}

#[test]
fn cpio_lists_and_unpacks_the_archive() {
    let bytes = stage1();
    assert_eq!(bytes, stage1(), "twice the same");
    assert_eq!(bytes.len() % 512, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stage1.cpio");
    fs::write(&path, &bytes).unwrap();

    let listing = output(Command::new("cpio").args(["-itvn", "--quiet", "-F"]).arg(&path));
    let lines: Vec<String> =
        listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 2 0 0 0 Jan 1 1970 dev",
            "crw------- 1 0 0 5, 1 Jan 1 1970 dev/console",
            "drwx------ 2 0 0 0 Jan 1 1970 root",
            "-rwxr-xr-x 1 0 0 3 Jan 1 1970 init",
            "-r--r--r-- 1 0 0 0 Jan 1 1970 empty",
            "lrwxrwxrwx 1 0 0 4 Jan 1 1970 link -> root",
        ]
    );

    let (unpacked, said) = unpacked(&bytes);
    assert_eq!((unpacked.as_slice(), said.as_str()), (b"odd".as_slice(), ""));
}

#[test]
fn cpio_misses_no_flipped_byte_of_a_file() {
    let mut bytes = stage1();
    let at = bytes.windows(3).position(|window| window == b"odd").unwrap();
    bytes[at] ^= 0x20;
    let (_, said) = unpacked(&bytes);
    assert!(said.contains("checksum error"), "{said}");
}

/// `init` out of the archive, and what cpio says of it.
fn unpacked(bytes: &[u8]) -> (Vec<u8>, String) {
    let mut cpio = Command::new("cpio")
        .args(["-i", "--to-stdout", "--quiet", "init"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cpio starts");
    cpio.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = cpio.wait_with_output().unwrap();
    (output.stdout, String::from_utf8(output.stderr).unwrap())
}
