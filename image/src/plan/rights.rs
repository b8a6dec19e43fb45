//! What a container may do: capabilities, system calls, and which of the kernel's files it sees.

use coracle_pods::names::CAPABILITIES;
use coracle_pods::pod::{Capabilities, Security};
use coracle_runtime::Error;
use coracle_runtime::plan::{AbsPath, CapMask};
use coracle_runtime::seccomp::{Insn, compile, container};

/// The capabilities of a container that asks for none: the common set of the stock container engines, without the two that
/// only older networks needed (`AUDIT_WRITE`, `MKNOD`).
const DEFAULT: [&str; 12] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Files that tell about the host or change it, hidden; the list of the stock container engines.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Files that change the host, readable only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The set of these capabilities.
pub fn mask(names: &[&str]) -> Result<CapMask, Error> {
    let bit = |name: &&str| CAPABILITIES.iter().position(|known| known == name).map_or(0, |index| 1 << index);
    CapMask::new(names.iter().map(bit).fold(0, |set, bit: u64| set | bit))
}

/// The default set with what the manifest adds and drops. `drop: [ALL]` with an added list leaves that list, as in
/// Kubernetes; with `add: [ALL]` only what is dropped by name is missing.
pub fn capabilities(security: &Security) -> Result<CapMask, Error> {
    let all = || mask(&CAPABILITIES);
    if security.privileged {
        return all();
    }
    let named = |set: &Capabilities| match set {
        Capabilities::All => all(),
        Capabilities::Named(names) => mask(names),
    };
    let (add, drop) = (named(&security.add)?.bits(), named(&security.drop)?.bits());
    CapMask::new(match (&security.add, &security.drop) {
        (Capabilities::All, Capabilities::All) => 0,
        (Capabilities::Named(_), Capabilities::All) => add,
        (_, Capabilities::Named(_)) => (mask(&DEFAULT)?.bits() | add) & !drop,
    })
}

/// The filter for these capabilities; a privileged container has none.
pub fn filter(security: &Security, caps: CapMask) -> Result<Vec<Insn>, Error> {
    if security.privileged {
        return Ok(Vec::new());
    }
    compile(&container::policy(caps))
}

/// Paths to hide and paths to make read-only; a privileged container has neither.
pub fn paths(security: &Security) -> Result<(Vec<AbsPath>, Vec<AbsPath>), Error> {
    if security.privileged {
        return Ok((Vec::new(), Vec::new()));
    }
    let each =
        |paths: &[&str]| paths.iter().map(|path| AbsPath::new(*path)).collect::<Result<Vec<_>, Error>>();
    Ok((each(&MASKED)?, each(&READ_ONLY)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: Capabilities, drop: Capabilities) -> u64 {
        capabilities(&Security { add, drop, ..Security::default() }).unwrap().bits()
    }

    #[test]
    fn adding_and_dropping() {
        use Capabilities::{All, Named};
        let default = mask(&DEFAULT).unwrap().bits();
        assert_eq!(default.count_ones(), 12, "each name is a capability");
        let (kill, admin) = (1 << 5, 1 << 21);
        let every = (1 << 41) - 1;
        for (add, drop, want) in [
            (Named(vec![]), Named(vec![]), default),
            (Named(vec!["SYS_ADMIN"]), Named(vec![]), default | admin),
            (Named(vec![]), Named(vec!["KILL"]), default & !kill),
            (Named(vec!["KILL"]), Named(vec!["KILL"]), default & !kill),
            (Named(vec![]), All, 0),
            (Named(vec!["KILL"]), All, kill),
            (All, Named(vec!["KILL"]), every & !kill),
            (All, Named(vec![]), every),
            (All, All, 0),
        ] {
            assert_eq!(set(add.clone(), drop.clone()), want, "{add:?} {drop:?}");
        }
    }

    #[test]
    fn privileged_means_all_and_no_filter() {
        let security = Security { privileged: true, ..Security::default() };
        let caps = capabilities(&security).unwrap();
        assert_eq!(caps.bits(), (1 << 41) - 1);
        assert_eq!(filter(&security, caps).unwrap(), []);
        assert_eq!(paths(&security).unwrap(), (vec![], vec![]));
    }
}
