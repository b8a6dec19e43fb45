//! The harness tells the truth about a real guest: what it printed, how it ended, and that it does not outlive its test.

use std::path::PathBuf;
use std::sync::OnceLock;

use coracle_qemu_tests::machine::Reset;
use coracle_qemu_tests::probe::{self, Accelerator};
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, image};

const BOOT: u64 = 120;

fn guest(task: &str) -> Config {
    static BUILT: OnceLock<(PathBuf, tempfile::NamedTempFile)> = OnceLock::new();
    let (kernel, initramfs) = BUILT.get_or_init(|| {
        let initramfs = image::initramfs_with("coracle-qemu-tests", "guest-init").unwrap();
        (image::kernel().unwrap(), initramfs)
    });
    Config::direct(kernel, initramfs.path(), &format!("guest={task}")).memory(128)
}

#[test]
fn the_translator_runs_a_guest_to_user_mode() {
    assert!(probe::runs(Accelerator::Tcg).unwrap());
    let found = probe::accelerator().unwrap();
    assert_eq!(probe::accelerator().unwrap(), found, "probed once");
}

#[test]
fn a_guest_that_switches_itself_off_is_told_from_one_that_resets() -> Result<(), Error> {
    for (task, exit) in [("poweroff", Exit::PowerOff), ("reset", Exit::Reset), ("panic", Exit::Reset)] {
        let mut machine = Machine::start(guest(task))?;
        assert_eq!(machine.wait_for("guest: task", Deadline::seconds(BOOT))?, format!("guest: task {task}"));
        assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, exit, "{task}");
        assert_eq!(machine.console().find("Kernel panic").is_some(), task == "panic");
    }
    Ok(())
}

#[test]
fn the_power_button_reaches_the_guest() -> Result<(), Error> {
    let mut machine = Machine::start(guest("button"))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    assert_eq!(machine.monitor().status()?, "running");
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(machine.console().find("guest: power button").is_some());
    let events = machine.monitor().all_events(Deadline::seconds(BOOT));
    assert!(events.iter().any(|event| event.name == "POWERDOWN"), "{events:?}");
    Ok(())
}

#[test]
fn a_watchdog_that_is_not_fed_ends_the_guest() -> Result<(), Error> {
    // The board's own, which has to be allowed to reset, and the one on a card.
    let tco = guest("starve").without_watchdog();
    let tco = tco.option("-global", "ICH9-LPC.noreboot=off").option("-action", "watchdog=reset");
    for config in [guest("starve"), tco] {
        let mut machine = Machine::start(config)?;
        machine.wait_for("guest: watchdog 3 s", Deadline::seconds(BOOT))?;
        assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Watchdog);
    }
    Ok(())
}

#[test]
fn a_line_that_never_comes_is_told_with_the_tail_of_the_console() -> Result<(), Error> {
    let mut machine = Machine::start(guest("button"))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    let late = machine.wait_for("guest: never", Deadline::seconds(1)).unwrap_err();
    assert!(matches!(&late, Error::Timeout { tail, .. } if tail.contains("guest: ready")), "{late:?}");
    let running = machine.wait_exit(Deadline::seconds(1)).unwrap_err();
    assert!(matches!(running, Error::StillRunning { .. }), "{running:?}");

    let mut machine = Machine::start(guest("panic"))?;
    let ended = machine.wait_for("guest: never", Deadline::seconds(BOOT)).unwrap_err();
    assert!(
        matches!(&ended, Error::Ended { exit: Exit::Reset, tail, .. } if tail.contains("guest: task panic")),
        "{ended:?}"
    );
    Ok(())
}

#[test]
fn a_reset_can_lead_to_the_next_boot() -> Result<(), Error> {
    let mut machine = Machine::start(guest("button").on_reset(Reset::Boots))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    machine.console().skip();
    machine.monitor().system_reset()?;
    machine.monitor().wait_event("RESET", Deadline::seconds(BOOT))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    machine.monitor().quit()?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Host);
    Ok(())
}

#[test]
fn forwarded_ports_and_processor_time_are_known() -> Result<(), Error> {
    let mut machine = Machine::start(guest("button").forward(8080).forward(80))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    assert_ne!(machine.forwarded(8080)?.port(), machine.forwarded(80)?.port());
    assert!(matches!(machine.forwarded(443), Err(Error::NotForwarded { port: 443, .. })));
    assert!(!machine.processor_time()?.is_zero());
    Ok(())
}

#[test]
fn a_machine_that_nobody_holds_is_gone() -> Result<(), Error> {
    let mut machine = Machine::start(guest("button").forward(80))?;
    machine.wait_for("guest: ready", Deadline::seconds(BOOT))?;
    let address = machine.forwarded(80)?;
    assert!(std::net::TcpStream::connect(address).is_ok(), "QEMU holds the port");
    drop(machine);
    assert!(std::net::TcpStream::connect(address).is_err(), "and let it go");

    let mut machine = Machine::start(guest("button").forward(80))?;
    let address = machine.forwarded(80)?;
    machine.cut_power()?;
    assert!(std::net::TcpStream::connect(address).is_err());
    Ok(())
}

#[test]
fn a_machine_that_cannot_be_is_refused_in_the_words_of_qemu() {
    let config = guest("poweroff").device("no-such-device").accelerator(Accelerator::Tcg);
    let error = Machine::start(config).unwrap_err();
    assert!(matches!(&error, Error::NoStart { stderr } if stderr.contains("no-such-device")), "{error:?}");
}
