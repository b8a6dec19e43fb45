//! The kernel of the virtio profile serves from every kind of virtio device that QEMU alone can be: SCSI disks, consoles,
//! keyboards, balloons, and everything over memory-mapped registers in a microVM. Block, network and entropy are in all
//! other tests.

use std::fs;

use coracle_qemu_tests::machine::{Board, Bus};
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen, http};
use serde_json::json;

const BOOT: u64 = 180;

fn serves(config: Config, disk: &str) -> Result<Machine, Error> {
    let mut machine = Machine::start(config.forward(8080).forward(8081))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let opened = format!("root opened slot=A disk=/dev/{disk}");
    assert!(machine.console().find(&opened).is_some(), "{opened}:\n{}", machine.console().tail());
    let address = machine.forwarded(8080)?;
    assert_eq!(http::get(address, "/", Deadline::seconds(BOOT))?.status, 200);
    Ok(machine)
}

#[test]
fn a_scsi_disk() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = serves(specimen.direct("")?.bus(Bus::VirtioScsi), "sda")?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    specimen.disk()?.check_state()
}

/// Without PCI, and without a button: it is switched off from outside.
#[test]
fn a_microvm() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let machine = serves(specimen.direct("")?.board(Board::MicroVm), "vda")?;
    machine.cut_power()
}

#[test]
fn a_console_a_keyboard_a_balloon_and_configuration() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let console = tempfile::NamedTempFile::new().expect("a temporary file");
    let config = specimen
        .direct("console=hvc0")?
        .option("-chardev", &format!("file,id=hvc,path={}", console.path().display()))
        .device("virtio-serial-pci")
        .device("virtconsole,chardev=hvc")
        .device("virtio-balloon-pci")
        .device("virtio-keyboard-pci")
        .option("-machine", "i8042=off");
    let mut machine = serves(config, "vda")?;
    let printed = fs::read_to_string(console.path()).expect("what the guest printed");
    assert!(printed.contains("confined: payload: serving"), "{printed}");

    let free = machine.forwarded(8081)?;
    let answer = http::get(free, "/read?path=/sys/firmware/qemu_fw_cfg/rev", Deadline::seconds(BOOT))?;
    assert_eq!((answer.status, answer.text().trim()), (200, "3"));

    let less: u64 = 240 << 20;
    machine.monitor().execute("balloon", json!({ "value": less }))?;
    let deadline = Deadline::seconds(BOOT);
    while machine.monitor().execute("query-balloon", json!({}))?["actual"] != less {
        assert!(deadline.pause(), "the balloon does not grow");
    }

    machine.monitor().send_key(&["ctrl", "alt", "delete"])?;
    machine.wait_for("coracle: going down how=Reboot", Deadline::seconds(BOOT))?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    specimen.disk()?.check_state()
}
