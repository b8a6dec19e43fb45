//! A cgroup's device filter: an eBPF program that the kernel asks before a process opens or makes a device node.
//!
//! <https://man7.org/linux/man-pages/man2/bpf.2.html>, linux/bpf.h; `BPF_PROG_TYPE_CGROUP_DEVICE` needs Linux 4.15. A kernel
//! without `CONFIG_BPF_SYSCALL` answers `ENOSYS`, one without `CONFIG_CGROUP_BPF` `EINVAL`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Error, error::last};

/// `struct bpf_insn`: one instruction of eBPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// The target register in the lower four bits, the source in the upper.
    pub registers: u8,
    /// Offset of a jump, in instructions, or in memory, in bytes.
    pub offset: i16,
    /// Operand.
    pub value: i32,
}
const _: () = assert!(size_of::<Insn>() == 8);

/// `union bpf_attr` as `BPF_PROG_LOAD` reads it, up to `prog_name`; the kernel takes what follows for zero.
#[repr(C)]
pub(crate) struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    pub(crate) log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    pub(crate) prog_name: [u8; 16],
}
const _: () = assert!(size_of::<Load>() == 64);

/// The same as `BPF_PROG_ATTACH` reads it.
#[repr(C)]
pub(crate) struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    pub(crate) attach_flags: u32,
}
const _: () = assert!(size_of::<Attach>() == 16);

pub(crate) const PROG_LOAD: i32 = 5;
pub(crate) const PROG_ATTACH: i32 = 8;
pub(crate) const TYPE_CGROUP_DEVICE: u32 = 15;
pub(crate) const CGROUP_DEVICE: u32 = 6;
pub(crate) const ALLOW_MULTI: u32 = 2;

/// What is kept of the verifier's words: their end, where the reason is (before Linux 6.4 their beginning).
const LOG: usize = 1024;

/// Has the kernel verify and compile a device filter, which returns 1 for yes and 0 for no. Closed on exec.
///
/// The caller holds `CAP_BPF` and `CAP_NET_ADMIN`, or `CAP_SYS_ADMIN`. Only a refusal is asked for its reason: the same program is then
/// loaded once more, with room for the verifier's words.
pub fn load(program: &[Insn]) -> Result<OwnedFd, Error> {
    load_with(program, &mut []).or_else(|source| {
        let mut log = [0; LOG];
        load_with(program, &mut log).map_err(|_| {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(LOG);
            let log = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
            Error::LoadProgram { len: program.len(), log, source }
        })
    })
}

fn load_with(program: &[Insn], log: &mut [u8]) -> Result<OwnedFd, rustix::io::Errno> {
    let mut attr = Load {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        // Only helpers that are the kernel's own business ask for the GPL; a filter calls none.
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        // Without a level the kernel takes no buffer.
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"coracle_devices\0",
    };
    // SAFETY: `attr` has the size that is said. It points to `insn_cnt` instructions and a C string literal, which the kernel
    // reads, and to `log_size` bytes, which it writes; `program` and `log` are borrowed across the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw mut attr, size_of::<Load>()) };
    if fd < 0 {
        return Err(last());
    }
    // SAFETY: the call succeeded, so `fd` is a fresh descriptor that nobody else owns; it fits an int, as every descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Puts a device filter on a cgroup, for the processes in it and below, for as long as the cgroup is there; the descriptor may
/// be closed.
///
/// `BPF_F_ALLOW_MULTI`: every program from the process's cgroup up to the root is asked, and one no is a no. So whoever may
/// attach programs below, or here, can only restrict further; and only who holds the program takes it off, which the kernel
/// gives to nobody without the host's `CAP_SYS_ADMIN`. With any other flag whoever opens the cgroup's folder does, as the kernel
/// asks for no capability then (`find_detach_entry`, kernel/bpf/cgroup.c); ADR 13 has the rest.
pub fn attach(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>) -> Result<(), Error> {
    let attr = Attach {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
    };
    // SAFETY: `attr` lives across the call and has the size that is said; the kernel only reads it. The descriptors are
    // borrowed, so they stay open.
    let done = unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attr, size_of::<Attach>()) };
    if done == 0 { Ok(()) } else { Err(Error::AttachProgram(last())) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd, path::PathBuf};

    use rustix::{
        fs::{Mode, OFlags, open},
        io::Errno,
    };

    use super::*;
    use crate::clone::{Namespaces, spawn, tests::exit_code};

    const EXIT: Insn = Insn { code: 0x95, registers: 0, offset: 0, value: 0 };

    fn always(answer: i32) -> [Insn; 2] {
        [Insn { code: 0xb7, registers: 0, offset: 0, value: answer }, EXIT]
    }

    /// A cgroup that is gone in the end.
    struct Cgroup(PathBuf);

    impl Cgroup {
        fn new(name: &str) -> Self {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
            let name = format!("fence-{name}-{}", std::process::id());
            Self(PathBuf::from(line.split(' ').nth(4).unwrap()).join(name)).made()
        }

        fn below(&self) -> Self {
            Self(self.0.join("below")).made()
        }

        fn made(self) -> Self {
            fs::create_dir(&self.0).unwrap();
            self
        }

        fn attach(&self, answer: i32) -> OwnedFd {
            let folder = fs::File::open(&self.0).unwrap();
            let program = load(&always(answer)).unwrap();
            attach(program.as_fd(), folder.as_fd()).unwrap();
            program
        }

        /// What a process in it is answered that opens a device.
        fn opens(&self) -> Result<(), Errno> {
            let folder = fs::File::open(&self.0).unwrap();
            let child = spawn(Namespaces::NONE, Some(folder.as_fd()), || {
                open(c"/dev/null", OFlags::RDWR, Mode::empty())
                    .map_or_else(|errno| errno.raw_os_error() as u8, |_| 0)
            });
            match exit_code(&child.unwrap()) {
                Some(0) => Ok(()),
                errno => Err(Errno::from_raw_os_error(errno.unwrap())),
            }
        }
    }

    impl Drop for Cgroup {
        fn drop(&mut self) {
            fs::remove_dir(&self.0).unwrap();
        }
    }

    #[test]
    fn one_no_on_the_way_up_is_a_no() {
        let cgroup = Cgroup::new("way");
        let below = cgroup.below();
        assert_eq!((cgroup.opens(), below.opens()), (Ok(()), Ok(())));
        cgroup.attach(1);
        below.attach(0);
        assert_eq!((cgroup.opens(), below.opens()), (Ok(()), Err(Errno::PERM)));
        let (cgroup, no) = (Cgroup::new("no"), Err(Errno::PERM));
        let below = cgroup.below();
        cgroup.attach(0);
        assert_eq!((cgroup.opens(), below.opens()), (no, no));
        // Neither below nor beside it does a yes help.
        below.attach(1);
        cgroup.attach(1);
        assert_eq!((cgroup.opens(), below.opens()), (no, no));
    }

    #[test]
    fn only_who_holds_the_program_takes_it_off() {
        let cgroup = Cgroup::new("detach");
        let (program, other) = (cgroup.attach(0), load(&always(0)).unwrap());
        let folder = fs::File::open(&cgroup.0).unwrap();
        let detach = |program: i32| {
            let attr = Attach {
                target_fd: folder.as_raw_fd() as u32,
                attach_bpf_fd: program as u32,
                attach_type: CGROUP_DEVICE,
                attach_flags: 0,
            };
            // SAFETY: as in `attach`; the command is BPF_PROG_DETACH, which reads the same fields.
            unsafe { libc::syscall(libc::SYS_bpf, 9, &raw const attr, size_of::<Attach>()) }
        };
        for wrong in [0, -1, folder.as_raw_fd(), other.as_raw_fd()] {
            assert_eq!((detach(wrong), cgroup.opens()), (-1, Err(Errno::PERM)));
        }
        assert_eq!((detach(program.as_raw_fd()), cgroup.opens()), (0, Ok(())));
    }

    #[test]
    fn a_program_that_the_verifier_refuses_is_answered_with_its_reason() {
        let Err(Error::LoadProgram { len: 1, log, source: Errno::INVAL | Errno::ACCESS }) = load(&[EXIT])
        else {
            panic!("it returns what it never set");
        };
        assert!(log.contains("R0 !read_ok"), "{log:?}");
        // 2 is no answer; the log of 4000 instructions is cut.
        let mut long = vec![always(1)[0]; 4000];
        long.extend(always(2));
        let refused = load(&long).unwrap_err();
        let Error::LoadProgram { len: 4002, log, .. } = &refused else { panic!("{refused:?}") };
        assert!(log.len() < LOG && log.contains("R0"), "{log:?}");
        assert!(matches!(load(&[]), Err(Error::LoadProgram { len: 0, .. })));
    }

    #[test]
    fn a_folder_that_is_no_cgroup_is_refused() {
        let folder = fs::File::open("/").unwrap();
        let refused = attach(load(&always(1)).unwrap().as_fd(), folder.as_fd()).unwrap_err();
        assert_eq!(refused, Error::AttachProgram(Errno::BADF));
    }
}
