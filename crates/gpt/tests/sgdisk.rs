//! Our tables against sgdisk's: it finds no problem in ours, and what it writes we read.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use common::{MIB, disk, table};
use coracle_gpt::{Lba, SectorSize, Side, Table, apply, check_both};

const BYTES: u64 = 8 * MIB;

fn sgdisk(args: &[&str], image: &Path) -> String {
    let output = Command::new("sgdisk").args(args).arg(image).output().expect("run sgdisk");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "sgdisk {args:?}: {text}");
    text
}

fn assert_sound(image: &Path) {
    let said = sgdisk(&["-v"], image);
    assert!(said.contains("No problems found"), "{said}");
}

fn image(dir: &Path, bytes: u64) -> (std::path::PathBuf, File) {
    let path = dir.join("disk.img");
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("create image");
    file.set_len(bytes).expect("size image");
    (path, file)
}

fn read(path: &Path) -> (Table, Side) {
    let mut file = File::open(path).expect("open image");
    let bytes = fs::metadata(path).expect("stat image").len();
    Table::read(&mut file, bytes, SectorSize::B512).expect("a table")
}

fn write(table: &Table, good: Side, file: &mut File) {
    apply(&table.steps(good), file, |file| file.sync_data()).expect("write image");
}

#[test]
fn sgdisk_finds_no_problem_in_ours() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let path = dir.path().join("disk.img");
    let table = table(SectorSize::B512, BYTES);
    fs::write(&path, disk(&table, BYTES)).expect("write image");
    assert_sound(&path);

    let said = sgdisk(&["-p"], &path).to_lowercase();
    assert!(said.contains(&table.disk_guid().to_string()), "{said}");
    for partition in table.partitions() {
        let said = sgdisk(&["-i", &partition.number.to_string()], &path);
        for fact in [
            format!("unique guid: {}", partition.guid),
            format!("guid code: {}", partition.type_guid),
            format!("first sector: {} ", partition.first_lba),
            format!("last sector: {} ", partition.last_lba),
            format!("attribute flags: {:016x}", partition.attributes),
            format!("name: '{}'", partition.label),
        ] {
            assert!(said.to_lowercase().contains(&fact), "{fact:?} not in\n{said}");
        }
    }
}

#[test]
fn sgdisk_agrees_with_our_repair_and_growth() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let (path, mut file) = image(dir.path(), BYTES);
    let mut table = table(SectorSize::B512, BYTES);
    write(&table, Side::Primary, &mut file);

    for (bad_header, good) in [(512, Side::Backup), (BYTES - 512, Side::Primary)] {
        file.write_all_at(&[0; 512], bad_header).expect("damage");
        let said = sgdisk(&["-p"], &path);
        assert!(said.to_lowercase().contains(&table.disk_guid().to_string()), "sgdisk's fallback: {said}");
        assert_eq!(read(&path), (table.clone(), good));
        write(&table, good, &mut file);
        assert_sound(&path);
    }

    file.set_len(3 * BYTES).expect("grow");
    table.grow_last(3 * BYTES).expect("larger");
    write(&table, Side::Primary, &mut file);
    assert_sound(&path);
}

#[test]
fn what_sgdisk_writes_and_repairs_we_read() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let (path, mut file) = image(dir.path(), BYTES);
    let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    let guid = "11111111-2222-4333-8444-555555555555";
    let typecode = format!("3:{esp}");
    let partguid = format!("3:{guid}");
    sgdisk(&["-n", "3:2048:+1M", "-t", &typecode, "-u", &partguid, "-c", "3:boot", "-A", "3:set:2"], &path);
    let (table, side) = read(&path);
    assert_eq!(side, Side::Primary);
    let [partition] = table.partitions() else { panic!("{table:?}") };
    assert_eq!((partition.number.get(), partition.first_lba, partition.last_lba), (3, Lba(2048), Lba(4095)));
    assert_eq!((partition.type_guid.to_string(), partition.guid.to_string()), (esp.into(), guid.into()));
    assert!(partition.label == "boot" && partition.attributes == 1 << 2);
    assert!(check_both(&mut file, BYTES, SectorSize::B512).expect("large enough").is_sound());

    file.write_all_at(&[0; 512], BYTES - 512).expect("damage");
    sgdisk(&["-e"], &path); // its repair: the backup is written anew at the end
    assert!(check_both(&mut file, BYTES, SectorSize::B512).expect("large enough").is_sound());
    assert_eq!(read(&path).0, table);
}
