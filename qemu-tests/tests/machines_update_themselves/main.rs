//! A machine takes what is published and keeps it, or comes back from it by itself, whichever way it is bad.

mod bad;
mod kernel;
mod trouble;

use std::cell::Cell;
use std::time::Duration;

use coracle_layout::OsVersion;
use coracle_qemu_tests::machine::Reset;
use coracle_qemu_tests::operator::{Operator, Report, Request, Traffic};
use coracle_qemu_tests::releases::{Changes, Repository};
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen, http, image};
use coracle_rollout::deny::Class;

/// A boot through firmware, and what comes of it.
const BOOT: u64 = 300;
/// Three boots of a bad release, each with what ends it.
const THREE_BOOTS: u64 = 900;
const NAME: &str = "updates";
/// What the agent may have resident, whatever it installs.
const MEMORY: u64 = 24 << 20;
/// What it may fetch of a kernel that was built again, and of a root with another version in it: the kernel has seven times as much.
const FETCHED: u64 = 1 << 20;

fn config(specimen: &Specimen) -> Config {
    let config = specimen.uefi().firmware_decides().reach_host().operator();
    config.forward(8080).on_reset(Reset::Boots)
}

fn start(specimen: &Specimen) -> Result<Machine, Error> {
    Machine::start(config(specimen))
}

fn version(text: &str) -> OsVersion {
    text.parse().expect("a version")
}

/// It runs this version, which has proved itself, and is at rest.
fn rests_at<'v>(wanted: &'v str) -> impl Fn(&Report) -> bool + 'v {
    move |report| report.running.version == version(wanted) && report.state == "Idle"
}

/// What is in the folder of the boot entries, in order.
fn entries(specimen: &Specimen) -> Result<Vec<String>, Error> {
    specimen.disk()?.boot_entries()
}

/// A machine of 1.0.0, and 1.1.0 that is offered.
fn offered(changes: &Changes) -> Result<(Repository, Specimen), Error> {
    let repository = Repository::new(NAME)?;
    let (one, two) = (repository.release("1.0.0", changes)?, repository.release("1.1.0", changes)?);
    repository.publish(&one)?;
    repository.publish(&two)?;
    Ok((repository, Specimen::of(one)?))
}

/// A machine that went from 1.0.0 to 1.1.0, and is off.
fn updated() -> Result<(Repository, Specimen), Error> {
    let (repository, specimen) = offered(&Changes::none())?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok((repository, specimen))
}

#[test]
fn a_release_is_taken_over_tls_proves_itself_and_is_kept() -> Result<(), Error> {
    let repository = Repository::new(NAME)?;
    let one = repository.release("1.0.0", &Changes::none())?;
    let two = repository.release("1.1.0", &Changes::none().kernel(kernel::rebuilt(&one)?))?;
    repository.publish(&one)?;
    repository.publish(&two)?;
    let specimen = Specimen::of(one.clone())?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let memory = Cell::new(0);
    let is_taken = |report: &Report| {
        memory.set(memory.get().max(report.peak_memory));
        rests_at("1.1.0")(report)
    };
    let report = operator.wait_until(is_taken, Deadline::seconds(BOOT))?;
    let memory = memory.into_inner();
    assert!((1..=MEMORY).contains(&memory), "{memory} bytes to unpack, apply and pack");
    assert_eq!(report.slot, "B");
    assert_eq!(report.confirmed.map(|system| system.root), Some(two.root_hash()?));
    assert_eq!(report.other.map(|system| system.version), Some(version("1.0.0")));
    // Only what changed was fetched: the version's name, in root and kernel image, and a bit in the kernel.
    let fetched: Vec<_> = repository.requests()?.into_iter().filter(|line| line.contains(".ops")).collect();
    assert!(!fetched.is_empty() && fetched.iter().all(|line| line.contains("1.0.0-1.1.0")), "{fetched:#?}");
    let bytes: u64 =
        fetched.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert!(bytes <= FETCHED, "{fetched:#?}");
    let Traffic { fetched, full } = report.traffic;
    assert!((1..=FETCHED).contains(&fetched) && full > 6 * FETCHED, "told: {fetched} of {full} bytes");
    let answer = http::get(machine.forwarded(8080)?, "/", Deadline::seconds(BOOT))?;
    assert_eq!(answer.status, 200);
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.1.0.efi"]);

    // The operator goes back: the older one proves itself anew, and what it came from is not taken again.
    let machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    operator.ask(Request::Rollback)?;
    let report = operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    let denied: Vec<_> = report.denied.iter().map(|denial| (denial.system.version, denial.class)).collect();
    assert_eq!(denied, [(version("1.1.0"), Class::Operator)]);
    operator.ask(Request::Check)?;
    let asked = |report: &Report| report.repository.answered.is_some();
    let report = operator.wait_until(asked, Deadline::seconds(BOOT))?;
    assert!(rests_at("1.0.0")(&report), "{report:#?}");
    drop(machine);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.1.0+0-1.efi"]);
    Ok(())
}

/// In which way a release or its machine is in trouble, and the proof that the machine gets over it.
struct Way {
    name: &'static str,
    proof: fn() -> Result<(), Error>,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a release that {}", self.name)
    }
}

#[test]
fn a_bad_release_is_left_whichever_way_it_is_bad() -> Result<(), Error> {
    let ways = [
        Way { name: "panics before its stage 1", proof: || bad::comes_back_from(bad::PANICS) },
        Way { name: "hangs before its stage 1", proof: || bad::comes_back_from(bad::HANGS) },
        Way { name: "crashes PID 1", proof: || bad::comes_back_from(bad::CRASHES) },
        Way { name: "freezes PID 1", proof: || bad::comes_back_from(bad::FREEZES) },
        Way { name: "is sick", proof: || bad::comes_back_from(bad::IS_SICK) },
        Way { name: "dies within its gates", proof: || bad::comes_back_from(bad::DIES) },
        Way { name: "has no network", proof: || bad::comes_back_from(bad::HAS_NO_NETWORK) },
        Way { name: "keeps its state in another form", proof: bad::finds_its_own_state_again },
        Way { name: "rots", proof: bad::passes_over_rot },
        Way { name: "is older and pinned", proof: trouble::is_older_and_pinned },
        Way { name: "loses both slots", proof: trouble::loses_both_slots },
        Way { name: "is cut short", proof: trouble::is_cut_short },
        Way { name: "meets a full ESP", proof: trouble::meets_a_full_esp },
        Way { name: "meets a full state partition", proof: trouble::meets_a_full_state_partition },
        Way { name: "meets a disk that fails", proof: trouble::meets_a_disk_that_fails },
        Way { name: "meets a clock that is years off", proof: trouble::meets_a_clock_that_is_years_off },
    ];
    let cases = ways.into_iter().map(|way| (way.name.replace(' ', "-"), way)).collect();
    let progress = image::repository().join("build/test/bad-releases");
    // One of them, and all when asked.
    let sample = Sample::new("releases in trouble", progress, Duration::from_secs(1))?;
    sample.run(cases, |way| (way.proof)())?.expect_success();
    Ok(())
}
