//! A machine takes what is published and keeps it, or comes back from it by itself, whichever way it is bad.

use std::time::Duration;

use coracle_layout::OsVersion;
use coracle_qemu_tests::image::static_program;
use coracle_qemu_tests::machine::Reset;
use coracle_qemu_tests::operator::{Operator, Report, Request};
use coracle_qemu_tests::releases::{Changes, Repository};
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http, image};
use coracle_rollout::deny::Class;

/// A boot through firmware, and what comes of it.
const BOOT: u64 = 300;
/// Three boots of a bad release, each with what ends it.
const THREE_BOOTS: u64 = 900;
const NAME: &str = "updates";
/// What the agent may have resident, whatever it installs.
const MEMORY: u64 = 24 << 20;
/// Bytes that are on their way for a while.
const NOISE: usize = 24 << 20;
const DEADLINE: (&str, &str) = ("deadline = \"2min\"", "deadline = \"45s\"");

/// A pod with this argument; a word that the payload does not know ends it as soon as it has begun, again and again.
fn pod(argument: &str, rights: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: confined
spec:
  hostNetwork: true
{rights}  restartPolicy: Always
  containers:
  - name: confined
    image: payload:1
    args: [{argument:?}]
    securityContext:
      privileged: {}
",
        !rights.is_empty()
    )
}

/// A pod with which the machine itself comes to grief.
fn fatal(argument: &str) -> Changes {
    Changes::none().pod(&pod(argument, "  hostPID: true\n  hostUsers: true\n"))
}

fn start(specimen: &Specimen) -> Result<Machine, Error> {
    let config = specimen.uefi().firmware_decides().reach_host().operator();
    Machine::start(config.forward(8080).on_reset(Reset::Boots))
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

#[test]
fn a_release_is_taken_over_tls_proves_itself_and_is_kept() -> Result<(), Error> {
    let repository = Repository::new(NAME)?;
    let (one, two) =
        (repository.release("1.0.0", &Changes::none())?, repository.release("1.1.0", &Changes::none())?);
    repository.publish(&one)?;
    repository.publish(&two)?;
    let specimen = Specimen::of(one.clone())?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    assert_eq!(report.slot, "B");
    assert_eq!(report.confirmed.map(|system| system.root), Some(two.root_hash()?));
    assert_eq!(report.other.map(|system| system.version), Some(version("1.0.0")));
    // Only what changed was fetched: the version's name, in root and kernel image.
    let fetched: Vec<_> = repository.requests()?.into_iter().filter(|line| line.contains(".ops")).collect();
    assert!(!fetched.is_empty() && fetched.iter().all(|line| line.contains("1.0.0-1.1.0")), "{fetched:#?}");
    assert!((1..=MEMORY).contains(&report.peak_memory), "{} bytes", report.peak_memory);
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

/// What a bad release has, and what the old system says of it afterwards.
type Bad = (fn() -> Result<Changes, Error>, Class);

const PANICS: Bad =
    (|| Ok(Changes::none().init(static_program("coracle-qemu-tests", "guest-init")?)), Class::Panic);
// Its stage 1 does nothing: nobody is left who could say that it ran.
const HANGS: Bad =
    (|| Ok(Changes::none().init(static_program("coracle-qemu-tests", "guest-hang")?)), Class::NeverStarted);
const CRASHES: Bad = (|| Ok(fatal("crash-init")), Class::Panic);
const FREEZES: Bad = (|| Ok(fatal("freeze-init")), Class::Hang);
const IS_SICK: Bad =
    (|| Ok(Changes::none().pod(&pod("sick", "")).recipe(DEADLINE.0, DEADLINE.1)), Class::Unhealthy);

/// In which way a release is bad, and the proof that a machine comes back from it.
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
    let ways: [Way; 6] = [
        Way { name: "panics before its stage 1", proof: || comes_back_from(PANICS) },
        Way { name: "hangs before its stage 1", proof: || comes_back_from(HANGS) },
        Way { name: "crashes PID 1", proof: || comes_back_from(CRASHES) },
        Way { name: "freezes PID 1", proof: || comes_back_from(FREEZES) },
        Way { name: "is sick", proof: || comes_back_from(IS_SICK) },
        Way { name: "rots", proof: passes_over_rot },
    ];
    let cases = ways.into_iter().map(|way| (way.name.replace(' ', "-"), way)).collect();
    let progress = image::repository().join("build/test/bad-releases");
    // One of them, and all when asked.
    let sample = Sample::new("a bad release is left", progress, Duration::from_secs(1))?;
    sample.run(cases, |way| (way.proof)())?.expect_success();
    Ok(())
}

/// It is denied, and the next release is taken.
fn comes_back_from((changes, class): Bad) -> Result<(), Error> {
    let mut repository = Repository::new(NAME)?;
    let one = repository.release("1.0.0", &Changes::none())?;
    let bad = repository.release("1.1.0", &changes()?)?;
    repository.publish(&one)?;
    repository.publish(&bad)?;
    let specimen = Specimen::of(one)?;
    let machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    let left = |report: &Report| !report.denied.is_empty() && rests_at("1.0.0")(report);
    let report = operator.wait_until(left, Deadline::seconds(THREE_BOOTS))?;
    let denied: Vec<_> = report.denied.iter().map(|denial| (denial.system.root, denial.class)).collect();
    assert_eq!(denied, [(bad.root_hash()?, class)], "{:#?}", report.denied);
    // Not again, whoever wants it.
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(|report| report.doing.contains("rejected"), Deadline::seconds(BOOT))?;
    assert!(rests_at("1.0.0")(&report), "{report:#?}");

    // What follows is larger, and the server goes away amid it.
    let noise = noise(NOISE)?;
    let files = format!("[[files]]\nsource = {:?}\npath = \"/usr/share/noise\"\n\n[console]", noise.path());
    let good = repository.release("1.2.0", &Changes::none().recipe("[console]", &files))?;
    repository.publish(&good)?;
    operator.ask(Request::Apply)?;
    let amid = |report: &Report| report.state == "Writing" && report.traffic.fetched > 1 << 20;
    operator.wait_until(amid, Deadline::seconds(BOOT))?;
    repository.silence();
    operator.wait_until(|report| report.trouble.is_some(), Deadline::seconds(BOOT))?;
    repository.speak()?;
    let writing = operator.ask(Request::Status)?;
    assert!((1..=MEMORY).contains(&writing.peak_memory), "{} bytes", writing.peak_memory);
    operator.wait_until(rests_at("1.2.0"), Deadline::seconds(BOOT))?;
    let parts = repository.requests()?.iter().filter(|line| line.contains("1.0.0-1.2.0-root.ops")).count();
    assert!(parts >= 1, "after the server came back, the delta was gone on with");
    drop(machine);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.2.0.efi"]);
    Ok(())
}

/// A file that no packer makes smaller.
fn noise(len: usize) -> Result<tempfile::NamedTempFile, Error> {
    use std::io::Write as _;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..len / 8).flat_map(|_| next()).collect();
    let path = std::env::temp_dir();
    let mut file = tempfile::NamedTempFile::new().map_err(|source| Error::File {
        operation: "create a file in",
        path: path.clone(),
        source,
    })?;
    file.write_all(&bytes).map_err(|source| Error::File { operation: "write a file in", path, source })?;
    Ok(file)
}

/// A blessed kernel image that does not load any more: the firmware comes to its fallback.
fn passes_over_rot() -> Result<(), Error> {
    let repository = Repository::new(NAME)?;
    let (one, two) =
        (repository.release("1.0.0", &Changes::none())?, repository.release("1.1.0", &Changes::none())?);
    repository.publish(&one)?;
    repository.publish(&two)?;
    let specimen = Specimen::of(one)?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.ask(Request::Apply)?;
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);

    // The boot manager prefers the newer entry, which carries no counter, and cannot load it.
    specimen.disk()?.cut_boot_entry("coracle_1.1.0.efi")?;
    let machine = start(&specimen)?;
    let report = Operator::of(&machine).ask(Request::Status)?;
    assert_eq!(report.running.version, version("1.0.0"), "{report:#?}");
    Ok(())
}
