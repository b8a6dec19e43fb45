//! A server of our own, byte by byte: it renews, refuses, stalls, lies and talks nonsense.

use std::{
    cell::Cell,
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use crate::world::{World, eventually, inside};

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;
/// What it gives.
const YOURS: [u8; 4] = [10, 1, 0, 60];
const SERVER: [u8; 4] = [10, 1, 0, 1];

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Broadcast,
    Unicast,
}

/// A client's message.
#[derive(Debug, Clone)]
struct Question {
    kind: u8,
    by: By,
    transaction: [u8; 4],
    hardware: [u8; 6],
    client: Ipv4Addr,
    from: SocketAddr,
}

/// A server on the network of `eth0`.
struct Server {
    sockets: [(By, UdpSocket); 2],
}

impl Server {
    fn open(world: &World) -> Self {
        inside(&world.net, || {
            let open = |address: Ipv4Addr| {
                let socket = UdpSocket::bind((address, 67)).unwrap();
                setsockopt(&socket, BindToDevice, &OsString::from("peer-eth0")).unwrap();
                socket.set_broadcast(true).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            };
            Self { sockets: [(By::Broadcast, open(Ipv4Addr::BROADCAST)), (By::Unicast, open(SERVER.into()))] }
        })
    }

    /// The next message, if it has come already.
    fn heard(&self) -> Option<Question> {
        let mut bytes = [0; 2000];
        self.sockets.iter().find_map(|(by, socket)| {
            let (len, from) = socket.recv_from(&mut bytes).ok()?;
            assert!(len >= 300 && bytes[..3] == [1, 1, 6], "a request of BOOTP's size");
            assert_eq!(bytes[240..242], [53, 1], "option 53 comes first");
            let (kind, by) = (bytes[242], *by);
            let client = <[u8; 4]>::try_from(&bytes[12..16]).unwrap().into();
            let transaction = bytes[4..8].try_into().unwrap();
            let hardware = bytes[28..34].try_into().unwrap();
            Some(Question { kind, by, transaction, hardware, client, from })
        })
    }

    /// Waits for a message of that kind; others are passed over.
    fn hear(&self, kind: u8) -> Question {
        let mut question = None;
        eventually(
            || {
                question = self.heard().filter(|question| question.kind == kind);
                question.is_some()
            },
            || format!("no message of kind {kind}"),
        );
        question.unwrap()
    }

    /// Says something where the question came from: to the address, or to everybody.
    fn say(&self, question: &Question, bytes: &[u8]) {
        let to = if question.client.is_unspecified() { Ipv4Addr::BROADCAST } else { question.client };
        self.sockets[1].1.send_to(bytes, (to, 68)).unwrap();
    }

    fn answer(&self, question: &Question, kind: u8, options: &[(u8, &[u8])]) {
        self.say(question, &reply(question, kind, options));
    }

    /// Gives a lease to whoever asks first.
    fn give(&self, options: &[(u8, &[u8])]) {
        self.answer(&self.hear(DISCOVER), OFFER, options);
        self.answer(&self.hear(REQUEST), ACK, options);
    }
}

/// An answer with these options and, unless they are among them, those that every answer has.
fn reply(question: &Question, kind: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..3].copy_from_slice(&[2, 1, 6]);
    bytes[4..8].copy_from_slice(&question.transaction);
    bytes[16..20].copy_from_slice(&YOURS);
    bytes[28..34].copy_from_slice(&question.hardware);
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    let always: [(u8, &[u8]); 4] =
        [(53, &[kind]), (54, &SERVER), (51, &[0, 0, 0, 100]), (1, &[255, 255, 255, 0])];
    let given = |code: u8| options.iter().any(|(given, _)| *given == code);
    for (code, value) in always.iter().filter(|(code, _)| !given(*code)).chain(options) {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    bytes
}

/// Replies that must change nothing, made from a good one.
fn nonsense(question: &Question, kind: u8) -> Vec<Vec<u8>> {
    let good = reply(question, kind, &[(3, &SERVER)]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let mut all: Vec<_> = [0, 1, 100, 239, 240, 241, 244, 250].map(|len| good[..len].to_vec()).into();
    all.extend([
        with(&|bytes| bytes[0] = 1),
        with(&|bytes| bytes[1] = 6),
        with(&|bytes| bytes[2] = 16),
        with(&|bytes| bytes[4] ^= 1),
        with(&|bytes| bytes[33] ^= 1),
        with(&|bytes| bytes[16..20].fill(0)),
        with(&|bytes| bytes[16..20].fill(255)),
        with(&|bytes| bytes[16] = 127),
        with(&|bytes| bytes[16] = 224),
        with(&|bytes| bytes[236] = 0),
        with(&|bytes| bytes[240] = 0),
        with(&|bytes| bytes[241] = 200),
        with(&|bytes| bytes[242] = 77),
        with(&|bytes| bytes[245..249].fill(0)),
        with(&|bytes| bytes[258] = 77),
        with(&|bytes| bytes.extend([0xaa; 1400])),
        vec![0xff; 1400],
    ]);
    all
}

#[test]
fn nonsense_is_passed_over() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let mut netd = world.start("", &["eth0"]);
    for (question, kind) in [(DISCOVER, OFFER), (REQUEST, ACK)] {
        let question = server.hear(question);
        assert_eq!(question.by, By::Broadcast);
        assert_eq!(question.from, "0.0.0.0:68".parse().unwrap(), "it has no address yet");
        for bytes in nonsense(&question, kind) {
            server.say(&question, &bytes);
        }
        server.answer(&question, kind, &[(3, &SERVER)]);
    }
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/24 dhcp\n");
    assert_eq!(world.addresses("eth0"), ["10.1.0.60/24"]);
    assert!(netd.is_alive());
}

#[test]
fn a_lease_is_renewed_with_its_server_and_ends_when_it_says_so() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let netd = world.start("", &["eth0"]);
    let soon: [(u8, &[u8]); 2] = [(58, &[0, 0, 0, 3]), (3, &SERVER)];
    server.give(&soon);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/24 dhcp\n");
    let question = server.hear(REQUEST);
    assert_eq!((question.by, question.client), (By::Unicast, YOURS.into()));
    assert_eq!(question.from, "10.1.0.60:68".parse().unwrap());
    server.answer(&question, ACK, &soon);
    netd.wait_for("lease renewed");
    let seconds = || world.show("-4 addr show eth0")[0]["addr_info"][0]["valid_life_time"].as_u64().unwrap();
    eventually(|| seconds() >= 98, || "its time began anew".to_owned());
    server.answer(&server.hear(REQUEST), NAK, &[]);
    netd.wait_for("lease lost");
    eventually(|| world.addresses("eth0").is_empty(), || netd.said());
    assert_eq!(server.hear(DISCOVER).by, By::Broadcast);
    world.wait_for_status(&netd, "eth0 searching - dhcp\n");
}

#[test]
fn a_server_that_stalls_is_asked_again() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let netd = world.start("", &["eth0"]);
    server.answer(&server.hear(DISCOVER), OFFER, &[]);
    let first = server.hear(REQUEST);
    let second = server.hear(REQUEST);
    assert_eq!(first.transaction, second.transaction);
    assert_eq!(world.report("status"), "eth0 searching - dhcp\n");
    server.answer(&second, ACK, &[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/24 dhcp\n");
}

#[test]
fn a_server_that_refuses_what_it_offers_makes_no_storm() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let netd = world.start("", &["eth0"]);
    let heard = Cell::new(0);
    eventually(
        || {
            while let Some(question) = server.heard() {
                heard.update(|count| count + 1);
                server.answer(&question, if question.kind == DISCOVER { OFFER } else { NAK }, &[]);
            }
            netd.said().contains("asking less often")
        },
        || format!("{} messages", heard.get()),
    );
    assert!((10..=20).contains(&heard.get()), "{} messages", heard.get());
    // An honest one is still found.
    server.give(&[]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/24 dhcp\n");
}

#[test]
fn settings_that_harm_are_refused_and_the_rest_is_taken() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let netd = world.start("", &["eth0"]);
    let routes = [&[8, 12, 224, 0, 0, 1][..], &[8, 11], &SERVER].concat();
    server.give(&[(121, &routes), (26, &[0, 68]), (6, &[0, 0, 0, 0, 9, 9, 9, 9]), (12, b"a\x1b[2Jb")]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/24 dhcp\n");
    netd.wait_for("change failed interface=eth0 change=route:12.0.0.0/8:via:224.0.0.1");
    let mut kept = world.routes();
    kept.sort();
    assert_eq!(kept, ["10.1.0.0/24 via - dev eth0", "11.0.0.0/8 via 10.1.0.1 dev eth0"]);
    assert_eq!(world.show("link show eth0")[0]["mtu"], 1500, "68 bytes starve a host");
    assert_eq!(world.report("resolv.conf"), "# Written by netd.\nnameserver 9.9.9.9\n");
}

#[test]
fn a_lone_address_reaches_the_gateway_beside_it() {
    let world = World::new(&["eth0"]);
    let server = Server::open(&world);
    let netd = world.start("", &["eth0"]);
    server.give(&[(1, &[255; 4]), (3, &[10, 77, 0, 1])]);
    world.wait_for_status(&netd, "eth0 ready 10.1.0.60/32 dhcp\n");
    assert_eq!(world.routes(), ["default via 10.77.0.1 dev eth0"]);
}
