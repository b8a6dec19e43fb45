//! Machines in trouble: the power, the disk, the clock.

use std::net::UdpSocket;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use coracle_layout::Slot;
use coracle_layout::partition::Partition;
use coracle_rollout::machine::Trouble;
use coracle_rollout::orders::Downgrade;

use super::*;

/// From 1900, where time servers begin, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// The power goes in each of its tries: that says nothing against it.
pub fn is_cut_short() -> Result<(), Error> {
    let slow = Changes::none().recipe("stable = \"5s\"", "stable = \"60s\"");
    let slow = slow.recipe("deadline = \"2min\"", "deadline = \"5min\"");
    let (_repository, specimen) = offered(&slow)?;
    let mut machine = start(&specimen)?;
    Operator::of(&machine).ask(Request::Apply)?;
    let on_trial = |report: &Report| report.running.version == version("1.1.0");
    for left in ["+2-1", "+1-2", "+0-3"] {
        let report = Operator::of(&machine).wait_until(on_trial, Deadline::seconds(BOOT))?;
        assert_eq!(report.state, "Probation");
        machine.cut_power()?;
        assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", &format!("coracle_1.1.0{left}.efi")]);
        machine = start(&specimen)?;
    }
    // The old one runs, and takes it again by itself.
    machine.wait_for("state=RolledBack", Deadline::seconds(BOOT))?;
    let report = Operator::of(&machine).wait_until(rests_at("1.1.0"), Deadline::seconds(THREE_BOOTS))?;
    assert_eq!(report.denied, []);
    Ok(())
}

/// The newer one is left, as long as there is another; that one is tried for ever, and says why it cannot be.
pub fn loses_both_slots() -> Result<(), Error> {
    let (_repository, specimen) = updated()?;
    for slot in [Slot::A, Slot::B] {
        // The top block of the tree.
        specimen.disk()?.flip(Partition::Verity(slot), 4096 + 5)?;
    }
    let mut machine = start(&specimen)?;
    for _ in 0..7 {
        machine.wait_for("has this root: A other, B other", Deadline::seconds(BOOT))?;
        machine.console().skip();
    }
    machine.cut_power()?;
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.1.0+0-1.efi"]);
    Ok(())
}

/// The operator wants an older one, and it stays; until the pin is gone.
pub fn is_older_and_pinned() -> Result<(), Error> {
    let repository = Repository::new(NAME)?;
    let (one, two) =
        (repository.release("1.0.0", &Changes::none())?, repository.release("1.1.0", &Changes::none())?);
    repository.publish(&one)?;
    repository.publish(&two)?;
    let specimen = Specimen::of(two)?;
    let mut machine = start(&specimen)?;
    let pin = |downgrade| Request::Pin { version: version("1.0.0"), downgrade };
    let operator = Operator::of(&machine);
    operator.ask(pin(Downgrade::Refuse))?;
    operator.ask(Request::Apply)?;
    let report =
        operator.wait_until(|report| report.repository.answered.is_some(), Deadline::seconds(BOOT))?;
    assert!(rests_at("1.1.0")(&report), "{report:#?}");
    operator.ask(pin(Downgrade::Allow))?;
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    assert_eq!(report.denied, []);
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.1.0+0-1.efi"]);

    let machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    operator.ask(Request::Unpin)?;
    operator.ask(Request::Apply)?;
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    Ok(())
}

/// It is said, before anything is changed.
pub fn meets_a_full_esp() -> Result<(), Error> {
    let (_repository, specimen) = offered(&Changes::none())?;
    // The firmware's fallback still fits, and half a kernel image besides.
    let uki = std::fs::metadata(specimen.image().file("uki")?).expect("it was built").len();
    specimen.disk()?.fill_esp(uki + uki / 2)?;
    let machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(|report| report.trouble.is_some(), Deadline::seconds(BOOT))?;
    assert_eq!((report.trouble, report.running.version), (Some(Trouble::EspFull), version("1.0.0")));
    machine.cut_power()?;
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi"]);
    Ok(())
}

/// What stood against it is gone with this boot.
fn takes_it_when_asked_again(specimen: &Specimen) -> Result<(), Error> {
    let machine = start(specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Retry { version: None })?;
    operator.ask(Request::Apply)?;
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    Ok(())
}

/// A workload has filled the state partition: that is said, before anything is changed. With the next boot its layer is gone.
pub fn meets_a_full_state_partition() -> Result<(), Error> {
    let (_repository, specimen) = offered(&Changes::none())?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Hold)?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let full = "/write?path=/filler&bytes=1099511627776";
    let answer = http::get(machine.forwarded(8080)?, full, Deadline::seconds(BOOT))?;
    assert!(answer.text().contains("No space left"), "{}", answer.text());
    operator.ask(Request::Unhold)?;
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(|report| report.trouble.is_some(), Deadline::seconds(BOOT))?;
    assert_eq!((report.trouble, report.running.version), (Some(Trouble::StateFull), version("1.0.0")));
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi"]);

    takes_it_when_asked_again(&specimen)
}

/// The other slot has a sector that cannot be written: the machine says so, and runs on.
pub fn meets_a_disk_that_fails() -> Result<(), Error> {
    let (_repository, specimen) = offered(&Changes::none())?;
    let (slot, _) = specimen.disk()?.extent(Partition::Root(Slot::B))?;
    let mut machine = Machine::start(config(&specimen).fail_writes(slot + (1 << 20)))?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let failed = |report: &Report| report.state == "Failed" && report.trouble.is_some();
    let report = operator.wait_until(failed, Deadline::seconds(BOOT))?;
    assert_eq!(
        (report.trouble, report.running.version),
        (Some(Trouble::Io), version("1.0.0")),
        "{report:#?}"
    );
    let answer = http::get(machine.forwarded(8080)?, "/", Deadline::seconds(BOOT))?;
    assert_eq!(answer.status, 200);
    machine.cut_power()?;
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi"]);

    // On a disk that does as it is told.
    takes_it_when_asked_again(&specimen)
}

/// Years ahead and nobody to say so: nothing is taken. Years behind, or ahead again, with a time server: all is well.
pub fn meets_a_clock_that_is_years_off() -> Result<(), Error> {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("bound").port();
    let time = format!("[update]\ntime = [\"10.0.2.2:{port}\"]");
    let (_repository, specimen) = offered(&Changes::none().recipe("[update]", &time))?;
    let machine = Machine::start(config(&specimen).option("-rtc", "base=2045-01-01T00:00:00"))?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(|report| report.repository.error.is_some(), Deadline::seconds(BOOT))?;
    assert!(rests_at("1.0.0")(&report) && !report.time_is_sure, "{report:#?}");
    machine.cut_power()?;

    thread::spawn(move || tell_the_time(&server));
    let machine = Machine::start(config(&specimen).option("-rtc", "base=2016-01-01T00:00:00"))?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_secs();
    assert!(report.time.unix().abs_diff(now) < BOOT, "{report:#?}");
    Ok(())
}

/// Answers as a time server does, RFC 5905, as long as the test runs.
fn tell_the_time(server: &UdpSocket) {
    let mut question = [0; 128];
    while let Ok((len, peer)) = server.recv_from(&mut question) {
        if len < 48 {
            continue;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
        let seconds = (now.as_secs() + NTP_EPOCH) as u32;
        let fraction = ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000) as u32;
        let stamp = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
        // Version 4, a server; the best of clocks.
        let mut answer = [0; 48];
        (answer[0], answer[1], answer[3]) = (0x24, 1, 0xec);
        answer[12..16].copy_from_slice(b"GPS\0");
        answer[16..24].copy_from_slice(&stamp);
        answer[24..32].copy_from_slice(&question[40..48]);
        answer[32..40].copy_from_slice(&stamp);
        answer[40..48].copy_from_slice(&stamp);
        // Who does not get it asks again.
        let _ = server.send_to(&answer, peer);
    }
}
