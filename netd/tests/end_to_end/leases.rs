//! dnsmasq as server: the leases that a machine gets in the field.

use std::process::Command;

use crate::world::{World, eventually, ip};

/// A server on the network of the interface, which is the `number`th.
fn dnsmasq(world: &mut World, interface: &str, number: u8, options: &[&str]) {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--no-ping"])
        .args(["--bind-interfaces", "--dhcp-authoritative", "--log-facility=-", "--pid-file="])
        .arg(format!("--interface=peer-{interface}"))
        .arg(format!("--dhcp-leasefile={}", world.file(&format!("leases-{interface}")).display()))
        .arg(format!("--dhcp-range=10.{number}.0.50,10.{number}.0.50,255.255.255.0,120"))
        .args(options.iter().map(|option| format!("--dhcp-option={option}")));
    world.serve(command);
}

#[test]
fn a_lease_brings_address_routes_mtu_and_name_servers_and_goes_with_the_carrier() {
    let mut world = World::new(&["eth0"]);
    let routes = "121,0.0.0.0/0,10.1.0.2,172.16.0.0/12,10.1.0.3,10.99.0.0/16,0.0.0.0";
    dnsmasq(&mut world, "eth0", 1, &["3,10.1.0.9", routes, "6,10.1.0.1,9.9.9.9", "26,1400"]);
    let netd = world.start("quiet", &["eth0"]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\n");

    let link = &world.show("-4 addr show eth0")[0];
    let address = &link["addr_info"][0];
    assert_eq!((&link["mtu"], &address["broadcast"]), (&1400.into(), &"10.1.0.255".into()));
    let seconds = address["valid_life_time"].as_u64().unwrap();
    assert!((60..=120).contains(&seconds), "the kernel takes it away when the lease ends: {address}");
    let mut want = vec![
        "10.1.0.0/24 via - dev eth0",
        "10.99.0.0/16 via - dev eth0",
        "172.16.0.0/12 via 10.1.0.3 dev eth0",
        "default via 10.1.0.2 dev eth0",
    ];
    let mut routes = world.routes();
    routes.sort();
    want.sort();
    assert_eq!(routes, want, "option 121 stands in for option 3");
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\nnameserver 10.1.0.1\nnameserver 9.9.9.9\n");
    let lo = &world.show("addr show lo")[0];
    assert!(lo["flags"].as_array().unwrap().contains(&"UP".into()), "{lo}");
    assert_eq!(world.addresses("lo"), ["127.0.0.1/8"]);

    ip(&format!("-n {} link set peer-eth0 down", world.net));
    world.wait_for_status(&netd, "eth0 no-carrier - dhcp\n");
    eventually(|| world.addresses("eth0").is_empty(), || world.show("addr").to_string());
    assert_eq!(world.routes(), [""; 0]);
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\n");
    assert_eq!(world.show("link show eth0")[0]["mtu"], 1500, "its own again");

    ip(&format!("-n {} link set peer-eth0 up", world.net));
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\n");
    assert_eq!(world.show("link show eth0")[0]["mtu"], 1400);
}

#[test]
fn of_two_interfaces_the_first_has_the_default_route() {
    let mut world = World::new(&["eth0", "eth1"]);
    for (number, interface) in [(1, "eth0"), (2, "eth1")] {
        let dns = format!("6,10.{number}.0.1");
        dnsmasq(&mut world, interface, number, &[&format!("3,10.{number}.0.1"), &dns]);
    }
    let netd = world.start("", &["eth1", "eth0"]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\neth1 ready 10.2.0.50/24 dhcp\n");
    let defaults =
        || world.routes().into_iter().filter(|route| route.starts_with("default")).collect::<Vec<_>>();
    assert_eq!(defaults(), ["default via 10.1.0.1 dev eth0", "default via 10.2.0.1 dev eth1"]);
    let dns = "# Written by netd.\nnameserver 10.1.0.1\nnameserver 10.2.0.1\n";
    assert_eq!(world.report("resolv.conf"), dns);
    ip(&format!("-n {} link set peer-eth0 down", world.net));
    world.wait_for_status(&netd, "eth0 no-carrier - dhcp\neth1 ready 10.2.0.50/24 dhcp\n");
    assert_eq!(defaults(), ["default via 10.2.0.1 dev eth1"]);
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\nnameserver 10.2.0.1\n");
}

#[test]
fn a_server_that_comes_late_is_found() {
    let mut world = World::new(&["eth0"]);
    let netd = world.start("ip=:::::eth0:dhcp", &[]);
    world.wait_for_status(&netd, "eth0 searching - dhcp\n");
    assert_eq!((world.addresses("eth0"), world.routes()), (vec![], vec![]));
    dnsmasq(&mut world, "eth0", 1, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\n");
}

#[test]
fn reverse_path_filters_do_not_hide_the_server() {
    let mut world = World::new(&["eth0"]);
    dnsmasq(&mut world, "eth0", 1, &[]);
    crate::world::inside(&world.host, || {
        // The file is that of the namespace of whoever opens it.
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
    });
    let netd = world.start("", &["eth0"]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\n");
}

#[test]
fn an_interface_may_vanish_and_another_come() {
    let mut world = World::new(&["eth0"]);
    dnsmasq(&mut world, "eth0", 1, &[]);
    let mut netd = world.start("", &["eth0"]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.50/24 dhcp\n");
    ip(&format!("-n {} link del eth0", world.host));
    world.wait_for_status(&netd, "");
    world.stop_serving();
    world.plug("eth0", 3);
    dnsmasq(&mut world, "eth0", 3, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.3.0.50/24 dhcp\n");
    assert!(netd.is_alive());
}
