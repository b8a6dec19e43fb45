//! The default container profile: an allow-list as wide as the stock container engines' own, without io_uring.
//!
//! A call that exists and is not listed fails with `EPERM`; one that this list has never heard of fails with `ENOSYS`, so
//! that a C library newer than this list falls back to what is here. For the same reason `clone3` is `ENOSYS`: its flags lie
//! in memory where no filter can read them, those of `clone` are an argument.

mod groups;

use std::collections::BTreeMap;

use super::{
    names,
    policy::{Action, Answer, Arch, Arg, Calls, Case, Compare, Condition, Policy},
};
use crate::plan::CapMask;
use groups::GROUPS;

/// System calls allowed together, for one reason.
struct Group {
    reason: &'static str,
    grant: Grant,
    calls: &'static [libc::c_long],
}

/// Whom a group is for.
enum Grant {
    /// Every container.
    Always,
    /// Containers with this capability.
    With(u8),
}

/// `CLONE_NEW*` without the user-visible time namespace, which `clone` cannot make: cgroup, uts, ipc, user, pid, net, mount.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// `AF_ALG` (linux/socket.h): the kernel's cryptography by socket, a long list of past holes that containers do not need.
const AF_ALG: u64 = 38;
/// `AF_VSOCK` (linux/socket.h): it reaches the hypervisor past every network namespace.
const AF_VSOCK: u64 = 40;

/// The first number that did not exist when the list was written.
const WRITTEN_BEFORE: u32 = libc::SYS_mseal as u32 + 1;
/// What it has not heard of below that: calls that no kernel has any more, and young ones that nothing needs yet.
const UNHEARD: [&str; 16] = [
    "cachestat",
    "create_module",
    "futex_requeue",
    "futex_wait",
    "futex_wake",
    "get_kernel_syms",
    "io_pgetevents",
    "listmount",
    "lsm_get_self_attr",
    "lsm_list_modules",
    "lsm_set_self_attr",
    "map_shadow_stack",
    "query_module",
    "statmount",
    "uprobe",
    "uretprobe",
];

const PERM: Action = Action::Errno(libc::EPERM as u16);
const NOSYS: Action = Action::Errno(libc::ENOSYS as u16);

/// The profile for a container with these capabilities.
#[must_use]
pub fn policy(caps: CapMask) -> Policy {
    let mut calls =
        Calls { answers: conditional(), otherwise: PERM, unknown_from: WRITTEN_BEFORE, unknown: NOSYS };
    let unheard =
        (0..WRITTEN_BEFORE).filter(|&nr| names::name(nr).is_none_or(|name| UNHEARD.contains(&name)));
    calls.answers.extend(unheard.map(|nr| (nr, Answer::Always(NOSYS))));
    for group in GROUPS.iter().filter(|group| granted(group, caps)) {
        calls.answers.extend(group.calls.iter().map(|&nr| (nr as u32, Answer::Always(Action::Allow))));
    }
    let entries = BTreeMap::from([(Arch::X86_64, calls), (Arch::X32, Calls::all(NOSYS))]);
    Policy { foreign: Action::Kill, entries }
}

/// Why a system call is allowed to some container: one sentence, or `None` for a call no container has.
pub fn reason(nr: u32) -> Option<&'static str> {
    GROUPS.iter().find(|group| group.calls.iter().any(|&call| call as u32 == nr)).map(|group| group.reason)
}

fn granted(group: &Group, caps: CapMask) -> bool {
    match group.grant {
        Grant::Always => true,
        Grant::With(cap) => caps.has(cap),
    }
}

/// Calls that hang on their arguments; a group may widen them.
fn conditional() -> BTreeMap<u32, Answer> {
    // One case for each comparison of the first argument.
    let when = |firsts: Vec<(Compare, u64)>, then, otherwise| Answer::When {
        cases: firsts
            .into_iter()
            .map(|(compare, value)| Case { all: vec![Condition { arg: Arg::FIRST, compare, value }], then })
            .collect(),
        otherwise,
    };
    // Linux personality, 32-bit addresses, no randomisation, both, and the question what it is.
    let personalities = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|value| (Compare::Equal, value));
    // The family is an int: the kernel drops the upper half of its register, so the filter must too.
    let families = [AF_ALG, AF_VSOCK].map(|family| (Compare::Masked(u32::MAX.into()), family));
    let no_namespace = (Compare::Masked(NEW_NAMESPACES), 0);
    [
        (libc::SYS_clone, when(vec![no_namespace], Action::Allow, PERM)),
        (libc::SYS_clone3, Answer::Always(NOSYS)),
        (libc::SYS_personality, when(personalities.to_vec(), Action::Allow, PERM)),
        (libc::SYS_socket, when(families.to_vec(), PERM, Action::Allow)),
    ]
    .into_iter()
    .map(|(nr, answer)| (nr as u32, answer))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::groups::CAP_SYS_ADMIN;
    use super::*;
    use crate::seccomp::{
        compile,
        interpret::{Call, run},
        policy::ARCH_X86_64,
    };

    fn verdict(caps: u64, name: &str, first: u64) -> u32 {
        let program = compile(&policy(CapMask::new(caps).unwrap())).unwrap();
        let nr = names::number(name).unwrap();
        run(&program, Call { nr, arch: ARCH_X86_64, args: [first, 0, 0, 0, 0, 0] }).0
    }

    #[test]
    fn verdicts_that_matter() {
        let (allow, perm, nosys) = (Action::Allow.value(), PERM.value(), NOSYS.value());
        let admin = 1 << CAP_SYS_ADMIN;
        let cases = [
            (0, "read", 0, allow),
            (0, "io_uring_setup", 0, perm),
            (admin, "io_uring_enter", 0, perm),
            (0, "bpf", 0, perm),
            (1 << 39, "bpf", 0, allow),
            (0, "mount", 0, perm),
            (admin, "mount", 0, allow),
            (admin, "kexec_load", 0, perm),
            (1 << 18, "chroot", 0, allow),
            (1 << 18, "reboot", 0, perm),
            (1 << 18, "init_module", 0, perm),
            (1 << 20, "process_vm_readv", 0, perm),
            (1 << 19, "process_vm_readv", 0, allow),
            (0, "keyctl", 0, perm),
            (0, "userfaultfd", 0, perm),
            (0, "clone", libc::CLONE_VM as u64 | 17, allow),
            (0, "clone", libc::CLONE_NEWUSER as u64 | 17, perm),
            (0, "clone", libc::CLONE_NEWCGROUP as u64, perm),
            (admin, "clone", libc::CLONE_NEWUSER as u64, allow),
            (0, "clone3", 0, nosys),
            (admin, "clone3", 0, allow),
            (0, "unshare", 0, perm),
            (0, "socket", 2, allow),
            (0, "socket", AF_VSOCK, perm),
            (0, "socket", 7 << 32 | AF_ALG, perm),
            (0, "personality", 0xffff_ffff, allow),
            (0, "personality", 0x0040_0000, perm),
        ];
        for (caps, name, first, want) in cases {
            assert_eq!(verdict(caps, name, first), want, "{name} {first:#x} with {caps:#x}");
        }
        let program = compile(&policy(CapMask::default())).unwrap();
        for nr in [333, 335, 400, 461, WRITTEN_BEFORE, 0x4000_0000, u32::MAX] {
            let call = Call { nr, arch: ARCH_X86_64, args: [0; 6] };
            assert_eq!(run(&program, call).0, nosys, "{nr:#x}");
        }
        let native = Call { nr: 0, arch: 0x4000_0003, args: [0; 6] };
        assert_eq!(run(&program, native).0, Action::Kill.value());
    }

    #[test]
    fn every_call_has_one_group_and_a_reason() {
        let mut seen = BTreeSet::new();
        for group in GROUPS {
            assert!(group.reason.ends_with('.') && !group.calls.is_empty());
            for &call in group.calls {
                assert!(seen.insert(call), "{} is listed twice", names::name(call as u32).unwrap());
                assert_eq!(reason(call as u32), Some(group.reason));
            }
        }
        assert_eq!(reason(names::number("io_uring_setup").unwrap()), None);
    }
}
