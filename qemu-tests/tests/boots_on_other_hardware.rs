//! The kernel of the full profile serves from the disks, over the network cards, and with the screens and keyboards
//! of machines that have no virtio: as many of them as QEMU can be.

// `cargo test --test '*'` refuses a file that needs a feature it was not given.
#![cfg(feature = "full")]

use std::fs;

use coracle_qemu_tests::machine::{Bus, Nic};
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen, http};
use serde_json::json;

const BOOT: u64 = 300;

/// Boots to the pod's answer over HTTP, from the disk that the kernel calls `disk`.
fn serves(config: Config, disk: &str) -> Result<Machine, Error> {
    let mut machine = Machine::start(config.forward(8080))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let opened = format!("root opened slot=A disk=/dev/{disk}");
    assert!(machine.console().find(&opened).is_some(), "{opened}:\n{}", machine.console().tail());
    let address = machine.forwarded(8080)?;
    let response = http::get(address, "/", Deadline::seconds(BOOT))?;
    assert_eq!((response.status, response.text().as_str()), (200, "hello from coracle-payload\n"));
    Ok(machine)
}

/// Goes down in order and leaves a whole disk.
fn ends(specimen: &Specimen, mut machine: Machine) -> Result<(), Error> {
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    specimen.disk()?.check_state()
}

/// Boots like this, with these devices; a line of the kernel's log says `sign` of their driver.
fn boots(
    specimen: &Specimen,
    config: Config,
    (bus, disk): (Bus, &str),
    nic: Nic,
    sign: &str,
) -> Result<(), Error> {
    let mut machine = serves(config.bus(bus).nic(nic), disk)?;
    assert!(machine.console().find(sign).is_some(), "{sign}:\n{}", machine.console().text());
    ends(specimen, machine)
}

/// Directly, then once more through firmware and loader.
fn both_ways(disk: (Bus, &str), nic: Nic, sign: &str) -> Result<(), Error> {
    let specimen = Specimen::new("full")?;
    boots(&specimen, specimen.direct("")?, disk, nic, sign)?;
    boots(&specimen, specimen.uefi(), disk, nic, sign)
}

/// Where the firmware of QEMU has no driver for the disk.
fn directly(disk: (Bus, &str), nic: Nic, sign: &str) -> Result<(), Error> {
    let specimen = Specimen::new("full")?;
    boots(&specimen, specimen.direct("")?, disk, nic, sign)
}

#[test]
fn a_server_with_nvme_and_e1000e() -> Result<(), Error> {
    both_ways((Bus::Nvme, "nvme0n1"), Nic::E1000e, "e1000e 0000:")
}

#[test]
fn a_server_with_ahci_and_e1000() -> Result<(), Error> {
    both_ways((Bus::Ahci, "sda"), Nic::E1000, "e1000 0000:")
}

#[test]
fn vmware_with_pvscsi_and_vmxnet3() -> Result<(), Error> {
    directly((Bus::Pvscsi, "sda"), Nic::Vmxnet3, "vmxnet3 0000:")
}

#[test]
fn a_cloud_with_virtio_scsi() -> Result<(), Error> {
    both_ways((Bus::VirtioScsi, "sda"), Nic::Virtio, "Virtio SCSI HBA")
}

#[test]
fn a_stick_in_an_xhci_port() -> Result<(), Error> {
    both_ways((Bus::Xhci, "sda"), Nic::E1000e, "usb-storage")
}

#[test]
fn a_stick_in_an_ehci_port() -> Result<(), Error> {
    directly((Bus::Ehci, "sda"), Nic::E1000e, "usb-storage")
}

#[test]
fn an_ide_disk() -> Result<(), Error> {
    directly((Bus::Ide, "sda"), Nic::E1000, ": ata_piix")
}

#[test]
fn devices_behind_an_iommu_and_two_processors() -> Result<(), Error> {
    for iommu in ["intel-iommu", "amd-iommu"] {
        let specimen = Specimen::new("full")?;
        let config = specimen.direct("")?.bus(Bus::Nvme).nic(Nic::E1000e).processors(2).device(iommu);
        let mut machine = serves(config, "nvme0n1")?;
        let remapped = if iommu == "intel-iommu" { "DMAR: Intel(R) Virtualization" } else { "AMD-Vi:" };
        assert!(machine.console().find(remapped).is_some(), "{}", machine.console().text());
        ends(&specimen, machine)?;
    }
    Ok(())
}

/// What the machine says is drawn on the frame buffer that the firmware left.
#[test]
fn a_screen_shows_the_console() -> Result<(), Error> {
    let specimen = Specimen::new("full")?;
    let mut machine = serves(specimen.uefi().device("VGA"), "vda")?;
    let picture = tempfile::NamedTempFile::new().expect("a temporary file");
    machine.monitor().execute("screendump", json!({ "filename": picture.path() }))?;
    let picture = fs::read(picture.path()).expect("what QEMU wrote");
    // A PPM file: three bytes a pixel behind a head of a few. The firmware's own text is of another grey.
    let (mut black, mut grey, mut other) = (0, 0, 0);
    for pixel in picture.rchunks_exact(3) {
        match pixel {
            [0, 0, 0] => black += 1,
            [0xaa, 0xaa, 0xaa] => grey += 1,
            _ => other += 1,
        }
    }
    assert!(grey > 5_000 && black > grey && other < grey, "black {black}, grey {grey}, other {other}");
    ends(&specimen, machine)
}

#[test]
fn ctrl_alt_del_on_a_usb_keyboard() -> Result<(), Error> {
    let specimen = Specimen::new("full")?;
    let usb = specimen.direct("")?.device("qemu-xhci,id=usb").device("usb-kbd,bus=usb.0");
    let mut machine = serves(usb.option("-machine", "i8042=off"), "vda")?;
    machine.monitor().send_key(&["ctrl", "alt", "delete"])?;
    machine.wait_for("coracle: going down how=Reboot", Deadline::seconds(BOOT))?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    specimen.disk()?.check_state()
}
