//! The reader against what mtools write, and against bytes that nobody should have written.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use coracle_fat::read::{Entry, Error, Image, Kind, Limits, Listing};
use coracle_fat::{MIN_LEN, Volume, write};
use proptest::prelude::*;

const UKI: &str = "EFI/Linux/coracle_1.2.3+3-0.efi";

/// Where things are on a volume of the smallest length: 32 reserved sectors and two tables of 514 before the clusters.
const TABLE: usize = 36 * 512;

fn stdout_of(command: &mut Command) -> Vec<u8> {
    let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn list(bytes: &[u8]) -> Result<Listing, Error> {
    Ok(Image::open(Cursor::new(bytes), bytes.len() as u64)?.list(Limits::default()))
}

fn own_volume() -> Vec<u8> {
    let mut out = Cursor::new(vec![0; MIN_LEN as usize]);
    let uki = vec![7; 9000];
    let files: [(&str, &[u8]); 3] = [(UKI, &uki), ("EFI/BOOT/BOOTX64.EFI", b"loader"), ("empty", b"")];
    write(&mut out, &Volume { len: MIN_LEN, id: 1, label: *b"ESP        ", files: &files }).unwrap();
    out.into_inner()
}

fn position(volume: &[u8], what: &[u8]) -> usize {
    volume.windows(what.len()).position(|window| window == what).unwrap()
}

fn shown(listing: &Listing) -> Vec<String> {
    listing.faults.iter().map(ToString::to_string).collect()
}

fn mtool(program: &str, image: &Path, arguments: &[&str], input: &[u8]) {
    let mut command = Command::new(program);
    // The names are UTF-8, whatever the host speaks.
    command.arg("-i").arg(image).args(arguments).env("LC_ALL", "C.UTF-8").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}");
}

#[test]
fn what_mtools_put_there_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for sectors_per_cluster in ["1", "8", "16"] {
        let image = folder.path().join(sectors_per_cluster);
        File::create(&image).unwrap().set_len(1 << 30).unwrap();
        mtool("mformat", &image, &["-F", "-c", sectors_per_cluster, "::"], &[]);
        mtool("mmd", &image, &["::/EFI", "::/EFI/Linux", "::/gone"], &[]);
        let mut files: Vec<(String, Vec<u8>)> = (0..40u8)
            .map(|n| (format!("EFI/Linux/entry number {n}.efi"), vec![n; usize::from(n) * 700]))
            .collect();
        files.push(("lower.txt".into(), b"case bits".to_vec()));
        files.push(("Schläge ♥.txt".into(), b"not ASCII".to_vec()));
        for (path, content) in &files {
            mtool("mcopy", &image, &["-", &format!("::/{path}")], content);
        }
        // In the middle, so that what is written next is scattered.
        for removed in [7, 9] {
            let (path, _) = files.remove(removed);
            mtool("mdel", &image, &[&format!("::/{path}")], &[]);
        }
        mtool("mrd", &image, &["::/gone"], &[]);
        files.push(("scattered".into(), (0..200_000u32).map(|n| (n / 3) as u8).collect()));
        mtool("mcopy", &image, &["-", "::/scattered"], &files.last().unwrap().1);

        let mut volume = Image::open(File::open(&image).unwrap(), 1 << 30).unwrap();
        let listing = volume.list(Limits::default());
        assert_eq!(shown(&listing), [""; 0]);
        let is_file = |entry: &&Entry| entry.kind != Kind::Folder;
        let mut got: Vec<_> =
            listing.entries.iter().filter(is_file).map(|entry| entry.path.clone()).collect();
        let mut want: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
        got.sort();
        want.sort();
        assert_eq!(got, want);
        for (path, content) in &files {
            let entry = listing.entries.iter().find(|entry| entry.path == *path).unwrap();
            assert!(volume.content(entry, 1 << 20).unwrap() == *content, "{path}");
            if content.len() > 1 {
                assert!(matches!(volume.content(entry, 1), Err(Error::Limit { .. })));
            }
        }
    }
}

#[test]
fn own_volumes_read_as_mtools_read_them() {
    let bytes = own_volume();
    let mut volume = Image::open(Cursor::new(&bytes), MIN_LEN).unwrap();
    let listing = volume.list(Limits::default());
    assert_eq!(shown(&listing), [""; 0]);
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("esp");
    std::fs::write(&image, &bytes).unwrap();
    let said = stdout_of(Command::new("mdir").args(["-b", "-/", "-i"]).arg(&image).arg("::/"));
    let mut theirs: Vec<_> =
        String::from_utf8(said).unwrap().lines().map(|l| l[3..].trim_end_matches('/').to_owned()).collect();
    let mut ours: Vec<_> = listing.entries.iter().map(|entry| entry.path.clone()).collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
    let uki = listing.entries.iter().find(|entry| entry.path == UKI).unwrap();
    let theirs = stdout_of(Command::new("mtype").arg("-i").arg(&image).arg(format!("::/{UKI}")));
    assert_eq!(volume.content(uki, 1 << 20).unwrap(), theirs);
}

#[test]
fn each_fault_is_named_and_the_rest_still_listed() {
    let good = own_volume();
    // The UKI is the only thing with two long parts; its entry stands behind them.
    let entry = position(&good, b"CORACL~1EFI");
    let cluster = u16::from_le_bytes([good[entry + 26], good[entry + 27]]);
    let link = TABLE + usize::from(cluster) * 4;
    let linux = position(&good, b".          ") + 32;
    assert_eq!(good[TABLE], 0xf8, "the first table is where this test takes it to be");
    type Bend<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>), &'a str);
    let put = |at: usize, value: u32| {
        move |f: &mut Vec<u8>| {
            for table in [0, (good_table_len() * 512) as usize] {
                f[at + table..at + table + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
    };
    let cases: [Bend<'_>; 9] = [
        ("second table", &|f| f[link] ^= 1, "second differs"),
        ("copy of the boot sector", &|f| f[6 * 512 + 71] ^= 1, "its copy at byte 3072 differs"),
        ("media byte", &|f| f[TABLE] = 0, "media byte"),
        ("chain to nowhere", &put(link, 0x0fff_0000), "leaves the volume"),
        ("chain to itself", &put(link, cluster.into()), "something else too"),
        ("short chain", &put(link, 0x0fff_ffff), "length is not that"),
        ("length", &|f| f[entry + 29] = 0xff, "length is not that"),
        ("checksum of a long name", &|f| f[entry] = b'X', "does not belong"),
        ("parent", &|f| f[linux + 26] ^= 1, "points elsewhere"),
    ];
    for (what, bend, says) in cases {
        let mut bytes = good.clone();
        bend(&mut bytes);
        let listing = list(&bytes).unwrap();
        assert!(shown(&listing).iter().any(|fault| fault.contains(says)), "{what}: {:?}", shown(&listing));
        assert!(listing.entries.iter().any(|entry| entry.path == "empty"), "{what}");
    }
    let mut state = good.clone();
    state[65] = 1;
    assert_eq!(shown(&list(&state).unwrap()), [""; 0], "a mounted volume's mark is no fault");
}

/// Sectors of a table of the smallest volume.
fn good_table_len() -> u32 {
    let volume = own_volume();
    u32::from_le_bytes(volume[36..40].try_into().unwrap())
}

#[test]
fn limits_end_the_listing() {
    let bytes = own_volume();
    let mut volume = Image::open(Cursor::new(&bytes), MIN_LEN).unwrap();
    for limits in [Limits { entries: 2, depth: 9 }, Limits { entries: 99, depth: 1 }] {
        let listing = volume.list(limits);
        assert!(matches!(listing.faults[..], [Error::Limit { .. }, ..]), "{limits:?}");
        assert!(listing.entries.len() <= limits.entries);
    }
    assert!(matches!(Image::open(Cursor::new(&bytes), MIN_LEN - 512), Err(Error::BootSector { .. })));
    assert!(matches!(Image::open(Cursor::new(&bytes[..TABLE]), MIN_LEN), Err(Error::Read { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Edits where the structures are: boot sector, first table, the first clusters.
    #[test]
    fn changed_volumes_never_panic_and_stay_within_limits(
        edits in proptest::collection::vec((0usize..3, 0usize..4096, any::<u8>()), 1..12)
    ) {
        let mut bytes = own_volume();
        let clusters = position(&bytes, b"ESP        \x08");
        for (place, at, value) in edits {
            bytes[[at % 512, TABLE + at, clusters + at * 8 % 40_960][place]] = value;
        }
        let limits = Limits { entries: 50, depth: 4 };
        if let Ok(mut volume) = Image::open(Cursor::new(&bytes), MIN_LEN) {
            let listing = volume.list(limits);
            prop_assert!(listing.entries.len() <= limits.entries);
            for entry in &listing.entries {
                if let Ok(content) = volume.content(entry, 1 << 20) {
                    prop_assert!(content.len() <= 1 << 20);
                }
            }
        }
    }
}
