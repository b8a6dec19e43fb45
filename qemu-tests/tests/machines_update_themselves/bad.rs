//! Releases that are bad, and the way back from each.

use coracle_qemu_tests::image::static_program;
use coracle_rollout::orders::Hold;
use coracle_uki::Uki;

use super::*;

const DEADLINE: (&str, &str) = ("deadline = \"2min\"", "deadline = \"45s\"");
/// Bytes that are on their way for a while.
const NOISE: usize = 24 << 20;
/// A pod with these arguments; a word that the payload does not know ends it as soon as it has begun, again and again.
fn pod(arguments: &[&str], rights: &str) -> String {
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
    args: {arguments:?}
    securityContext:
      privileged: {}
",
        !rights.is_empty()
    )
}

/// A pod with which the machine itself comes to grief.
fn fatal(argument: &str) -> Changes {
    Changes::none().pod(&pod(&[argument], "  hostPID: true\n  hostUsers: true\n"))
}

/// What a bad release has, and what the old system says of it afterwards.
pub type Bad = (fn() -> Result<Changes, Error>, Class);

pub const PANICS: Bad =
    (|| Ok(Changes::none().init(static_program("coracle-qemu-tests", "guest-init")?)), Class::Panic);
// Its stage 1 does nothing: nobody is left who could say that it ran.
pub const HANGS: Bad =
    (|| Ok(Changes::none().init(static_program("coracle-qemu-tests", "guest-hang")?)), Class::NeverStarted);
pub const CRASHES: Bad = (|| Ok(fatal("crash-init")), Class::Panic);
pub const FREEZES: Bad = (|| Ok(fatal("freeze-init")), Class::Hang);
pub const IS_SICK: Bad =
    (|| Ok(Changes::none().pod(&pod(&["sick"], "")).recipe(DEADLINE.0, DEADLINE.1)), Class::Unhealthy);

// Its gates hold for a moment, and not for long enough.
pub const DIES: Bad = (
    || Ok(Changes::none().pod(&pod(&["falter", "12"], "")).recipe(DEADLINE.0, DEADLINE.1)),
    Class::Unhealthy,
);
// What should bring the network up ends at once.
pub const HAS_NO_NETWORK: Bad = (
    || {
        let payload = static_program("coracle-payload", "coracle-payload")?;
        Ok(Changes::none().program("netd", payload).recipe(DEADLINE.0, DEADLINE.1))
    },
    Class::Unhealthy,
);

/// It is denied, and the next release is taken.
pub fn comes_back_from((changes, class): Bad) -> Result<(), Error> {
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

/// What a release on trial makes of the state is its own; what a blessed one made of it is there for a way back, too.
pub fn finds_its_own_state_again() -> Result<(), Error> {
    let repository = Repository::new(NAME)?;
    let other_form =
        || Ok(Changes::none().program("updater", static_program("coracle-qemu-tests", "guest-updater")?));
    let sick = other_form()?.pod(&pod(&["sick"], "")).recipe(DEADLINE.0, DEADLINE.1);
    let one = repository.release("1.0.0", &Changes::none())?;
    repository.publish(&one)?;
    repository.publish(&repository.release("1.1.0", &sick)?)?;
    let specimen = Specimen::of(one)?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    let known = |report: Report| {
        let denied: Vec<_> =
            report.denied.iter().map(|denial| (denial.system.version, denial.class)).collect();
        (report.orders.hold, denied)
    };
    operator.ask(Request::Apply)?;
    let rejected = |report: &Report| rests_at("1.0.0")(report) && !report.denied.is_empty();
    let report = operator.wait_until(rejected, Deadline::seconds(THREE_BOOTS))?;
    let sick = (version("1.1.0"), Class::Unhealthy);
    assert_eq!(known(report), (Hold::Off, vec![sick]), "the old system has its own state");
    machine.console().refresh()?;
    let taken = machine.console().text().matches("state taken over form=2 from=1").count();
    assert_eq!(taken, 3, "{}", machine.console().text());

    repository.publish(&repository.release("1.2.0", &other_form()?)?)?;
    operator.ask(Request::Apply)?;
    let report = operator.wait_until(rests_at("1.2.0"), Deadline::seconds(BOOT))?;
    assert_eq!(known(report), (Hold::On, vec![sick]), "the new one has what became of it");

    operator.ask(Request::Rollback)?;
    let report = operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    assert_eq!(known(report), (Hold::Off, vec![sick, (version("1.2.0"), Class::Operator)]));
    drop(machine);
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.2.0+0-1.efi"]);
    Ok(())
}

/// Whatever rots of what is started, the firmware comes to its fallback, which makes it anew and goes on.
pub fn passes_over_rot() -> Result<(), Error> {
    const OLD: &str = "EFI/Linux/coracle_1.0.0.efi";
    const NEW: &str = "EFI/Linux/coracle_1.1.0.efi";
    const FALLBACK: &str = "EFI/coracle/fallback.efi";
    const LOADERS: [&str; 2] = ["EFI/systemd/systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI"];
    let (_repository, specimen) = updated()?;
    let loader = specimen.disk()?.esp_file(LOADERS[0])?;
    // The boot manager prefers the newer entry, which carries no counter, and cannot load it. The older one was given up, and has
    // rotted, too.
    specimen.disk()?.cut_on_esp(NEW)?;
    specimen.disk()?.cut_on_esp(OLD)?;
    specimen.disk()?.rename_boot_entry("coracle_1.0.0.efi", "coracle_1.0.0+0-1.efi")?;
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    // It would take 1.1.0 again at once.
    operator.ask(Request::Hold)?;
    operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(specimen.disk()?.esp_file(OLD)? == specimen.disk()?.esp_file(FALLBACK)?);

    // Nor does the boot manager itself load.
    for path in [LOADERS[0], OLD] {
        specimen.disk()?.cut_on_esp(path)?;
    }
    let mut machine = start(&specimen)?;
    let operator = Operator::of(&machine);
    operator.wait_until(rests_at("1.0.0"), Deadline::seconds(BOOT))?;
    operator.ask(Request::Unhold)?;
    operator.ask(Request::Apply)?;
    operator.wait_until(rests_at("1.1.0"), Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    let disk = specimen.disk()?;
    assert_eq!(entries(&specimen)?, ["coracle_1.0.0.efi", "coracle_1.1.0.efi"]);
    for path in [OLD, NEW, FALLBACK] {
        let file = disk.esp_file(path)?;
        assert_eq!(Uki::parse(&file).expect(path).is_whole(), Ok(()), "{path}");
    }
    for path in LOADERS {
        assert!(disk.esp_file(path)? == loader, "{path}");
    }
    Ok(())
}
