//! Stage 1 in a machine: good boots, and each way to be refused, with a look at the disk afterwards.
//!
//! ```text
//! CORACLE_KERNEL=$(./dev kernel --profile virtio) RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' \
//!   cargo test -p coracle-init --target x86_64-unknown-linux-gnu --features boot --test stage1_boots
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rig;

use coracle_layout::{
    Slot,
    boot_record::{BootRecord, Evidence},
    partition::Partition,
};
use coracle_uki::{Sections, Stub, assemble};
use rig::{Disk, Machine, Root, disk::DATA, machine};

#[track_caller]
fn says(console: &str, text: &str) {
    assert!(console.contains(text), "not said: {text:?}; it said:\n{console}");
}

#[track_caller]
fn does_not_say(console: &str, text: &str) {
    assert!(!console.contains(text), "said: {text:?}; it said:\n{console}");
}

/// The value of a fact that the probe read.
#[track_caller]
fn fact<'a>(console: &'a str, key: &str) -> &'a str {
    let line = format!("fact: {key}=");
    let value = console.lines().find_map(|text| text.trim().strip_prefix(&line));
    value.unwrap_or_else(|| panic!("no fact {key}; it said:\n{console}"))
}

/// Attempts, those with evidence, and the last failure of a root.
fn noted(disk: &Disk, root: &Root) -> (u16, u16, Option<(Evidence, String)>) {
    disk.record()
        .entry(&root.hash)
        .map_or((0, 0, None), |entry| (entry.attempts, entry.evidenced, entry.failure.clone()))
}

#[test]
fn a_good_root_is_booted_and_nothing_of_stage_1_stays() {
    let root = Root::new("1.0.0");
    let disk = Disk::new([Some(&root), None]);
    let mut machine = Machine::direct(&root.hash, "some.word=1 word").disk(&disk);
    machine.add(&["-device", "i6300esb", "-action", "watchdog=shutdown"]);
    let console = machine.run();
    says(&console, "probe: done");
    says(&console, "probe: release 1.0.0");
    says(&console, "probe: own program Some(ReadOnlyFilesystem)");
    assert_eq!((fact(&console, "slot"), fact(&console, "disk")), ("A", "/dev/vda"));
    assert_eq!(fact(&console, "root"), root.hash.to_string());
    assert_eq!(fact(&console, "attempt"), "1");

    says(&console, "watchdog: active opens");

    let steps = ["began", "mounted", "found", "noted", "opened", "root", "handed"];
    let times = steps.map(|step| fact(&console, &format!("time.{step}")).parse::<u64>().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    for (step, time) in steps.iter().zip(times) {
        println!("{step} {} us after the first step", (time - times[0]) / 1000);
    }

    says(&console, "mount: /dev/dm-0 / erofs ro,nodev");
    for target in ["/dev devtmpfs", "/proc proc", "/sys sysfs", "/run tmpfs"] {
        says(&console, target);
    }
    does_not_say(&console, "initramfs not freed");
    let mounts = console.lines().filter(|line| line.starts_with("mount: ")).count();
    assert!(mounts <= 7, "more is mounted than was to be:\n{console}");
    assert_eq!(noted(&disk, &root), (1, 0, None));

    let console = Machine::direct(&root.hash, "").disk(&disk).run();
    assert_eq!(fact(&console, "attempt"), "2");
    assert_eq!(noted(&disk, &root), (2, 0, None), "PID 1 clears it, and this one does not");
}

#[test]
fn the_slot_is_chosen_by_what_it_holds() {
    let (old, new) = (Root::new("1.0.0"), Root::new("1.1.0"));
    let disk = Disk::new([Some(&old), Some(&new)]);
    let console = Machine::direct(&new.hash, "").disk(&disk).run();
    assert_eq!(fact(&console, "slot"), "B");
    says(&console, "probe: release 1.1.0");
    let console = Machine::direct(&old.hash, "").disk(&disk).run();
    assert_eq!(fact(&console, "slot"), "A");
    says(&console, "probe: release 1.0.0");
    assert_eq!((noted(&disk, &old).0, noted(&disk, &new).0), (1, 1));
}

#[test]
fn a_flipped_byte_in_the_top_hash_block_is_no_slot() {
    let root = Root::new("1.0.0");
    let disk = Disk::new([Some(&root), None]);
    disk.flip(Partition::Verity(Slot::A), 4096 + 31);
    let console = Machine::direct(&root.hash, "").disk(&disk).run();
    let reason = "no slot of vda has this root: A other, B empty";
    says(&console, reason);
    does_not_say(&console, "probe:");
    does_not_say(&console, "Kernel panic");
    assert_eq!(noted(&disk, &root), (1, 1, Some((Evidence::Stage1, reason.to_owned()))));
}

#[test]
fn a_flipped_byte_of_data_never_runs() {
    let root = Root::new("1.0.0");
    let data = root.image.windows(DATA.len()).position(|bytes| bytes == DATA).unwrap() as u64;
    // The filesystem's superblock, and a file that is read.
    for offset in [1024, data] {
        let disk = Disk::new([Some(&root), None]);
        disk.flip(Partition::Root(Slot::A), offset);
        let console = Machine::direct(&root.hash, "").disk(&disk).run();
        says(&console, "Kernel panic - not syncing: dm-verity device corrupted");
        does_not_say(&console, "probe:");
        assert_eq!(noted(&disk, &root), (1, 0, None), "the attempt was on the disk before");
    }
}

#[test]
fn two_disks_that_answer_stop_it() {
    let root = Root::new("1.0.0");
    let (first, second) = (Disk::new([Some(&root), None]), Disk::new([None, Some(&root)]));
    let console = Machine::direct(&root.hash, "").disk(&first).disk(&second).run();
    says(&console, "two disks answer: vda and vdb");
    does_not_say(&console, "probe:");
    for disk in [&first, &second] {
        assert_eq!(disk.record(), BootRecord::default(), "neither is written");
    }
}

#[test]
fn another_systems_disk_is_no_obstacle() {
    let (root, other) = (Root::new("1.0.0"), Root::new("9.9.9"));
    let (first, second) = (Disk::new([Some(&other), None]), Disk::new([Some(&root), None]));
    let console = Machine::direct(&root.hash, "").disk(&first).disk(&second).run();
    assert_eq!(fact(&console, "disk"), "/dev/vdb");
    assert_eq!(first.record(), BootRecord::default());
}

#[test]
fn the_wait_for_a_disk_ends() {
    let root = Root::new("1.0.0");
    let console = Machine::direct(&root.hash, "rootwait=3").run();
    says(&console, "no disk within 3 s");
    does_not_say(&console, "Kernel panic");
}

/// Through the firmware and systemd-boot: the newer entry has failed three times since it was blessed, and gives way.
#[test]
fn a_rotten_entry_gives_way_to_a_good_one() {
    let (old, new) = (Root::new("1.0.0"), Root::new("1.1.0"));
    let disk = Disk::new([Some(&old), Some(&new)]);
    let (old_uki, new_uki) = put_loader(&disk, &old, &new);
    let mut record = BootRecord::default();
    for _ in 0..3 {
        record.begin(new.hash);
        record.fail(new.hash, Evidence::Stage1, "as if");
    }
    disk.put_record(&mut record);

    let console = Machine::uefi().disk(&disk).run();
    says(&console, "entry demoted entry=coracle_1.1.0.efi now=coracle_1.1.0+0-1.efi");
    does_not_say(&console, "probe: release 1.1.0");
    says(&console, "probe: release 1.0.0");
    assert_eq!(fact(&console, "slot"), "A");
    let linux: Vec<_> = disk.esp().into_iter().filter(|(path, _)| path.starts_with("EFI/Linux/")).collect();
    let want = [
        ("EFI/Linux/coracle_1.0.0.efi".to_owned(), old_uki),
        ("EFI/Linux/coracle_1.1.0+0-1.efi".to_owned(), new_uki),
    ];
    assert!(linux == want, "{:?}", linux.iter().map(|(path, bytes)| (path, bytes.len())).collect::<Vec<_>>());
    assert_eq!((noted(&disk, &old).0, noted(&disk, &new).0), (1, 4));
}

/// Through the firmware: a root that failed before was installed again, and the first of its new tries is its first.
#[test]
fn a_root_that_is_installed_again_is_judged_anew() {
    let (old, new) = (Root::new("1.0.0"), Root::new("1.1.0"));
    let disk = Disk::new([Some(&old), Some(&new)]);
    put_entries(&disk, ("coracle_1.0.0.efi", &old), ("coracle_1.1.0+3-0.efi", &new));
    let mut record = BootRecord::default();
    record.begin(new.hash);
    record.fail(new.hash, Evidence::Stage1, "as if");
    record.begin(old.hash);
    disk.put_record(&mut record);

    let console = Machine::uefi().disk(&disk).run();
    says(&console, "probe: release 1.1.0");
    assert_eq!(noted(&disk, &new), (1, 0, None));
    assert_eq!(noted(&disk, &old).0, 1, "what is known of the other stays");
}

/// Through the firmware, without help: the newer root has rotted, and each of its boots ends in a panic that leaves a record.
#[test]
fn a_root_that_rots_is_left_after_three_panics() {
    let (old, new) = (Root::new("1.0.0"), Root::new("1.1.0"));
    let disk = Disk::new([Some(&old), Some(&new)]);
    put_loader(&disk, &old, &new);
    disk.flip(Partition::Root(Slot::B), 1024);
    let console = Machine::uefi().disk(&disk).run();
    assert_eq!(console.matches("Kernel panic").count(), 3, "it said:\n{console}");
    says(&console, "entry demoted entry=coracle_1.1.0.efi now=coracle_1.1.0+0-1.efi");
    says(&console, "probe: release 1.0.0");
    let (attempts, evidenced, failure) = noted(&disk, &new);
    assert_eq!((attempts, evidenced), (4, 3));
    assert!(failure.is_some_and(|(evidence, _)| evidence == Evidence::Pstore));
    assert_eq!(
        noted(&disk, &old),
        (1, 0, None),
        "the records of the other root's panics are not counted for it"
    );
}

/// Through the firmware: the loader's disk is taken, though another holds the same root.
#[test]
fn the_loaders_disk_is_taken_among_clones() {
    let root = Root::new("1.0.0");
    let (disk, clone) = (Disk::new([Some(&root), None]), Disk::with_esp_guid([Some(&root), None], 0x99));
    disk.put_esp(&[("EFI/BOOT/BOOTX64.EFI", &uki("1.0.0", &root))]);
    let console = Machine::uefi().disk(&disk).disk(&clone).run();
    assert_eq!(fact(&console, "disk"), "/dev/vda");
    assert_eq!(clone.record(), BootRecord::default());
}

/// Puts systemd-boot on the ESP, with a blessed entry for each root. Gives the bytes of both.
fn put_loader(disk: &Disk, old: &Root, new: &Root) -> (Vec<u8>, Vec<u8>) {
    put_entries(disk, ("coracle_1.0.0.efi", old), ("coracle_1.1.0.efi", new))
}

/// The same under names of one's own, of the releases 1.0.0 and 1.1.0.
fn put_entries(disk: &Disk, old: (&str, &Root), new: (&str, &Root)) -> (Vec<u8>, Vec<u8>) {
    let loader = std::fs::read("/usr/lib/systemd/boot/efi/systemd-bootx64.efi").unwrap();
    let (old_uki, new_uki) = (uki("1.0.0", old.1), uki("1.1.0", new.1));
    disk.put_esp(&[
        ("EFI/BOOT/BOOTX64.EFI", &loader),
        ("loader/loader.conf", b"timeout 0\n"),
        (&format!("EFI/Linux/{}", old.0), &old_uki),
        (&format!("EFI/Linux/{}", new.0), &new_uki),
    ]);
    (old_uki, new_uki)
}

fn uki(version: &str, root: &Root) -> Vec<u8> {
    let stub = std::fs::read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub").unwrap();
    let osrel = format!("ID=coracle\nVERSION_ID={version}\nPRETTY_NAME=\"Coracle {version}\"\n");
    let (cmdline, initramfs) = (machine::command_line(&root.hash, ""), machine::initramfs());
    let sections = Sections {
        osrel: osrel.as_bytes(),
        cmdline: cmdline.as_bytes(),
        uname: b"6.12",
        sbat: None,
        linux: &std::fs::read(machine::kernel()).unwrap(),
        initrd: Some(&initramfs),
    };
    assemble(&Stub::parse(&stub).unwrap(), &sections).unwrap()
}
