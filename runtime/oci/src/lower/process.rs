//! `process`.

use std::{ffi::CString, os::unix::ffi::OsStrExt};

use coracle_fence::process::Schedule;
use coracle_runtime::{
    bundle::{Capabilities, Process, Size},
    plan::{CapMask, OomScoreAdj},
    seccomp::Flags,
};
use oci_spec::runtime::{
    Capabilities as Set, Capability, IOPriorityClass, LinuxCapabilities, LinuxIOPriority, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, PosixRlimit, PosixRlimitType,
    Process as Named, Scheduler,
};
use rustix::{
    process::{Resource, Rlimit},
    thread::CpuSet,
};

use super::{Error, invalid, missing, refused, text};

/// A process from the configuration of a container, or of one that joins it.
///
/// Its seccomp program is left empty, and no descriptor beside the standard ones stays open.
///
/// # Errors
/// [`Error`].
pub fn process(named: &Named) -> Result<Process, Error> {
    for (property, is_there) in [
        ("process.apparmorProfile", named.apparmor_profile().as_ref().is_some_and(|name| !name.is_empty())),
        ("process.selinuxLabel", named.selinux_label().as_ref().is_some_and(|label| !label.is_empty())),
        ("process.commandLine", named.command_line().is_some()),
    ] {
        if is_there {
            return Err(refused(property, "there is no such facility here"));
        }
    }
    let lines = |property, lines: Option<&Vec<String>>| -> Result<Vec<CString>, Error> {
        lines.into_iter().flatten().map(|line| text(property, line.as_bytes())).collect()
    };
    let argv = lines("process.args", named.args().as_ref())?;
    if argv.is_empty() {
        return Err(missing("process.args"));
    }
    if !named.cwd().is_absolute() {
        return Err(invalid("process.cwd", "an absolute path"));
    }
    let user = named.user();
    let adjustment = |adjustment: i32| {
        let short = i16::try_from(adjustment).ok().and_then(|short| OomScoreAdj::new(short).ok());
        short.ok_or_else(|| invalid("process.oomScoreAdj", "-1000 to 1000"))
    };
    Ok(Process {
        terminal: terminal(named),
        argv,
        env: lines("process.env", named.env().as_ref())?,
        cwd: text("process.cwd", named.cwd().as_os_str().as_bytes())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask().unwrap_or(0o022) & 0o777,
        caps: named.capabilities().as_ref().map(sets).transpose()?.unwrap_or_default(),
        limits: limits(named.rlimits().as_ref())?,
        no_new_privs: named.no_new_privileges().unwrap_or(false),
        oom_score_adj: named.oom_score_adj().map(adjustment).transpose()?,
        schedule: named.scheduler().as_ref().map(schedule).transpose()?,
        io_priority: named.io_priority().as_ref().map(io_priority).transpose()?,
        processors: processors(named)?,
        personality: None,
        seccomp: Vec::new(),
        seccomp_flags: Flags::NONE,
        notifies: false,
        kept: 0,
    })
}

fn terminal(named: &Named) -> Option<Size> {
    if !named.terminal().unwrap_or(false) {
        return None;
    }
    let short = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    Some(match named.console_size() {
        Some(size) => Size { rows: short(size.height()), columns: short(size.width()) },
        None => Size::default(),
    })
}

fn sets(named: &LinuxCapabilities) -> Result<Capabilities, Error> {
    let set = |set: &Option<Set>| {
        let bits = set.iter().flatten().fold(0, |bits, capability| bits | 1 << number(*capability));
        CapMask::new(bits).map_err(|_| invalid("process.capabilities", "capabilities of this kernel"))
    };
    Ok(Capabilities {
        bounding: set(named.bounding())?,
        effective: set(named.effective())?,
        permitted: set(named.permitted())?,
        inheritable: set(named.inheritable())?,
        ambient: set(named.ambient())?,
    })
}

/// In the order of their numbers in linux/capability.h.
const CAPABILITIES: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

fn number(capability: Capability) -> usize {
    CAPABILITIES.iter().position(|known| *known == capability).unwrap_or_default()
}

/// A capability by its name, with or without `CAP_`.
///
/// # Errors
/// [`Error::Invalid`].
pub fn capability(name: &str) -> Result<CapMask, Error> {
    let invalid = || invalid("--cap", format!("{name:?} is the name of no capability"));
    let known: Capability = serde_json::from_value(name.into()).map_err(|_| invalid())?;
    CapMask::new(1 << number(known)).map_err(|_| invalid())
}

/// The names of all capabilities.
pub fn capabilities() -> serde_json::Value {
    serde_json::json!(CAPABILITIES.as_slice())
}

fn schedule(named: &Scheduler) -> Result<Schedule, Error> {
    use LinuxSchedulerPolicy as P;
    // As in linux/sched.h.
    let policy = match named.policy() {
        P::SchedOther => 0,
        P::SchedFifo => 1,
        P::SchedRr => 2,
        P::SchedBatch => 3,
        P::SchedIso => 4,
        P::SchedIdle => 5,
        P::SchedDeadline => 6,
    };
    let flags = named.flags().iter().flatten().fold(0, |flags, flag| {
        use LinuxSchedulerFlag as F;
        flags
            | match flag {
                F::SchedResetOnFork => 0x01,
                F::SchedFlagReclaim => 0x02,
                F::SchedFlagDLOverrun => 0x04,
                F::SchedFlagKeepPolicy => 0x08,
                F::SchedFlagKeepParams => 0x10,
                F::SchedFlagUtilClampMin => 0x20,
                F::SchedFlagUtilClampMax => 0x40,
            }
    });
    let priority = u32::try_from(named.priority().unwrap_or(0));
    Ok(Schedule {
        policy,
        flags,
        nice: named.nice().unwrap_or(0),
        priority: priority.map_err(|_| invalid("process.scheduler.priority", "0 to 99"))?,
        runtime: named.runtime().unwrap_or(0),
        deadline: named.deadline().unwrap_or(0),
        period: named.period().unwrap_or(0),
    })
}

/// Class and level as `ioprio_set` has them.
fn io_priority(named: &LinuxIOPriority) -> Result<u16, Error> {
    let class = match named.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = u16::try_from(named.priority()).ok().filter(|&level| level < 8);
    Ok(class << 13 | level.ok_or_else(|| invalid("process.ioPriority.priority", "0 to 7"))?)
}

/// Those of `final`. `initial` is where a process is before it comes into its cgroup; here it is born in it.
fn processors(named: &Named) -> Result<Option<CpuSet>, Error> {
    const PROPERTY: &str = "process.execCPUAffinity.final";
    let Some(text) =
        named.exec_cpu_affinity().as_ref().and_then(|affinity| affinity.cpu_affinity_final().as_ref())
    else {
        return Ok(None);
    };
    let wrong = || invalid(PROPERTY, "numbers and ranges such as 0-2,7");
    let mut set = CpuSet::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse().ok().filter(|&number: &usize| number < CpuSet::MAX_CPU);
        let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
        (first..=last).for_each(|number| set.set(number));
    }
    Ok(Some(set))
}

/// What programs take the kernel for.
///
/// # Errors
/// [`Error::Refused`] for flags, which the specification has not defined.
pub fn personality(named: &LinuxPersonality) -> Result<u32, Error> {
    if named.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(refused("linux.personality.flags", "none is defined"));
    }
    Ok(match named.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn limits(named: Option<&Vec<PosixRlimit>>) -> Result<Vec<(Resource, Rlimit)>, Error> {
    let mut limits: Vec<(Resource, Rlimit)> = Vec::new();
    for limit in named.into_iter().flatten() {
        let resource = resource(limit.typ());
        if limits.iter().any(|(seen, _)| *seen == resource) {
            return Err(invalid("process.rlimits", format!("{:?} once", limit.typ())));
        }
        // RLIM_INFINITY.
        let bound = |number: u64| Some(number).filter(|&number| number != u64::MAX);
        limits.push((resource, Rlimit { current: bound(limit.soft()), maximum: bound(limit.hard()) }));
    }
    Ok(limits)
}

fn resource(named: PosixRlimitType) -> Resource {
    use PosixRlimitType as P;
    match named {
        P::RlimitCpu => Resource::Cpu,
        P::RlimitFsize => Resource::Fsize,
        P::RlimitData => Resource::Data,
        P::RlimitStack => Resource::Stack,
        P::RlimitCore => Resource::Core,
        P::RlimitRss => Resource::Rss,
        P::RlimitNproc => Resource::Nproc,
        P::RlimitNofile => Resource::Nofile,
        P::RlimitMemlock => Resource::Memlock,
        P::RlimitAs => Resource::As,
        P::RlimitLocks => Resource::Locks,
        P::RlimitSigpending => Resource::Sigpending,
        P::RlimitMsgqueue => Resource::Msgqueue,
        P::RlimitNice => Resource::Nice,
        P::RlimitRtprio => Resource::Rtprio,
        P::RlimitRttime => Resource::Rttime,
    }
}
