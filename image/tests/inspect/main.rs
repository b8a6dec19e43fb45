//! Inspecting a whole disk: sound in every form, and refused with each thing that can be wrong.

mod disk;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output};

use coracle_formats::{Format, Identity};
use coracle_image::inspect::{Error, RELEASE, Report, SlotContent, inspect};
use coracle_layout::Slot;
use coracle_layout::boot_record::BootRecord;
use coracle_layout::partition::Partition;
use disk::{Disk, ENTRY, start};

const ROOT: Partition = Partition::Root(Slot::A);
const VERITY: Partition = Partition::Verity(Slot::A);

fn faults(path: &Path) -> Vec<String> {
    inspect(path).unwrap().faults.iter().map(ToString::to_string).collect()
}

/// One line begins so, and nothing else is wrong.
fn assert_only(faults: &[String], begin: &str) {
    assert!(matches!(faults, [one] if one.starts_with(begin)), "{begin}: {faults:#?}");
}

#[test]
fn a_sound_disk_is_described() {
    let disk = Disk::new();
    let report = inspect(&disk.path()).unwrap();
    assert_eq!(report.faults, []);
    let labels: Vec<_> = report.partitions.iter().map(|partition| partition.label.as_str()).collect();
    assert_eq!(labels, Partition::ALL.map(Partition::label));
    assert!(report.loader.as_deref().unwrap().starts_with("systemd-boot "));
    let [entry] = &report.entries[..] else { panic!("{:?}", report.entries) };
    assert_eq!((entry.path.as_str(), entry.version.as_deref()), (ENTRY, Some("1.2.3")));
    assert_eq!((entry.assessment, entry.kernel.as_deref()), (Some("indeterminate"), Some("6.12.1 (test)")));
    assert_eq!(
        (entry.root_hash.as_deref(), entry.slot.as_deref()),
        (Some(disk.root_hash.as_str()), Some("A"))
    );
    let contents: Vec<_> = report.slots.iter().map(|slot| (slot.content, slot.names)).collect();
    assert_eq!(contents, [(SlotContent::Sound, Some(3)), (SlotContent::Empty, None)]);
    assert_eq!(report.state.as_ref().unwrap().label, "state");
    let text = report.to_string();
    assert!(
        text.contains("console=ttyS0 panic=-1") && text.ends_with("everything that can be checked holds\n"),
        "{text}"
    );
}

#[test]
fn every_form_is_read_and_a_damaged_container_refused() {
    let disk = Disk::new();
    let len = disk.open().metadata().unwrap().len();
    for format in Format::ALL {
        let path = disk.folder().join(format!("disk.{}", format.extension()));
        let mut out = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let identity = Identity { uuid: [1; 16], timestamp: 0 };
        let written = format.write(&mut disk.open(), len, &mut out, &identity).unwrap();
        let report = inspect(&path).unwrap();
        assert_eq!((report.format, report.disk_bytes), (format.extension(), len));
        assert_eq!(report.faults, [], "{format:?}");

        // In the middle of a compressed form, or cut off. A fixed VHD is the disk itself and a footer: without it, raw.
        let mut byte = [0];
        out.read_exact_at(&mut byte, written / 2).unwrap();
        out.write_all_at(&[byte[0] ^ 0x10], written / 2).unwrap();
        let bent = inspect(&path);
        match format {
            Format::RawZst => assert!(matches!(bent, Err(Error::Decompress { .. })), "{bent:?}"),
            Format::Vmdk => assert!(is_refused(&bent), "{bent:?}"),
            Format::Qcow2 | Format::Vhd => {}
        }
        out.set_len(written / 2).unwrap();
        assert!(is_refused(&inspect(&path)), "{format:?} cut off");
    }
}

fn is_refused(found: &Result<Report, Error>) -> bool {
    found.as_ref().map_or(true, |report| !report.faults.is_empty())
}

#[test]
fn a_flipped_byte_anywhere_that_is_checked_is_one_fault_at_its_place() {
    let disk = Disk::new();
    let len = disk.open().metadata().unwrap().len();
    let cases: &[(u64, &str)] = &[
        (510, "gpt, byte 0: protective MBR:"),
        (512 + 56, "gpt, byte 512: primary table: header checksum"),
        (1024 + 128, "gpt, byte 512: primary table: array checksum"),
        (len - 512 + 56, &format!("gpt, byte {}: backup table: header checksum", len - 512)),
        (len - 33 * 512, &format!("gpt, byte {}: backup table: array checksum", len - 512)),
        (start(Partition::Esp) + 6 * 512 + 71, "esp: boot sector: its copy at byte 3072 differs"),
        (start(ROOT) + 50 * 4096 + 9, "root-a, byte 204800: data block 50 is damaged"),
        (start(ROOT) + (disk.blocks - 1) * 4096, "root-a, byte "),
        (start(VERITY) + 2 * 4096 + 32, "verity-a, byte 8192: tree level 0 block 0 is damaged"),
        (disk.section_at(".linux") + 5000, &format!("esp: {ENTRY}: .linux: its bytes do not match")),
        (disk.section_at(".initrd") + 12, &format!("esp: {ENTRY}: .initrd: ")),
        (disk.section_at(".text") + 100, &format!("esp: {ENTRY}: its header says checksum ")),
        (disk.section_at(".osrel") + 25, &format!("esp: {ENTRY}: .osrel: it names version")),
        (disk.section_at(".uname") + 2, &format!("esp: {ENTRY}: .uname: ")),
        (disk.section_at(".sbat"), &format!("esp: {ENTRY}: .sbat: ")),
        (start(Partition::State) + 1024 + 0x70, "state, byte 1024: superblock: its checksum"),
    ];
    for (at, says) in cases {
        disk.flip(*at);
        assert_only(&faults(&disk.path()), says);
        disk.flip(*at);
    }
    assert_eq!(faults(&disk.path()), [""; 0], "all turned back");
}

#[test]
fn damage_where_hashes_meet_is_told_from_both_sides() {
    let disk = Disk::new();
    let homeless =
        |faults: &[String]| faults[0].starts_with(&format!("esp: {ENTRY}: no slot has its root hash"));
    disk.flip(start(VERITY) + 4096 + 7);
    let found = faults(&disk.path());
    assert!(homeless(&found), "{found:#?}");
    assert_eq!(found[1..], ["verity-a, byte 4096: the top block does not match the root hash"]);
    disk.flip(start(VERITY) + 4096 + 7);

    disk.flip(start(VERITY));
    let found = faults(&disk.path());
    assert_eq!(found[0], "verity-a, byte 0: no verity superblock: signature missing");
    assert!(homeless(&found[1..]), "{found:#?}");
    disk.flip(start(VERITY));

    disk.flip(disk.section_at(".cmdline") + 20);
    let found = faults(&disk.path());
    assert!(found[0].contains(": its header says checksum ") && homeless(&found[1..]), "{found:#?}");
}

#[test]
fn all_faults_come_in_one_report() {
    let disk = Disk::new();
    for block in [3, 40, 41] {
        disk.flip(start(ROOT) + block * 4096 + 100);
    }
    disk.flip(512);
    disk.flip(start(Partition::State) + 1024 + 0x38);
    let mut record = BootRecord::default();
    let write = record.next_write();
    disk.open().write_all_at(&write.bytes, start(Partition::BootRecord) + write.offset).unwrap();
    assert_eq!(inspect(&disk.path()).unwrap().faults.len(), 5);
    disk.flip(start(Partition::BootRecord) + write.offset + 12);
    let begins = [
        "gpt, byte 512",
        "root-a, byte",
        "root-a, byte",
        "root-a, byte",
        "boot-record, byte 4096",
        "state, byte 1024",
    ];
    let found = faults(&disk.path());
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    assert!(found.iter().zip(begins).all(|(fault, begin)| fault.starts_with(begin)), "{found:#?}");
}

#[test]
fn release_json_vouches_for_what_nothing_else_does() {
    let disk = Disk::new();
    let release = disk.folder().join(RELEASE);
    let digest = inspect(&disk.path()).unwrap().entries[0].sha256.clone();
    // The image was built with the name that boots have changed since.
    let settled = "EFI/Linux/coracle_1.2.3+2-1.efi";
    std::fs::write(&release, format!(r#"{{"version":"1.2.3","boot_files":{{"{settled}":"{digest}"}}}}"#))
        .unwrap();
    let report = inspect(&disk.path()).unwrap();
    assert!(report.release_compared && report.faults.is_empty());
    // Words of the stub's code that change places: the checksum is the same.
    let words = [1000, 1002].map(|at| disk.section_at(".text") + at);
    disk.exchange(words);
    assert_only(&faults(&disk.path()), &format!("esp: {settled}: its SHA-256 is"));
    disk.exchange(words);
    std::fs::write(&release, format!(r#"{{"boot_files":{{"EFI/BOOT/GONE.EFI":"{digest}"}}}}"#)).unwrap();
    assert_only(&faults(&disk.path()), "esp: EFI/BOOT/GONE.EFI of release.json is missing");
    std::fs::write(&release, "{}").unwrap();
    assert!(faults(&disk.path())[0].contains("boot_files"));
}

fn coracle(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coracle")).args(arguments).output().unwrap()
}

#[test]
fn the_command_fails_on_damage_with_a_line_a_fault() {
    let disk = Disk::new();
    let path = disk.path().display().to_string();
    assert!(coracle(&["inspect", &path]).status.success());
    let output = coracle(&["inspect", &path, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (json["slots"][0]["root_hash"].as_str(), &json["faults"]),
        (Some(&*disk.root_hash), &serde_json::json!([]))
    );

    // A disk that lost its end: the backup table is gone, and so is what the primary says is there.
    let len = disk.open().metadata().unwrap().len();
    disk.open().set_len(len - (4 << 20)).unwrap();
    let output = coracle(&["inspect", &path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.lines().count() >= 2 && said.contains("gpt, byte 512: primary table:"), "{said}");
    disk.open().set_len(100).unwrap();
    assert_eq!(coracle(&["inspect", &path]).status.code(), Some(1));
    let missing = coracle(&["inspect", "nowhere.raw"]);
    assert!(
        !missing.status.success() && String::from_utf8(missing.stderr).unwrap().contains("open nowhere.raw")
    );
}
