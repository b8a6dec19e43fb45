//! The groups of the default profile, each with its reason.

use super::{Grant, Group};

// Capability numbers (linux/capability.h).
const CAP_DAC_READ_SEARCH: u8 = 2;
const CAP_SYS_MODULE: u8 = 16;
const CAP_SYS_RAWIO: u8 = 17;
const CAP_SYS_CHROOT: u8 = 18;
const CAP_SYS_PTRACE: u8 = 19;
const CAP_SYS_PACCT: u8 = 20;
pub(super) const CAP_SYS_ADMIN: u8 = 21;
const CAP_SYS_BOOT: u8 = 22;
const CAP_SYS_NICE: u8 = 23;
const CAP_SYS_TIME: u8 = 25;
const CAP_SYS_TTY_CONFIG: u8 = 26;
const CAP_SYSLOG: u8 = 34;
const CAP_PERFMON: u8 = 38;
const CAP_BPF: u8 = 39;

macro_rules! calls { ($($name:ident)*) => { &[$(libc::$name),*] } }

pub(super) const GROUPS: &[Group] = &[
    Group {
        reason: "A process's own memory is its own affair.",
        grant: Grant::Always,
        calls: calls! {
            SYS_brk SYS_madvise SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap SYS_mprotect SYS_mremap SYS_msync
            SYS_munlock SYS_munlockall SYS_munmap SYS_mincore SYS_membarrier SYS_memfd_create
            SYS_memfd_secret SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_remap_file_pages
            SYS_process_mrelease SYS_mseal
        },
    },
    Group {
        reason: "Reading, writing and moving bytes through descriptors it already holds.",
        grant: Grant::Always,
        calls: calls! {
            SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev
            SYS_preadv2 SYS_pwritev2 SYS_lseek SYS_close SYS_close_range SYS_dup SYS_dup2 SYS_dup3 SYS_fcntl
            SYS_flock SYS_ioctl SYS_sendfile SYS_splice SYS_tee SYS_vmsplice SYS_copy_file_range
            SYS_readahead SYS_fadvise64 SYS_sync_file_range SYS_pipe SYS_pipe2 SYS_fsync SYS_fdatasync
            SYS_sync SYS_syncfs
        },
    },
    Group {
        reason: "Files are guarded by the mount namespace, ids and capabilities.",
        grant: Grant::Always,
        calls: calls! {
            SYS_open SYS_openat SYS_openat2 SYS_creat SYS_access SYS_faccessat SYS_faccessat2 SYS_stat
            SYS_lstat SYS_fstat SYS_newfstatat SYS_statx SYS_statfs SYS_fstatfs SYS_getdents SYS_getdents64
            SYS_getcwd SYS_chdir SYS_fchdir SYS_rename SYS_renameat SYS_renameat2 SYS_link SYS_linkat
            SYS_symlink SYS_symlinkat SYS_readlink SYS_readlinkat SYS_unlink SYS_unlinkat SYS_mkdir
            SYS_mkdirat SYS_mknod SYS_mknodat SYS_rmdir SYS_truncate SYS_ftruncate SYS_fallocate SYS_umask
            SYS_chmod SYS_fchmod SYS_fchmodat SYS_fchmodat2 SYS_chown SYS_fchown SYS_fchownat SYS_lchown
            SYS_utime SYS_utimes SYS_utimensat SYS_futimesat SYS_name_to_handle_at SYS_inotify_init
            SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch SYS_fanotify_mark
        },
    },
    Group {
        reason: "Extended attributes follow the permissions of their file.",
        grant: Grant::Always,
        calls: calls! {
            SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_listxattr
            SYS_llistxattr SYS_flistxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
        },
    },
    Group {
        reason: "Waiting for events on descriptors.",
        grant: Grant::Always,
        calls: calls! {
            SYS_poll SYS_ppoll SYS_select SYS_pselect6 SYS_epoll_create SYS_epoll_create1 SYS_epoll_ctl
            SYS_epoll_wait SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd SYS_eventfd2 SYS_signalfd
            SYS_signalfd4 SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime
        },
    },
    Group {
        reason: "Asynchronous file operations of the old kind; io_uring is left out: its operations pass no filter.",
        grant: Grant::Always,
        calls: calls! {
            SYS_io_setup SYS_io_destroy SYS_io_submit SYS_io_cancel SYS_io_getevents
        },
    },
    Group {
        reason: "Processes and threads are confined by the pid namespace and the pids limit.",
        grant: Grant::Always,
        calls: calls! {
            SYS_fork SYS_vfork SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_wait4 SYS_waitid
            SYS_getpid SYS_getppid SYS_gettid SYS_getpgid SYS_getpgrp SYS_setpgid SYS_getsid SYS_setsid
            SYS_kill SYS_tkill SYS_tgkill SYS_pidfd_open SYS_pidfd_send_signal SYS_rt_sigaction
            SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend
            SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sigaltstack SYS_pause SYS_restart_syscall
            SYS_alarm SYS_set_tid_address SYS_set_robust_list SYS_get_robust_list SYS_futex SYS_futex_waitv
            SYS_rseq SYS_arch_prctl SYS_prctl
        },
    },
    Group {
        reason: "Debugging one's own children; safe since Linux 4.8, when tracers lost the way around filters.",
        grant: Grant::Always,
        calls: calls! {
            SYS_ptrace
        },
    },
    Group {
        reason: "Limits and priorities: raising them needs capabilities that the kernel checks.",
        grant: Grant::Always,
        calls: calls! {
            SYS_getrlimit SYS_setrlimit SYS_prlimit64 SYS_getrusage SYS_times SYS_getpriority
            SYS_setpriority SYS_sched_yield SYS_sched_getaffinity SYS_sched_setaffinity SYS_sched_getattr
            SYS_sched_setattr SYS_sched_getparam SYS_sched_setparam SYS_sched_getscheduler
            SYS_sched_setscheduler SYS_sched_get_priority_max SYS_sched_get_priority_min
            SYS_sched_rr_get_interval SYS_ioprio_get SYS_ioprio_set SYS_getcpu
        },
    },
    Group {
        reason: "Identities: without the capability they only go down or stay.",
        grant: Grant::Always,
        calls: calls! {
            SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getresuid SYS_getresgid SYS_getgroups
            SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setfsuid
            SYS_setfsgid SYS_setgroups SYS_capget SYS_capset
        },
    },
    Group {
        reason: "Adding filters and sandboxes only takes rights away.",
        grant: Grant::Always,
        calls: calls! {
            SYS_seccomp SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
        },
    },
    Group {
        reason: "Reading clocks, sleeping and own timers.",
        grant: Grant::Always,
        calls: calls! {
            SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday SYS_time
            SYS_getitimer SYS_setitimer SYS_timer_create SYS_timer_delete SYS_timer_getoverrun
            SYS_timer_gettime SYS_timer_settime
        },
    },
    Group {
        reason: "Adjusting a clock; reading through the same call needs no right, writing needs CAP_SYS_TIME.",
        grant: Grant::Always,
        calls: calls! {
            SYS_adjtimex SYS_clock_adjtime
        },
    },
    Group {
        reason: "Networking is confined by the network namespace.",
        grant: Grant::Always,
        calls: calls! {
            SYS_accept SYS_accept4 SYS_bind SYS_connect SYS_listen SYS_getpeername SYS_getsockname
            SYS_getsockopt SYS_setsockopt SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_sendto SYS_sendmsg
            SYS_sendmmsg SYS_shutdown SYS_socketpair
        },
    },
    Group {
        reason: "System V and POSIX IPC live in the container's own IPC namespace.",
        grant: Grant::Always,
        calls: calls! {
            SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_semctl SYS_semget SYS_semop SYS_semtimedop
            SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget SYS_mq_open SYS_mq_unlink SYS_mq_timedsend
            SYS_mq_timedreceive SYS_mq_notify SYS_mq_getsetattr
        },
    },
    Group {
        reason: "Harmless questions about the system.",
        grant: Grant::Always,
        calls: calls! {
            SYS_uname SYS_sysinfo SYS_getrandom
        },
    },
    Group {
        reason: "File handles reach any file of a filesystem, whatever the mount.",
        grant: Grant::With(CAP_DAC_READ_SEARCH),
        calls: calls! {
            SYS_open_by_handle_at
        },
    },
    Group {
        reason: "Mounts, namespaces and host names: a container that administers its own kernel view.",
        grant: Grant::With(CAP_SYS_ADMIN),
        calls: calls! {
            SYS_clone SYS_clone3 SYS_unshare SYS_setns SYS_mount SYS_umount2 SYS_mount_setattr
            SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_pivot_root
            SYS_sethostname SYS_setdomainname SYS_fanotify_init SYS_quotactl SYS_quotactl_fd
            SYS_lookup_dcookie
        },
    },
    Group {
        reason: "Loading programs into the kernel.",
        grant: Grant::With(CAP_BPF),
        calls: calls! {
            SYS_bpf
        },
    },
    Group {
        reason: "Measuring, including other processes and the kernel.",
        grant: Grant::With(CAP_PERFMON),
        calls: calls! {
            SYS_perf_event_open
        },
    },
    Group {
        reason: "Another root folder.",
        grant: Grant::With(CAP_SYS_CHROOT),
        calls: calls! {
            SYS_chroot
        },
    },
    Group {
        reason: "Restarting the machine.",
        grant: Grant::With(CAP_SYS_BOOT),
        calls: calls! {
            SYS_reboot
        },
    },
    Group {
        reason: "Loading kernel modules.",
        grant: Grant::With(CAP_SYS_MODULE),
        calls: calls! {
            SYS_init_module SYS_finit_module SYS_delete_module
        },
    },
    Group {
        reason: "Process accounting.",
        grant: Grant::With(CAP_SYS_PACCT),
        calls: calls! {
            SYS_acct
        },
    },
    Group {
        reason: "Reading and writing another process.",
        grant: Grant::With(CAP_SYS_PTRACE),
        calls: calls! {
            SYS_kcmp SYS_pidfd_getfd SYS_process_madvise SYS_process_vm_readv SYS_process_vm_writev
        },
    },
    Group {
        reason: "Input and output ports.",
        grant: Grant::With(CAP_SYS_RAWIO),
        calls: calls! {
            SYS_iopl SYS_ioperm
        },
    },
    Group {
        reason: "Setting the clock of the host.",
        grant: Grant::With(CAP_SYS_TIME),
        calls: calls! {
            SYS_settimeofday SYS_clock_settime
        },
    },
    Group {
        reason: "Hanging up terminals.",
        grant: Grant::With(CAP_SYS_TTY_CONFIG),
        calls: calls! {
            SYS_vhangup
        },
    },
    Group {
        reason: "Memory placement across nodes.",
        grant: Grant::With(CAP_SYS_NICE),
        calls: calls! {
            SYS_get_mempolicy SYS_mbind SYS_set_mempolicy SYS_set_mempolicy_home_node SYS_move_pages
            SYS_migrate_pages
        },
    },
    Group { reason: "The kernel's log.", grant: Grant::With(CAP_SYSLOG), calls: calls! { SYS_syslog } },
];
