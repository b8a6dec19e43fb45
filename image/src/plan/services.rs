//! The host's own services: programs of the root filesystem that PID 1 starts beside the pods.

use std::ffi::CString;

use coracle_layout::paths::STATE_RESERVE;
use coracle_runtime::Error;
use coracle_runtime::plan::{
    AbsPath, CapMask, Hostname, Limits, Name, Namespace, OomScoreAdj, Plan, Restart, Root, Signal,
    UserNamespace, Writable,
};
use coracle_runtime::seccomp::{compile, container};

use super::rights;

/// Where the network service's program is.
pub const NETD: &str = "/usr/sbin/netd";
/// The user and group of the network service, on the host.
const NETD_ID: u32 = 990;
/// The network service reads foreign bytes: it has room for its tables and no more.
const NETD_MEMORY: u64 = 32 << 20;
const NETD_PIDS: u32 = 16;

/// Where the updater's program is: one file, two services.
pub const UPDATER: &str = "/usr/sbin/updater";
/// The user and group of the service that talks to servers. The group is the updater's too, so that its socket can be closed
/// to everybody else.
const FETCH_ID: u32 = 991;
/// A delta is applied in 8 MiB; the rest is room for metadata.
const UPDATER_MEMORY: u64 = 64 << 20;

/// The network service: addresses, routes and names of the host. It keeps what it tells others in `/run/netd`, which
/// PID 1 makes for it.
pub fn netd(hostname: &str) -> Result<Plan, Error> {
    let caps = rights::mask(&["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"])?;
    Ok(Plan {
        uid: NETD_ID,
        gid: NETD_ID,
        net: Namespace::Host,
        limits: limits(NETD_MEMORY, NETD_PIDS),
        // Without it the machine cannot be reached: pods die first.
        oom_score_adj: OomScoreAdj::new(-999)?,
        grace_ms: 5_000,
        ..service("netd", &[NETD], caps, hostname)?
    })
}

/// The updater: it writes slots and boot entries, and sets the clock. It is user 0 for its files and the disk's devices, and may
/// besides mount the EFI system partition, which nobody else sees, and write where state is full. No byte of the network reaches it but through the service
/// [`fetch`]: it has a network of its own with nothing in it.
pub fn updater(hostname: &str) -> Result<Plan, Error> {
    let caps = rights::mask(&["SYS_ADMIN", "SYS_TIME"])?;
    Ok(Plan {
        groups: vec![FETCH_ID, STATE_RESERVE],
        limits: limits(UPDATER_MEMORY, 32),
        ..service("updater", &[UPDATER, "agent"], caps, hostname)?
    })
}

/// The updater's part that talks to servers: names, TLS, HTTP, time. It has no right at all, and takes requests in `/run/fetch`.
pub fn fetch(hostname: &str) -> Result<Plan, Error> {
    Ok(Plan {
        uid: FETCH_ID,
        gid: FETCH_ID,
        net: Namespace::Host,
        limits: limits(UPDATER_MEMORY, 16),
        ..service("fetch", &[UPDATER, "fetch"], CapMask::default(), hostname)?
    })
}

/// A program of the root, user 0, with these capabilities and a network of its own, for ever.
fn service(name: &str, argv: &[&str], caps: CapMask, hostname: &str) -> Result<Plan, Error> {
    let words = argv.iter().map(|word| CString::new(*word).map_err(|_| Error::Nul));
    Ok(Plan {
        name: Name::new(name)?,
        root: Root::Host,
        writable: Writable::None,
        argv: words.collect::<Result<_, _>>()?,
        env: Vec::new(),
        cwd: AbsPath::new("/")?,
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        hostname: Hostname::new(hostname)?,
        net: Namespace::Own,
        pid: Namespace::Host,
        user: UserNamespace::Host,
        caps,
        seccomp: compile(&container::policy(caps))?,
        limits: Limits::default(),
        // A machine that cannot be updated cannot be mended.
        oom_score_adj: OomScoreAdj::new(-900)?,
        masked: Vec::new(),
        readonly: Vec::new(),
        restart: Restart::Always,
        stop_signal: Signal::new(15)?,
        grace_ms: 10_000,
    })
}

fn limits(memory: u64, pids: u32) -> Limits {
    Limits { memory: Some(memory), pids: Some(pids), ..Limits::default() }
}

/// Pods' user namespaces lie above every service's identifier.
const _: () = assert!(NETD_ID < super::IDS && FETCH_ID < super::IDS && STATE_RESERVE < super::IDS);

#[cfg(test)]
mod tests {
    use coracle_runtime::seccomp::{Action, Answer, Arch, names};

    use super::*;

    #[test]
    fn the_plans_can_be_read_back() {
        for (plan, caps) in [
            (netd("edge").unwrap(), 1 << 10 | 1 << 12 | 1 << 13),
            (updater("edge").unwrap(), 1 << 21 | 1 << 25),
            (fetch("edge").unwrap(), 0),
        ] {
            assert_eq!(Plan::decode(&plan.encode().unwrap()).unwrap(), plan);
            assert_eq!(plan.caps.bits(), caps);
            assert!(!plan.seccomp.is_empty());
            assert_eq!((&plan.root, plan.restart), (&Root::Host, Restart::Always));
        }
    }

    #[test]
    fn the_updater_can_do_its_work_and_fetch_cannot() {
        let (updater, fetch) = (updater("edge").unwrap().caps, fetch("edge").unwrap().caps);
        let allowed = |caps: CapMask, name: &str| {
            let nr = names::number(name).unwrap_or_else(|| panic!("{name}"));
            matches!(
                container::policy(caps).entries[&Arch::X86_64].answers.get(&nr),
                Some(Answer::Always(Action::Allow))
            )
        };
        let both = [
            "openat",
            "ioctl",
            "connect",
            "renameat2",
            "fsync",
            "syncfs",
            "fdatasync",
            "clock_adjtime",
            "pwrite64",
        ];
        let mounts =
            ["mount", "umount2", "fsopen", "fsconfig", "fsmount", "move_mount", "open_tree", "mount_setattr"];
        for name in both {
            assert!(allowed(updater, name) && allowed(fetch, name), "{name}");
        }
        for name in mounts.into_iter().chain(["clock_settime", "settimeofday"]) {
            assert!(allowed(updater, name) && !allowed(fetch, name), "{name}");
        }
        for name in ["reboot", "init_module", "kexec_load", "bpf"] {
            assert!(!allowed(updater, name), "{name}");
        }
    }

    #[test]
    fn the_socket_can_be_closed_to_all_but_the_two() {
        let (updater, fetch) = (updater("edge").unwrap(), fetch("edge").unwrap());
        assert_eq!((updater.uid, updater.gid), (0, 0));
        assert_eq!(updater.groups, [fetch.gid, STATE_RESERVE]);
        assert_eq!((updater.net, fetch.net), (Namespace::Own, Namespace::Host));
        assert_eq!((fetch.uid, fetch.gid, fetch.groups.len()), (991, 991, 0));
    }
}
