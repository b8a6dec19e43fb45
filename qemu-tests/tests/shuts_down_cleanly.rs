//! Whoever asks the machine to go down, it stops everything, leaves its file system clean and counts the boot as good.

use coracle_qemu_tests::machine::Reset;
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen};

const BOOT: u64 = 180;

fn is_clean(specimen: &Specimen) -> Result<(), Error> {
    let disk = specimen.disk()?;
    disk.check_state()?;
    let record = disk.boot_record()?;
    let entry = record.entry(&specimen.image().root_hash()?).expect("the boot was counted");
    assert_eq!((entry.attempts, entry.evidenced), (0, 0), "and came to a good end");
    Ok(())
}

#[test]
fn the_power_button_switches_off() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(machine.console().find("coracle: going down how=PowerOff").is_some());
    assert!(
        machine.console().find("killed after its grace").is_none(),
        "the pods end when they are asked to"
    );
    is_clean(&specimen)
}

#[test]
fn ctrl_alt_del_boots_again() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.on_reset(Reset::Boots))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    machine.monitor().send_key(&["ctrl", "alt", "delete"])?;
    machine.wait_for("coracle: going down how=Reboot", Deadline::seconds(BOOT))?;
    machine.monitor().wait_event("RESET", Deadline::seconds(BOOT))?;
    machine.console().skip();
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    is_clean(&specimen)
}
