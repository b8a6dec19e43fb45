//! The kernel as judge, and iproute2 beside it: what is asked for in a fresh network namespace is there afterwards.

use std::{net::IpAddr, process::Command, thread, time::Duration};

use coracle_netlink::{Address, Errno, Error, Events, FOREVER, Index, Link, Message, Requests, Route};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// Runs `test` on a thread with a network namespace of its own, as empty as a machine without a network card.
fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    });
    thread.join().unwrap();
}

/// What `ip -j` says in this thread's namespace.
fn ip(arguments: &str) -> Value {
    let out = Command::new("ip").arg("-j").args(arguments.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&out.stderr));
    if out.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&out.stdout).unwrap() }
}

fn links(requests: &mut Requests) -> Vec<Link> {
    let link = |message| if let Message::Link(link) = message { Some(link) } else { None };
    requests.dump(&Link::dump(), link).unwrap()
}

/// A pair of links that are up, with a network on the first.
fn pair(requests: &mut Requests) -> Index {
    ip("link add left type veth peer name right");
    let pair: Vec<_> = links(requests).into_iter().filter(|link| !link.loopback).collect();
    for link in &pair {
        requests.change(&Link::set_up(link.index)).unwrap();
    }
    pair.iter().find(|link| link.name == "left").unwrap().index
}

/// The link, once it runs or no longer does: the kernel takes up to a second to say so.
fn wait_for(requests: &mut Requests, index: Index, running: bool) -> Link {
    for _ in 0..500 {
        let link = links(requests).into_iter().find(|link| link.index == index).unwrap();
        if link.running == running {
            return link;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the link did not come to running={running}");
}

fn address(index: Index) -> Address {
    Address { index, address: [10, 9, 0, 5].into(), prefix: 24, seconds: 100, metric: 1007, protocol: 16 }
}

#[test]
fn links_are_found_and_set() {
    in_a_namespace(|| {
        let mut requests = Requests::open().unwrap();
        let [lo] = &links(&mut requests)[..] else { panic!("one link") };
        assert!(lo.loopback && !lo.up && lo.ethernet.is_none(), "{lo:?}");
        requests.change(&Link::set_up(lo.index)).unwrap();
        let left = pair(&mut requests);
        requests.change(&Link::set_mtu(left, 1400)).unwrap();
        let link = wait_for(&mut requests, left, true);
        assert!(link.up && link.ethernet.is_some(), "{link:?}");
        assert_eq!((link.mtu, link.kind.as_deref(), link.master), (1400, Some("veth"), None));
        assert_eq!(ip("link show left")[0]["mtu"], 1400);
        ip("link set right down");
        assert!(wait_for(&mut requests, left, false).up, "set up, but without carrier");
    });
}

#[test]
fn an_address_is_set_prolonged_and_removed() {
    in_a_namespace(|| {
        let mut requests = Requests::open().unwrap();
        let want = address(pair(&mut requests));
        let mut known = |message| match message {
            Message::Address(address) if address.address.is_ipv4() => Some(address),
            _ => None,
        };
        requests.change(&want.replace()).unwrap();
        assert_eq!(requests.dump(&Address::dump(), &mut known), Ok(vec![want.clone()]));
        let told = &ip("-4 addr show left")[0]["addr_info"][0];
        assert_eq!((&told["local"], &told["broadcast"]), (&"10.9.0.5".into(), &"10.9.0.255".into()));
        assert_eq!(ip("route show dev left")[0]["metric"], 1007, "the route to the link's network");
        let want = Address { seconds: FOREVER, ..want };
        requests.change(&want.replace()).unwrap();
        assert_eq!(requests.dump(&Address::dump(), &mut known), Ok(vec![want.clone()]));
        requests.change(&want.remove()).unwrap();
        assert_eq!(requests.dump(&Address::dump(), &mut known), Ok(vec![]));
        assert_eq!(requests.change(&want.remove()), Err(Error::Refused(Errno::EADDRNOTAVAIL)));
    });
}

#[test]
fn routes_are_set_told_and_go_with_their_source() {
    in_a_namespace(|| {
        let mut requests = Requests::open().unwrap();
        let index = pair(&mut requests);
        let own = address(index);
        requests.change(&own.replace()).unwrap();
        let near = |octets: [u8; 4]| Some(IpAddr::from(octets));
        let route = |destination: [u8; 4], prefix, gateway, on_link| Route {
            destination: destination.into(),
            prefix,
            gateway,
            on_link,
            index,
            metric: 1007,
            source: Some(own.address),
            protocol: 16,
        };
        let wanted = vec![
            route([0; 4], 0, near([10, 9, 0, 1]), false),
            route([172, 16, 0, 0], 12, near([192, 168, 7, 1]), true),
            route([192, 168, 7, 1], 32, None, false),
        ];
        let ours = |message| match message {
            Message::Route(route) if route.protocol == 16 => Some(route),
            _ => None,
        };
        for route in &wanted {
            requests.change(&route.replace()).unwrap();
            requests.change(&route.replace()).unwrap();
        }
        assert_eq!(requests.dump(&Route::dump(), ours), Ok(wanted.clone()));
        let far = route([8, 8, 8, 8], 32, near([9, 9, 9, 9]), false);
        assert_eq!(requests.change(&far.replace()), Err(Error::Refused(Errno::ENETUNREACH)));
        requests.change(&wanted[0].remove()).unwrap();
        assert_eq!(requests.dump(&Route::dump(), ours), Ok(wanted[1..].to_vec()));
        requests.change(&own.remove()).unwrap();
        assert_eq!(requests.dump(&Route::dump(), ours), Ok(vec![]), "they start from the address");
    });
}

#[test]
fn events_tell_what_happened_and_when_some_were_lost() {
    in_a_namespace(|| {
        let (mut requests, mut events) = (Requests::open().unwrap(), Events::open().unwrap());
        let index = pair(&mut requests);
        let own = address(index);
        requests.change(&own.replace()).unwrap();
        requests.change(&own.remove()).unwrap();
        ip("link del left");
        let mut heard = vec![];
        while events.receive(|message| heard.push(message)).unwrap() {}
        let place = |wanted: &dyn Fn(&Message) -> bool| heard.iter().position(wanted).expect("not heard");
        let order = [
            place(&|message| matches!(message, Message::Link(link) if link.index == index)),
            place(&|message| *message == Message::Address(own.clone())),
            place(&|message| matches!(message, Message::AddressGone(gone) if gone.address == own.address)),
            place(&|message| *message == Message::LinkGone(index)),
        ];
        assert!(order.is_sorted(), "{order:?}");

        let lo = links(&mut requests)[0].index;
        for mtu in 0..3000 {
            requests.change(&Link::set_mtu(lo, 2000 + mtu)).unwrap();
        }
        let lost = (0..3000).find_map(|_| events.receive(|_| {}).err());
        assert_eq!(lost, Some(Error::Overrun));
        while events.receive(|_| {}).unwrap() {}
    });
}

#[test]
fn a_table_of_any_size_is_read_within_a_bound() {
    in_a_namespace(|| {
        let mut requests = Requests::open().unwrap();
        let index = pair(&mut requests);
        for n in 0..3000u32 {
            let octets = (0x0a0a_0000 + n).to_be_bytes();
            requests
                .change(&Address { address: octets.into(), prefix: 32, ..address(index) }.replace())
                .unwrap();
        }
        assert_eq!(requests.dump(&Address::dump(), Some), Err(Error::TooMany { limit: 1024 }));
        // What is left of that answer is not taken for the next one.
        assert_eq!(links(&mut requests).len(), 3);
        let last = |message: Message| match message {
            Message::Address(address) if address.address == IpAddr::from([10, 10, 11, 183]) => Some(address),
            _ => None,
        };
        assert_eq!(requests.dump(&Address::dump(), last).unwrap().len(), 1);
    });
}
