//! The names of system calls and their numbers, by each entry of an x86-64 kernel.
//!
//! They are those of the kernel's `arch/x86/entry/syscalls/syscall_{64,32}.tbl`, up to `listns`.

mod table;

use super::policy::Arch;
use table::CALLS;

/// A system call that some entry has.
#[derive(Debug)]
pub struct Call {
    name: &'static str,
    numbers: [Option<u16>; 3],
}

impl Call {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its number by this entry; that of x32 without [`X32_BIT`](super::policy::X32_BIT).
    #[must_use]
    pub fn number(&self, arch: Arch) -> Option<u32> {
        let [x86_64, x32, x86] = self.numbers;
        let number = match arch {
            Arch::X86_64 => x86_64,
            Arch::X32 => x32,
            Arch::X86 => x86,
        };
        number.map(u32::from)
    }

    /// The i386 call through which old C libraries make this one, and the value of its first argument that stands for it
    /// (linux/net.h, linux/ipc.h).
    #[must_use]
    pub fn multiplexed(&self) -> Option<(u32, u32)> {
        let at = |names: &[&str]| names.iter().position(|name| *name == self.name);
        let socket = at(&SOCKETCALL).map(|at| (102, at as u32 + 1));
        let ipc = || IPC.iter().find(|(name, _)| *name == self.name).map(|&(_, selector)| (117, selector));
        socket.or_else(ipc)
    }
}

/// `SYS_*` (linux/net.h), from 1 on.
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// Calls of linux/ipc.h.
const IPC: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A system call by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Call> {
    let at = CALLS.binary_search_by(|call| call.name.cmp(name)).ok()?;
    CALLS.get(at)
}

/// The x86-64 number of a system call by its name.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    find(name)?.number(Arch::X86_64)
}

/// The name of a system call by its x86-64 number.
#[must_use]
pub fn name(nr: u32) -> Option<&'static str> {
    CALLS.iter().find(|call| call.number(Arch::X86_64) == Some(nr)).map(Call::name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each number by its name in a header of the kernel.
    fn header(file: &str) -> Vec<(String, u32)> {
        let text = std::fs::read_to_string(format!("/usr/include/x86_64-linux-gnu/asm/{file}")).unwrap();
        let entry = |line: &str| {
            let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
            let number = number.trim_start_matches("(__X32_SYSCALL_BIT + ").trim_end_matches(')');
            Some((name.to_owned(), number.parse().unwrap()))
        };
        text.lines().filter_map(entry).collect()
    }

    #[test]
    fn the_table_has_what_the_kernels_headers_have() {
        let headers =
            [(Arch::X86_64, "unistd_64.h"), (Arch::X32, "unistd_x32.h"), (Arch::X86, "unistd_32.h")];
        for (arch, file) in headers {
            let listed = header(file);
            assert!(listed.len() > 350, "{file}: {}", listed.len());
            for (name, number) in listed {
                assert_eq!(find(&name).and_then(|call| call.number(arch)), Some(number), "{file}: {name}");
            }
            let numbers: Vec<u32> = CALLS.iter().filter_map(|call| call.number(arch)).collect();
            assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "{file}");
        }
    }

    #[test]
    fn names_are_found() {
        assert!(CALLS.is_sorted_by(|one, next| one.name < next.name));
        for call in CALLS {
            assert!(std::ptr::eq(find(call.name).unwrap(), call));
            if let Some(nr) = call.number(Arch::X86_64) {
                assert_eq!((number(call.name), name(nr)), (Some(nr), Some(call.name)));
            }
        }
        assert_eq!((number("read"), number("openat2"), number("clone3")), (Some(0), Some(437), Some(435)));
        assert_eq!(
            (number("socketcall"), number("SYS_read"), number(""), name(400)),
            (None, None, None, None)
        );
    }

    #[test]
    fn what_i386_multiplexes_exists() {
        let multiplexed = |name: &str| find(name).unwrap().multiplexed();
        let callers = ["socketcall", "ipc"].map(|name| find(name).unwrap().number(Arch::X86).unwrap());
        for (name, want) in SOCKETCALL.iter().zip(1..).chain(IPC.iter().map(|(name, at)| (name, *at))) {
            let (call, selector) = multiplexed(name).unwrap();
            assert!(callers.contains(&call) && selector == want, "{name}");
        }
        assert_eq!((multiplexed("sendmmsg"), multiplexed("shmctl")), (Some((102, 20)), Some((117, 24))));
        assert_eq!((multiplexed("read"), multiplexed("socketcall")), (None, None));
    }
}
