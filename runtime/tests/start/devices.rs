//! Which devices a container can open.

use std::{ffi::CString, fs::File, os::fd::AsFd};

use coracle_fence::clone::{Namespaces, spawn};
use coracle_runtime::{
    Error,
    cgroup::Cgroup,
    devices::{Answer, Devices, Rule},
    exit::Exit,
    plan::*,
    start::Report,
};
use rustix::{
    fs::{CWD, FileType, Mode, makedev, mknodat},
    io::Errno,
    process::{WaitId, WaitIdOptions, waitid},
};

use crate::harness::{Container, Outcome, Running, alone, cgroup_mount, new_cgroup, ready};

/// What nodes are made of: name, kind, major and minor number. A disk that is there or not, and two that are.
const NODES: [(&str, FileType, u32, u32); 3] = [
    ("disk", FileType::BlockDevice, 7, 0),
    ("kmsg", FileType::CharacterDevice, 1, 11),
    ("nothing", FileType::CharacterDevice, 1, 3),
];

/// A container with `CAP_MKNOD` and the host's users; before it looks around, its `/dev` has the nodes, made in its cgroup.
fn opens(devices: Devices<'_>) -> Outcome {
    let mut container = Container::new(&[
        "await:/dev/last",
        "open:/dev/disk",
        "open:/dev/kmsg",
        "open:/dev/nothing",
        "open:/dev/zero",
        "write:/dev/null",
        "pty:/dev/pts",
    ]);
    container.plan.user = UserNamespace::Host;
    container.plan.caps = CapMask::new(1 << 27 | 1 << 34).unwrap(); // CAP_MKNOD, CAP_SYSLOG
    let running = Running::new(&ready(&container.plan), new_cgroup(&container.plan.limits, devices));
    running.wait_until_it_runs();
    let dev = format!("/proc/{}/root/dev", running.started.pid.as_raw_nonzero());
    let paths = NODES.map(|(name, ..)| CString::new(format!("{dev}/{name}")).unwrap());
    let alone = alone();
    let maker = spawn(Namespaces::NONE, Some(running.cgroup.as_fd()), || {
        let made = NODES.iter().zip(&paths).all(|((_, kind, major, minor), path)| {
            mknodat(CWD, path, *kind, Mode::from_raw_mode(0o600), makedev(*major, *minor)).is_ok()
        });
        u8::from(!made)
    })
    .unwrap();
    drop(alone);
    let status = waitid(WaitId::PidFd(maker.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0), "nodes can be made");
    File::create(format!("{dev}/last")).unwrap();
    let done = running.finish();
    assert_eq!((done.report, done.exit), (Report::Running, Exit::Code(0)), "{done:?}");
    for works in ["open:/dev/nothing", "open:/dev/zero", "write:/dev/null"] {
        assert_eq!(done.of(works), "", "{works}");
    }
    // A locked terminal answers EIO, after every question of rights.
    assert_eq!(done.of("pty:/dev/pts"), "0 ptmx: 5");
    done
}

#[test]
fn a_node_of_the_hosts_devices_opens_nothing() {
    let container = Container::new(&[]);
    let done = opens(container.plan.devices());
    assert_eq!((done.of("open:/dev/disk"), done.of("open:/dev/kmsg")), ("! 1", "! 1"));
    // Nothing but the filter keeps it from them: the disk is there, or it is ENXIO.
    let done = opens(Devices::Any);
    assert!(matches!(done.of("open:/dev/disk"), "" | "! 6"), "{done:?}");
    assert_eq!(done.of("open:/dev/kmsg"), "", "{done:?}");
}

#[test]
fn the_longest_program_is_taken() {
    let number = Some(1);
    let Devices::Only(rules) = Container::new(&[]).plan.devices() else { panic!("no rules") };
    let deny = Rule { answer: Answer::Deny, kind: None, major: number, minor: number, ..rules[0] };
    let mut many = vec![deny; 1200];
    many.extend_from_slice(rules);
    opens(Devices::Only(&many));
}

#[test]
fn a_cgroup_without_its_filter_is_not_left_behind() {
    let parent = File::open(cgroup_mount()).unwrap();
    let name = Name::new("coracle-unfiltered").unwrap();
    let Devices::Only(rules) = Container::new(&[]).plan.devices() else { panic!("no rules") };
    let many = vec![rules[0]; 5000];
    let refused = Cgroup::create(parent.as_fd(), &name, &Limits::default(), Devices::Only(&many));
    assert!(matches!(refused, Err(Error::ProgramTooLong { .. })), "{refused:?}");
    assert!(!cgroup_mount().join("coracle-unfiltered").exists());
    // What is no cgroup cannot be filtered, and what cannot be filtered is none.
    let folder = tempfile::tempdir().unwrap();
    let parent = File::open(folder.path()).unwrap();
    let refused =
        Cgroup::create(parent.as_fd(), &name, &Limits::default(), Devices::Only(rules)).unwrap_err();
    let Error::Devices(why) = refused else { panic!("{refused:?}") };
    assert_eq!(why.errno(), Errno::BADF);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
