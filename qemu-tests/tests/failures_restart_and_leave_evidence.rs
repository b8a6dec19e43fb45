//! A machine that hangs, panics or never comes up whole restarts by itself, and the next boot knows why.

use coracle_layout::boot_record::Evidence;
use coracle_qemu_tests::machine::Reset;
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};

const BOOT: u64 = 180;
const FREE: u16 = 8081;
const CRASHES: &str = "/lib/coracle/init/pstore";

/// Asks the pod that may do everything.
fn ask(machine: &mut Machine, path: &str) -> Result<(), Error> {
    let address = machine.forwarded(FREE)?;
    let response = http::get(address, path, Deadline::seconds(BOOT))?;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    Ok(())
}

/// What the boot record says of the last failure, and how many attempts since the last good end.
fn failure(specimen: &Specimen) -> Result<(u16, Option<(Evidence, String)>), Error> {
    let record = specimen.disk()?.boot_record()?;
    let entry = record.entry(&specimen.image().root_hash()?).expect("the boots were counted");
    Ok((entry.attempts, entry.failure.clone()))
}

/// The next boot takes the record of the panic out of pstore, and counts it as evidence.
fn the_next_boot_keeps(panic: &str, specimen: &Specimen) -> Result<(), Error> {
    let mut machine = Machine::start(specimen.uefi())?;
    machine.wait_for("coracle: crash records of an earlier boot saved", Deadline::seconds(BOOT))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    let (_, failure) = failure(specimen)?;
    assert!(matches!(failure, Some((Evidence::Pstore, _))), "{failure:?}");
    let disk = specimen.disk()?;
    let mut kept = String::new();
    for name in disk.state_names(CRASHES)? {
        let record = disk.state_file(&format!("{CRASHES}/{name}"))?.unwrap_or_default();
        kept += &String::from_utf8_lossy(&record);
    }
    assert!(kept.contains(panic), "{kept}");
    Ok(())
}

#[test]
fn a_frozen_pid_1_is_restarted_by_the_watchdog() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.forward(FREE).on_reset(Reset::Boots))?;
    machine.wait_for("free: payload: serving", Deadline::seconds(BOOT))?;
    ask(&mut machine, "/freeze-init")?;
    machine.monitor().wait_event("WATCHDOG", Deadline::seconds(BOOT))?;
    machine.console().refresh()?;
    machine.console().skip();
    machine.wait_for("free: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    let (attempts, failure) = failure(&specimen)?;
    assert_eq!(attempts, 0, "the second boot came to a good end");
    assert!(matches!(failure, Some((Evidence::Watchdog, _))), "{failure:?}");
    Ok(())
}

#[test]
fn a_panic_is_kept_for_whoever_asks() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.uefi().forward(8080).forward(FREE))?;
    machine.wait_for("free: payload: serving", Deadline::seconds(BOOT))?;
    // With this, a container that runs out of memory takes the machine with it.
    ask(&mut machine, "/set?path=/proc/sys/vm/panic_on_oom&value=2")?;
    let confined = machine.forwarded(8080)?;
    http::get(confined, "/exhaust-memory", Deadline::seconds(BOOT))?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let panic = "Kernel panic - not syncing: Out of memory";
    assert!(machine.console().text().contains(panic), "{}", machine.console().tail());

    the_next_boot_keeps(panic, &specimen)?;

    let mut machine = Machine::start(specimen.uefi())?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert!(machine.console().find("crash records").is_none(), "they were taken out of the firmware");
    Ok(())
}

#[test]
fn the_end_of_pid_1_is_a_panic_and_kept() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.uefi().forward(FREE))?;
    machine.wait_for("free: payload: serving", Deadline::seconds(BOOT))?;
    ask(&mut machine, "/crash-init")?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let panic = "Kernel panic - not syncing: Attempted to kill init!";
    assert!(machine.console().text().contains(panic), "{}", machine.console().tail());

    the_next_boot_keeps(panic, &specimen)
}

#[test]
fn off_trial_a_missed_deadline_is_said_and_good_comes_late() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    // Sooner than any pod can prove itself.
    let mut machine = Machine::start(specimen.direct("coracle.deadline=3")?)?;
    machine.wait_for("coracle: boot deadline missed", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: boot is good", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: boot record settled", Deadline::seconds(BOOT))?;
    machine.cut_power()?;
    assert_eq!(failure(&specimen)?.0, 0);
    Ok(())
}

#[test]
fn an_entry_on_trial_whose_workload_is_sick_restarts() -> Result<(), Error> {
    let specimen = Specimen::new("sick")?;
    specimen.disk()?.rename_boot_entry("coracle_0.1.0.efi", "coracle_0.1.0+3-0.efi")?;
    let mut machine = Machine::start(specimen.uefi())?;
    machine.wait_for("coracle: boot deadline missed", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: shutting down how=Reboot", Deadline::seconds(BOOT))?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let entries = specimen.disk()?.boot_entries()?;
    assert_eq!(entries, ["coracle_0.1.0+2-1.efi"], "the loader counted the boot");
    let (attempts, failure) = failure(&specimen)?;
    assert_eq!(attempts, 1);
    assert!(matches!(failure, Some((Evidence::Deadline, reason)) if reason.starts_with("not settled: ")));
    Ok(())
}
