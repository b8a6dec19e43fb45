use super::*;

fn arguments(config: &Config) -> String {
    let words = config.arguments(Path::new("/work,dir"), Accelerator::Tcg);
    words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_direct_boot_gets_the_words_it_needs_behind_its_own() {
    let line = arguments(&Config::direct("/k", "/i", "roothash=12 quiet ").disk("/d", Writes::Stay));
    assert!(line.contains("-append roothash=12 quiet console=ttyS0 panic=-1 no_timer_check"), "{line}");
    assert!(
        line.contains("-no-reboot") && line.contains("-accel tcg") && line.contains("restrict=on"),
        "{line}"
    );
    assert!(line.contains("path=/work,,dir/console") && !line.contains("bootindex"), "{line}");
}

#[test]
fn options_become_arguments() {
    let config = Config::uefi("/vars")
        .memory(128)
        .processors(2)
        .disk("/a,b", Writes::Stay)
        .disk("/c", Writes::Vanish)
        .forward(8080)
        .icount(3)
        .on_reset(Reset::Boots)
        .device("virtio-keyboard-pci");
    let line = arguments(&config);
    for part in [
        "-m 128M",
        "-smp 2",
        "file=/a,,b,if=none,id=disk0,format=raw,cache=unsafe,snapshot=off",
        "id=disk1,format=raw,cache=unsafe,snapshot=on",
        "virtio-blk-pci,drive=disk1,bootindex=1",
        "hostfwd=tcp:127.0.0.1:0-:8080",
        "-icount shift=3",
        "-device virtio-keyboard-pci",
        "unit=1,format=raw,file=/vars",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("-no-reboot") && !line.contains("-append"), "{line}");
}

#[test]
fn a_machine_that_updates_itself_reaches_the_host_and_is_reached() {
    let config = Config::uefi("/vars").disk("/d", Writes::Stay).reach_host().firmware_decides().operator();
    let line = arguments(&config);
    for part in [
        "-netdev user,id=net0 ",
        "-chardev socket,id=operator,server=on,wait=off,path=/work,,dir/operator",
        "virtserialport,chardev=operator,name=org.coracle.update",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("bootindex"), "{line}");
}

#[test]
fn devices_can_be_left_out() {
    let line = arguments(&Config::direct("/k", "/i", "").without_network().without_watchdog());
    assert!(!line.contains("net0") && !line.contains("i6300esb"), "{line}");
    assert!(line.contains("-append console=ttyS0"), "{line}");
}

#[test]
fn other_hardware_takes_the_place_of_virtio() {
    let config = Config::direct("/k", "/i", "").bus(Bus::Xhci).nic(Nic::Vmxnet3);
    assert!(!arguments(&config).contains("qemu-xhci"), "without a disk no controller");
    let config = config.disk("/d", Writes::Stay).option("-machine", "i8042=off");
    let line = arguments(&config);
    for part in [
        "qemu-xhci,id=disks",
        "usb-storage,bus=disks.0,drive=disk0",
        "vmxnet3,netdev=net0",
        "-machine i8042=off",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let line = arguments(&Config::direct("/k", "/i", "").board(Board::MicroVm));
    assert!(line.contains("-machine microvm") && !line.contains("pci") && !line.contains("esb"), "{line}");
}

#[test]
fn the_first_disk_can_be_recorded() {
    let config = Config::direct("/k", "/i", "").disk("/a,b", Writes::Stay).disk("/c", Writes::Vanish);
    let line = arguments(&config.record("/log"));
    for part in [
        "-blockdev driver=blklogwrites,node-name=disk0,",
        "file.filename=/a,,b,file.cache.no-flush=on,log.driver=file,log.filename=/log,",
        "virtio-blk-pci,drive=disk0,write-cache=on",
        "file=/c,if=none,id=disk1,",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(line.ends_with("virtio-blk-pci,drive=disk1"), "{line}");
}
