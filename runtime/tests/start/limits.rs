//! What a container cannot use up. A host that keeps the controllers from its cgroup2 mount refuses the limits by name.

use std::{fs::File, io::Read, os::fd::AsFd};

use coracle_runtime::{
    Error,
    cgroup::{Cgroup, delegate},
    devices::Devices,
    exit::Exit,
    plan::*,
};
use rustix::io::Errno;

use crate::harness::{Container, cgroup_mount};

/// Whether this host can limit; then its root cgroup hands the controllers down.
fn controllers() -> bool {
    let mut offered = String::new();
    let mount = cgroup_mount();
    File::open(mount.join("cgroup.controllers")).unwrap().read_to_string(&mut offered).unwrap();
    delegate(File::open(&mount).unwrap().as_fd()).unwrap();
    let mut handed = String::new();
    File::open(mount.join("cgroup.subtree_control")).unwrap().read_to_string(&mut handed).unwrap();
    for controller in ["cpu", "memory", "pids"] {
        let word = |text: &str| text.split_whitespace().any(|have| have == controller);
        assert_eq!(word(&offered), word(&handed), "{controller}");
    }
    handed.contains("memory")
}

fn assert_refused(limits: &Limits, file: &'static str) {
    let parent = File::open(cgroup_mount()).unwrap();
    let name = Name::new("coracle-refused").unwrap();
    let refused = Cgroup::create(parent.as_fd(), &name, limits, Devices::Any).unwrap_err();
    assert_eq!(refused, Error::Cgroup { file: file.into(), source: Errno::NOENT });
    assert!(!cgroup_mount().join("coracle-refused").exists());
}

#[test]
fn a_container_out_of_memory_dies_whole_and_alone() {
    let mut container = Container::new(&["eat:64"]);
    container.plan.limits.memory = Some(16 << 20);
    if !controllers() {
        return assert_refused(&container.plan.limits, "memory.max");
    }
    let beside = Container::new(&["sleep:600"]);
    let neighbour = beside.start();
    neighbour.wait_until_it_runs();
    let done = container.run();
    assert_eq!((done.exit, done.output.as_str()), (Exit::OutOfMemory, ""));
    assert_eq!((neighbour.processes(), neighbour.cgroup.oom_kills()), (1, Ok(0)));
    container.plan.limits.memory = Some(128 << 20);
    assert_eq!(container.run().of("eat:64"), "64");
}

#[test]
fn a_layer_in_memory_counts_as_the_containers_memory() {
    let mut container = Container::new(&["fill:/a 64"]);
    container.plan.limits.memory = Some(16 << 20);
    container.plan.writable = Writable::Tmpfs { bytes: 1 << 30 };
    if !controllers() {
        return assert_refused(&container.plan.limits, "memory.max");
    }
    assert_eq!(container.run().exit, Exit::OutOfMemory);
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    let mut container = Container::new(&["fork:40"]);
    container.plan.limits.pids = Some(20);
    if !controllers() {
        return assert_refused(&container.plan.limits, "pids.max");
    }
    let done = container.run();
    assert_eq!(done.exit, Exit::Code(0), "{done:?}");
    // The probe itself is one of the twenty.
    assert_eq!(done.of("fork:40"), format!("19 refused {}", libc::EAGAIN));
}

#[test]
fn processor_time_is_what_the_plan_says() {
    let mut container = Container::new(&["cat:/sys/fs/cgroup/cpu.max", "cat:/sys/fs/cgroup/cpu.weight"]);
    container.plan.limits.cpu = Some(CpuQuota::new(20_000, 100_000).unwrap());
    container.plan.limits.weight = Some(Weight::new(50).unwrap());
    if !controllers() {
        return assert_refused(&container.plan.limits, "cpu.max");
    }
    let done = container.run();
    assert_eq!(done.of("cat:/sys/fs/cgroup/cpu.max"), "20000 100000");
    assert_eq!(done.of("cat:/sys/fs/cgroup/cpu.weight"), "50");
}
