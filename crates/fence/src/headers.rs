//! Every number and size here against the C compiler's reading of the kernel's headers.

use std::{
    io::Write,
    mem::offset_of,
    process::{Command, Stdio},
};

use crate::{bpf, clone, filter, mapper, mounts, partition, process, watchdog};

#[test]
fn numbers_and_sizes_are_those_of_the_headers() {
    let facts: &[(&str, u64)] = &[
        ("sizeof(struct clone_args)", size_of::<clone::Args>() as u64),
        ("CLONE_INTO_CGROUP", clone::INTO_CGROUP),
        ("sizeof(struct bpf_insn)", size_of::<bpf::Insn>() as u64),
        ("offsetof(union bpf_attr, log_buf)", offset_of!(bpf::Load, log_buf) as u64),
        ("offsetof(union bpf_attr, prog_name)", offset_of!(bpf::Load, prog_name) as u64),
        ("BPF_OBJ_NAME_LEN", 16),
        ("offsetof(union bpf_attr, attach_flags)", offset_of!(bpf::Attach, attach_flags) as u64),
        ("BPF_PROG_LOAD", bpf::PROG_LOAD as u64),
        ("BPF_PROG_ATTACH", bpf::PROG_ATTACH as u64),
        ("BPF_PROG_TYPE_CGROUP_DEVICE", bpf::TYPE_CGROUP_DEVICE.into()),
        ("BPF_CGROUP_DEVICE", bpf::CGROUP_DEVICE.into()),
        ("BPF_F_ALLOW_MULTI", bpf::ALLOW_MULTI.into()),
        ("sizeof(struct mount_attr)", size_of::<mounts::Attr>() as u64),
        ("MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC", 0xf),
        ("MOUNT_ATTR_NODEV", 4),
        ("MOUNT_ATTR_NOEXEC", 8),
        ("MOUNT_ATTR_NOSUID", 2),
        ("MOUNT_ATTR_IDMAP", 0x0010_0000),
        ("sizeof(struct sched_attr) - 8", size_of::<process::SchedAttr>() as u64),
        ("offsetof(struct sched_attr, sched_period)", offset_of!(process::SchedAttr, period) as u64),
        ("KEYCTL_JOIN_SESSION_KEYRING", 1),
        ("IOPRIO_WHO_PROCESS", 1),
        ("CLONE_NEWTIME", 0x80),
        ("MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW", 0x20_00f0),
        ("MOUNT_ATTR_NOATIME", 0x10),
        ("MOUNT_ATTR_STRICTATIME", 0x20),
        ("SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH", filter::Flags::TSYNC.bits()),
        ("SECCOMP_FILTER_FLAG_TSYNC_ESRCH", filter::TSYNC_ESRCH.into()),
        ("SECCOMP_FILTER_FLAG_LOG", filter::Flags::LOG.bits()),
        ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", filter::Flags::SPEC_ALLOW.bits()),
        ("SECCOMP_FILTER_FLAG_NEW_LISTENER", filter::NEW_LISTENER.into()),
        ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", filter::Flags::WAIT_KILLABLE_RECV.bits()),
        ("sizeof(struct dm_ioctl)", size_of::<mapper::Header>() as u64),
        ("sizeof(struct dm_target_spec)", size_of::<mapper::Target>() as u64),
        ("DM_DEV_CREATE", mapper::CREATE.into()),
        ("DM_DEV_SUSPEND", mapper::SUSPEND.into()),
        ("DM_TABLE_LOAD", mapper::LOAD.into()),
        ("DM_READONLY_FLAG", 1),
        ("sizeof(struct blkpg_partition)", size_of::<partition::Partition>() as u64),
        ("sizeof(struct blkpg_ioctl_arg)", size_of::<partition::Arg>() as u64),
        ("BLKPG", partition::BLKPG.into()),
        ("BLKPG_RESIZE_PARTITION", partition::RESIZE as u64),
        ("WDIOC_KEEPALIVE", watchdog::KEEPALIVE.into()),
        ("WDIOC_SETTIMEOUT", watchdog::SETTIMEOUT.into()),
        ("sizeof(struct sock_filter)", size_of::<libc::sock_filter>() as u64),
        ("offsetof(struct dm_ioctl, name)", mapper::NAME_OFFSET as u64),
        ("sizeof(struct sockaddr_ll)", size_of::<libc::sockaddr_ll>() as u64),
        ("offsetof(struct sockaddr_ll, sll_ifindex)", offset_of!(libc::sockaddr_ll, sll_ifindex) as u64),
        ("offsetof(struct sock_fprog, filter)", offset_of!(libc::sock_fprog, filter) as u64),
    ];
    let mut source = String::from("#include <stddef.h>\n");
    for header in [
        "bpf",
        "sched",
        "mount",
        "dm-ioctl",
        "fs",
        "blkpg",
        "watchdog",
        "filter",
        "if_packet",
        "sched/types",
        "keyctl",
        "ioprio",
        "seccomp",
    ] {
        source += &format!("#include <linux/{header}.h>\n");
    }
    for (expression, value) in facts {
        source +=
            &format!("_Static_assert(({expression}) == {value}ull, \"{expression} is not {value}\");\n");
    }
    let mut cc = Command::new("cc")
        .args(["-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cc.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let out = cc.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
