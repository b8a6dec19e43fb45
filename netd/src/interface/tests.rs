use super::*;

fn link(name: &str) -> Link {
    Link {
        index: Index::new(2).unwrap(),
        name: name.to_owned(),
        up: true,
        running: true,
        loopback: false,
        ethernet: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        kind: None,
        master: None,
    }
}

fn chosen(device: &str) -> Static {
    Static {
        address: [10, 0, 0, 5].into(),
        prefix: 24,
        gateway: None,
        device: device.to_owned(),
        dns: vec![],
    }
}

fn settings(mtu: Option<u16>) -> Settings {
    Settings { source: Source::Dhcp, mtu, ..Settings::from(&chosen("eth0")) }
}

#[test]
fn only_network_cards_and_what_is_named_have_a_role() {
    let every = Config::Dhcp { device: None };
    let one = Config::Dhcp { device: Some("veth7".to_owned()) };
    let fixed = Config::Static(chosen("eth0"));
    let veth = |name: &str| Link { kind: Some("veth".to_owned()), ..link(name) };
    let member = Link { master: Index::new(9), ..link("eth0") };
    let tunnel = Link { ethernet: None, ..link("tun0") };
    let loopback = Link { loopback: true, ethernet: None, ..link("lo") };
    let named = ["veth3".to_owned()];
    let cases = [
        (link("eth0"), &every, Some(Role::Dhcp)),
        (veth("veth1"), &every, None),
        (veth("veth3"), &every, Some(Role::Dhcp)),
        (member, &every, None),
        (tunnel, &every, None),
        (link("a=b"), &every, None),
        (loopback.clone(), &every, Some(Role::Loopback)),
        (link("eth0"), &one, None),
        (veth("veth7"), &one, Some(Role::Dhcp)),
        (link("eth0"), &fixed, Some(Role::Static(chosen("eth0")))),
        (link("eth1"), &fixed, None),
        (link("eth0"), &Config::Off, None),
        (loopback, &Config::Off, Some(Role::Loopback)),
    ];
    for (link, config, want) in cases {
        assert_eq!(Role::of(&link, config, &named), want, "{} {config:?}", link.name);
    }
}

#[test]
fn what_a_predecessor_left_stays_until_something_is_known() {
    let mut interface = Interface::new(link("eth0"), Role::Dhcp, 10);
    assert!(!interface.should_settle(10), "nothing is known");
    interface.heard(Link { running: false, ..link("eth0") }, 11);
    interface.follow_carrier(11);
    assert!(interface.should_settle(11), "without a carrier it shall have nothing");
    assert!(!interface.should_settle(12), "once");
    interface.disturbed(12);
    assert!(interface.should_settle(12));
    interface.disturbed(12);
    assert_eq!((interface.should_settle(12), interface.deadline()), (false, 13), "not all the time");
}

#[test]
fn a_static_interface_is_settled_whenever_it_comes_up() {
    let down = Link { up: false, running: false, ..link("eth0") };
    let mut interface = Interface::new(down.clone(), Role::Static(chosen("eth0")), 10);
    assert!(interface.should_raise(10) && !interface.should_raise(10), "one attempt, then a pause");
    assert!(!interface.should_settle(10), "routes cannot be set while it is down");
    assert_eq!(interface.deadline(), 15);
    interface.heard(link("eth0"), 12);
    assert!(interface.should_settle(12) && !interface.should_raise(99));
    interface.heard(down, 13);
    interface.heard(link("eth0"), 14);
    assert!(interface.should_settle(14), "its routes are gone");
}

#[test]
fn the_mtu_is_set_once_for_each_wish_and_goes_back() {
    let mut interface = Interface::new(link("eth0"), Role::Dhcp, 0);
    let mut wish = |mtu| {
        interface.settings = mtu;
        [interface.mtu_to_set(), interface.mtu_to_set()]
    };
    assert_eq!(wish(None), [None, None]);
    assert_eq!(wish(Some(settings(None))), [None, None]);
    assert_eq!(wish(Some(settings(Some(1500)))), [None, None], "it has that one");
    assert_eq!(wish(Some(settings(Some(1400)))), [Some(1400), None]);
    assert_eq!(wish(Some(settings(Some(9000)))), [Some(9000), None]);
    assert_eq!(wish(None), [Some(1500), None]);
}

#[test]
fn the_line_says_what_is_the_case() {
    let mut interface = Interface::new(Link { up: false, running: false, ..link("eth0") }, Role::Dhcp, 0);
    let mut seen = vec![];
    let mut see = |interface: &Interface| {
        let line = interface.line().unwrap();
        seen.push((line.state, line.address.is_some()));
    };
    see(&interface);
    interface.heard(Link { running: false, ..link("eth0") }, 0);
    see(&interface);
    interface.heard(link("eth0"), 0);
    see(&interface);
    interface.settings = Some(settings(None));
    see(&interface);
    interface.settled(true);
    see(&interface);
    let want = [
        (State::Down, false),
        (State::NoCarrier, false),
        (State::Searching, false),
        (State::Ready, true),
        (State::Failed, false),
    ];
    assert_eq!(seen, want);
    assert_eq!(Interface::new(link("lo"), Role::Loopback, 0).line(), None);
}
