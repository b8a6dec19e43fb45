//! What happens on the machine itself: other configurations, other processes, a kernel that says too much.

use std::{fs, thread, time::Duration};

use rustix::process::{Signal, kill_process};

use crate::world::{World, eventually, ip};

const STATIC: &str = "quiet ip=10.1.0.7::10.1.0.1:255.255.255.0:host:eth0:none:10.1.0.1:8.8.8.8 panic=-1\n";

#[test]
fn the_command_line_may_say_it_all() {
    let world = World::new(&["eth0", "eth1"]);
    let netd = world.start(STATIC, &["eth1"]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.7/24 static\n");
    assert_eq!(world.addresses("eth0"), ["10.1.0.7/24"]);
    let mut routes = world.routes();
    routes.sort();
    assert_eq!(routes, ["10.1.0.0/24 via - dev eth0", "default via 10.1.0.1 dev eth0"]);
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\nnameserver 10.1.0.1\nnameserver 8.8.8.8\n");
    assert_eq!(world.show("link show eth1")[0]["operstate"], "DOWN", "it is not asked for");

    // What is taken away comes back, and what others add stays.
    ip(&format!("-n {} addr flush dev eth0", world.host));
    eventually(|| world.addresses("eth0") == ["10.1.0.7/24"] && world.routes().len() == 2, || netd.said());
    ip(&format!("-n {} addr add 192.168.5.1/24 dev eth0", world.host));
    ip(&format!("-n {} link set eth0 down", world.host));
    eventually(|| world.routes().len() == 2, || netd.said());
    assert_eq!(world.addresses("eth0"), ["10.1.0.7/24", "192.168.5.1/24"]);
}

#[test]
fn it_runs_with_the_rights_that_it_needs_and_no_others() {
    let world = World::new(&["eth0"]);
    let netd = world.start(STATIC, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.7/24 static\n");
    let status = fs::read_to_string(format!("/proc/{}/status", netd.pid().as_raw_nonzero())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), ["990"; 4]);
    assert_eq!([field("CapEff:"), field("CapBnd:"), field("CapAmb:")], [["0000000000003400"]; 3]);
    assert_eq!([field("Seccomp:"), field("NoNewPrivs:"), field("Threads:")], [["2"], ["1"], ["1"]]);
}

#[test]
fn without_an_interface_it_waits_and_virtual_ones_are_not_its_business() {
    let world = World::new(&["eth0"]);
    ip(&format!("-n {} link add br0 type bridge", world.host));
    let mut netd = world.start("", &[]);
    eventually(|| world.addresses("lo") == ["127.0.0.1/8"], || netd.said());
    world.wait_for_status(&netd, "");
    for interface in ["eth0", "br0"] {
        assert_eq!(world.show(&format!("link show {interface}"))[0]["operstate"], "DOWN");
    }
    assert!(netd.is_alive() && !netd.said().contains("eth0"), "{}", netd.said());
}

#[test]
fn there_is_only_one() {
    let world = World::new(&["eth0"]);
    let netd = world.start(STATIC, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.7/24 static\n");
    let mut second = world.start("ip=off", &[]);
    assert_eq!(second.ends_with(), Some(1));
    second.wait_for("another netd holds");
    drop(netd);
    let mut third = world.start(STATIC, &[]);
    third.wait_for("interface found");
    assert!(third.is_alive());
}

#[test]
fn the_network_outlives_it_and_its_successor_takes_over() {
    let world = World::new(&["eth0"]);
    let netd = world.start(STATIC, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.7/24 static\n");
    drop(netd);
    assert_eq!((world.addresses("eth0").len(), world.routes().len()), (1, 2));
    // While no server answers the machine keeps what it has.
    let names = world.report("resolv.conf");
    let netd = world.start("", &["eth0"]);
    world.wait_for_status(&netd, "eth0 searching - dhcp\n");
    assert_eq!(world.report("resolv.conf"), names);
    assert_eq!((world.addresses("eth0").len(), world.routes().len()), (1, 2));
    drop(netd);
    let other = "ip=10.1.0.8:::255.255.0.0::eth0:none";
    let netd = world.start(other, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.8/16 static\n");
    assert_eq!(world.addresses("eth0"), ["10.1.0.8/16"]);
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\n");
    assert_eq!(world.routes(), ["10.1.0.0/16 via - dev eth0"]);
}

#[test]
fn a_word_that_cannot_be_followed_leaves_the_machine_reachable() {
    let world = World::new(&["eth0"]);
    let netd = world.start("ip=10.1.0.7:::255.0.255.0::eth0:none", &["eth0"]);
    netd.wait_for("error: dhcp everywhere instead of ip=");
    world.wait_for_status(&netd, "eth0 searching - dhcp\n");
    assert!(netd.said().contains("the netmask is not ones, then zeros"));
}

#[test]
fn lost_events_are_made_up_for() {
    let world = World::new(&["eth0"]);
    let mut netd = world.start("ip=10.4.0.7:::255.255.255.0::eth4:none", &[]);
    eventually(|| world.addresses("lo") == ["127.0.0.1/8"], || netd.said());
    // While it sleeps more happens than the kernel keeps for it.
    kill_process(netd.pid(), Signal::STOP).unwrap();
    let host = world.host.clone();
    let batch = world.file("batch");
    let lines: String = (0..3000).map(|n| format!("link set eth0 mtu {}\n", 1400 + n % 2)).collect();
    fs::write(&batch, lines).unwrap();
    ip(&format!("-n {host} -batch {}", batch.display()));
    world.plug("eth4", 4);
    kill_process(netd.pid(), Signal::CONT).unwrap();
    netd.wait_for("events were lost");
    world.wait_for_status(&netd, "eth4 ready 10.4.0.7/24 static\n");
    kill_process(netd.pid(), Signal::STOP).unwrap();
    ip(&format!("-n {host} link del eth4"));
    ip(&format!("-n {host} -batch {}", batch.display()));
    kill_process(netd.pid(), Signal::CONT).unwrap();
    world.wait_for_status(&netd, "");
    assert!(netd.is_alive());
}

#[test]
fn an_idle_process_does_not_wake() {
    let world = World::new(&["eth0"]);
    let netd = world.start(STATIC, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.7/24 static\n");
    let wakes = || {
        let status = fs::read_to_string(format!("/proc/{}/status", netd.pid().as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u32>().unwrap()
    };
    // What it hears of its own changes is over after two seconds.
    thread::sleep(Duration::from_secs(3));
    let before = wakes();
    thread::sleep(Duration::from_secs(3));
    assert!(wakes() - before <= 1, "{} wakes in three seconds", wakes() - before);
}
