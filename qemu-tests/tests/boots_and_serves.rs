//! From power on to a container that answers HTTP: directly, through firmware and loader, in little memory, and without a
//! network.

use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen, http};

const BOOT: u64 = 180;

fn serves(config: Config) -> Result<Machine, Error> {
    let mut machine = Machine::start(config.forward(8080))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let address = machine.forwarded(8080)?;
    let response = http::get(address, "/", Deadline::seconds(BOOT))?;
    assert_eq!((response.status, response.text().as_str()), (200, "hello from coracle-payload\n"));
    Ok(machine)
}

/// The boot comes to a good end, which clears its count.
fn is_good(specimen: &Specimen, machine: &mut Machine) -> Result<(), Error> {
    machine.wait_for("coracle: boot record settled", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    let record = specimen.disk()?.boot_record()?;
    assert_eq!(record.entry(&specimen.image().root_hash()?).map(|entry| entry.attempts), Some(0));
    Ok(())
}

#[test]
fn directly() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = serves(specimen.direct("")?)?;
    is_good(&specimen, &mut machine)
}

#[test]
fn through_firmware_and_loader_twice() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    for _ in 0..2 {
        let mut machine = serves(specimen.uefi())?;
        is_good(&specimen, &mut machine)?;
    }
    Ok(())
}

#[test]
fn with_a_static_address() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    // The one that forwarding leads to; nothing is asked of a DHCP server.
    let words = "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off";
    let mut machine = serves(specimen.direct(words)?)?;
    machine.wait_for("coracle: boot is good", Deadline::seconds(BOOT))?;
    let console = machine.console().text();
    assert!(console.contains("10.0.2.15") && !console.contains("lease"), "{console}");
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

#[test]
fn in_128_mib() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = serves(specimen.direct("")?.memory(128))?;
    assert!(machine.console().find("Out of memory").is_none());
    is_good(&specimen, &mut machine)
}

#[test]
fn without_a_network_everything_else_runs() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.without_network())?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: running name=netd", Deadline::seconds(BOOT))?;
    is_good(&specimen, &mut machine)?;
    assert!(machine.console().find("ended name=netd").is_none_or(|line| line.contains("signal 15")));
    Ok(())
}
