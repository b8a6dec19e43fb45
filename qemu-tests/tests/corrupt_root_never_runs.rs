//! A root that is not the one on the command line never runs: stage 1 refuses it or the kernel panics, and both restart
//! the machine. So does a UKI whose stage 1 has rotted. A table with one bad copy is no reason not to boot.

use coracle_gpt::{SectorSize, check_both};
use coracle_layout::Slot;
use coracle_layout::boot_record::Evidence;
use coracle_layout::partition::Partition;
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen};
use std::fs::File;
use std::os::unix::fs::FileExt;

const BOOT: u64 = 180;
const BLOCK: usize = 4096;
const ROOT: Partition = Partition::Root(Slot::A);
const TREE: Partition = Partition::Verity(Slot::A);

/// Boots what must not run; returns the console of the end.
fn refused(specimen: &Specimen) -> Result<String, Error> {
    let mut machine = Machine::start(specimen.direct("")?)?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let console = machine.console().text();
    assert!(!console.contains("coracle: boot phases done"), "it ran:\n{console}");
    Ok(console)
}

/// The first block of the root that holds a program.
fn program(specimen: &Specimen) -> Result<u64, Error> {
    let disk = specimen.disk()?;
    let (_, len) = disk.extent(ROOT)?;
    let root = disk.read(ROOT, 0, len as usize)?;
    let block =
        root.chunks(BLOCK).position(|block| block.starts_with(b"\x7fELF")).expect("a root has programs");
    Ok((block * BLOCK) as u64)
}

#[test]
fn one_byte_of_a_program_ends_in_a_panic() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    specimen.disk()?.flip(ROOT, program(&specimen)? + 100)?;
    let mut machine = Machine::start(specimen.direct("")?.forward(8080))?;
    // Whichever program it is: the machine goes down when its first page is read, at the latest for the last service.
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let console = machine.console().text();
    assert!(
        console.contains("is corrupted") && console.contains("Kernel panic - not syncing: dm-verity"),
        "{console}"
    );
    Ok(())
}

/// Where in these bytes stage 1's program is, which is the first that comes after its name.
fn stage1(bytes: &[u8]) -> Vec<usize> {
    const NAME: &[u8] = b"sbin/init\0";
    let names = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    names
        .filter_map(|(at, _)| {
            Some(at + bytes.get(at..at + 64)?.windows(4).position(|four| four == b"\x7fELF")?)
        })
        .collect()
}

/// Kernel and stage 1 do not meet: the kernel says why, and restarts the machine.
fn nothing_started(config: Config) -> Result<(), Error> {
    let mut machine = Machine::start(config)?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let console = machine.console().text();
    assert!(console.contains("Initramfs unpacking failed: bad data checksum"), "{console}");
    assert!(console.contains("Kernel panic") && !console.contains("coracle:"), "{console}");
    Ok(())
}

#[test]
fn one_byte_of_stage_1_leaves_nothing_to_start() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut bytes = std::fs::read(specimen.image().file("initrd")?).unwrap();
    let [program] = stage1(&bytes)[..] else { panic!("stage 1 has one program") };
    bytes[program + 300_000] ^= 1;
    let bad = specimen.path().with_extension("initrd");
    std::fs::write(&bad, bytes).unwrap();
    nothing_started(specimen.direct("")?.initrd(bad))
}

#[test]
fn one_byte_of_stage_1_behind_firmware_leaves_nothing_to_start() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let disk = specimen.disk()?;
    let (_, len) = disk.extent(Partition::Esp)?;
    let programs = stage1(&disk.read(Partition::Esp, 0, len as usize)?);
    assert_eq!(programs.len(), 2, "one in the entry, one in the fallback");
    for program in programs {
        disk.flip(Partition::Esp, program as u64 + 300_000)?;
    }
    nothing_started(specimen.uefi())
}

#[test]
fn one_byte_of_the_file_system_ends_in_a_panic() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    specimen.disk()?.flip(ROOT, 1024)?;
    let console = refused(&specimen)?;
    assert!(console.contains("Kernel panic - not syncing: dm-verity"), "{console}");
    Ok(())
}

#[test]
fn one_byte_of_the_tree_ends_in_a_panic() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    // Superblock, top block, then the block with the hashes of the first data blocks.
    specimen.disk()?.flip(TREE, 2 * BLOCK as u64 + 5)?;
    let console = refused(&specimen)?;
    assert!(console.contains("Kernel panic - not syncing: dm-verity"), "{console}");
    Ok(())
}

#[test]
fn a_tree_with_another_root_hash_is_refused_and_the_reason_kept() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    specimen.disk()?.flip(TREE, BLOCK as u64 + 5)?;
    let console = refused(&specimen)?;
    assert!(console.contains("coracle: stage 1 failed"), "{console}");
    let record = specimen.disk()?.boot_record()?;
    let entry = record.entry(&specimen.image().root_hash()?).expect("the attempt was counted");
    assert_eq!((entry.attempts, entry.evidenced), (1, 1));
    assert!(matches!(entry.failure, Some((Evidence::Stage1, _))), "{entry:?}");
    Ok(())
}

#[test]
fn one_byte_of_the_partition_table_is_healed() -> Result<(), Error> {
    for sector in [1, 2] {
        let specimen = Specimen::new("test")?;
        let mut file = File::options().read(true).write(true).open(specimen.path()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, sector * 512 + 40).unwrap();
        file.write_all_at(&[!byte[0]], sector * 512 + 40).unwrap();
        let len = file.metadata().unwrap().len();
        assert!(!check_both(&mut file, len, SectorSize::B512).unwrap().is_sound(), "sector {sector}");

        let mut machine = Machine::start(specimen.direct("")?)?;
        machine.wait_for("partition table read from its backup", Deadline::seconds(BOOT))?;
        machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
        assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
        assert!(check_both(&mut file, len, SectorSize::B512).unwrap().is_sound(), "sector {sector}");
    }
    Ok(())
}
