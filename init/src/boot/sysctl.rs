//! Kernel settings that stay as they are for the life of the machine.

use std::fs;

use super::{Error, Machine};
use crate::log::warning;

/// Path below `/proc/sys`, value, reason.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("kernel/kptr_restrict", "2", "addresses of the kernel help whoever attacks it"),
    ("kernel/dmesg_restrict", "1", "so does its log"),
    ("kernel/perf_event_paranoid", "3", "no performance counters for containers"),
    ("kernel/unprivileged_bpf_disabled", "1", "no BPF programs from containers"),
    ("net/core/bpf_jit_harden", "2", "constants in compiled BPF are blinded"),
    ("kernel/yama/ptrace_scope", "2", "only the privileged trace others"),
    ("kernel/sysrq", "0", "the console is for looking"),
    ("kernel/oops_limit", "100", "an attack that needs many oopses ends in a reboot"),
    ("kernel/warn_limit", "100", "likewise with warnings"),
    ("kernel/hung_task_timeout_secs", "60", "shorter than anyone's patience"),
    (
        "kernel/hung_task_panic",
        "1",
        "a disk that hangs a boot ends it; once it is good, that is said and borne",
    ),
    ("kernel/randomize_va_space", "2", "programs lie at random addresses, their heaps, too"),
    ("vm/mmap_min_addr", "65536", "a null pointer of the kernel never reaches a container's page"),
    ("vm/unprivileged_userfaultfd", "0", "a favourite tool to win races in the kernel"),
    ("vm/panic_on_oom", "0", "a full cgroup is that cgroup's matter"),
    ("vm/overcommit_memory", "1", "limits are the cgroups' matter"),
    ("fs/protected_symlinks", "1", "nobody is led astray in shared folders"),
    ("fs/protected_hardlinks", "1", "likewise"),
    ("fs/protected_fifos", "2", "likewise"),
    ("fs/protected_regular", "2", "likewise"),
    ("fs/suid_dumpable", "0", "a privileged program's memory goes into no file"),
    ("dev/tty/ldisc_autoload", "0", "no line disciplines on demand"),
    ("net/ipv4/tcp_syncookies", "1", "a flood of half-open connections is borne"),
    ("net/ipv4/icmp_echo_ignore_broadcasts", "1", "no part in amplifying"),
    ("net/ipv4/icmp_ignore_bogus_error_responses", "1", "no log of what others break"),
    ("net/ipv4/conf/all/accept_redirects", "0", "routes come from the configuration"),
    ("net/ipv4/conf/default/accept_redirects", "0", "likewise"),
    ("net/ipv4/conf/all/send_redirects", "0", "likewise, of others"),
    ("net/ipv4/conf/default/send_redirects", "0", "likewise"),
    ("net/ipv4/conf/all/accept_source_route", "0", "senders do not choose routes"),
    ("net/ipv4/conf/default/accept_source_route", "0", "likewise"),
    ("net/ipv6/conf/all/accept_redirects", "0", "as for IPv4"),
    ("net/ipv6/conf/default/accept_redirects", "0", "likewise"),
    ("net/ipv6/conf/all/accept_source_route", "0", "likewise"),
    ("net/ipv6/conf/default/accept_source_route", "0", "likewise"),
];

/// Where hung tasks are made fatal, until the boot is good.
const HUNG_TASK_PANIC: &str = "/proc/sys/kernel/hung_task_panic";

/// The boot is good: a task that hangs from now on is the workload's or a disk's, and no reason to take the machine down.
pub(crate) fn bless() -> Result<(), Error> {
    fs::write(HUNG_TASK_PANIC, "0").map_err(Error::os("write", HUNG_TASK_PANIC))
}

/// Writes every setting. One that this kernel lacks is passed over: the kernel's configuration has the same aim.
pub(super) fn harden(_: &mut Machine) -> Result<(), Error> {
    let mut refused = Ok(());
    for (path, value, _) in SETTINGS {
        match fs::write(format!("/proc/sys/{path}"), value) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                warning!("a kernel setting was refused setting={path} value={value}");
                refused = Err(Error::Os { action: "set", object: (*path).to_owned(), source });
            }
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::SETTINGS;

    #[test]
    fn each_setting_stands_once_and_has_a_reason() {
        let mut paths: Vec<_> = SETTINGS.iter().map(|(path, ..)| path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), SETTINGS.len());
        assert!(SETTINGS.iter().all(|(path, value, reason)| {
            !path.starts_with('/') && !path.contains('.') && !value.is_empty() && !reason.is_empty()
        }));
    }
}
