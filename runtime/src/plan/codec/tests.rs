//! Round trips, attacks and arbitrary bytes.

use proptest::prelude::*;

use super::*;

fn example() -> Plan {
    let path = |text: &str| AbsPath::new(text).unwrap();
    Plan {
        name: Name::new("web-1").unwrap(),
        root: Root::Image(path("/run/images/web")),
        writable: Writable::Tmpfs { bytes: 64 << 20 },
        argv: vec![c"/bin/web".into(), c"--port".into(), c"80".into()],
        env: vec![c"PATH=/bin".into()],
        cwd: path("/"),
        uid: 1000,
        gid: 1000,
        groups: vec![4, 5],
        hostname: Hostname::new("web-1").unwrap(),
        net: Namespace::Own,
        pid: Namespace::Host,
        user: UserNamespace::Own(IdRange::new(100_000, 65_536).unwrap()),
        caps: CapMask::new(1 << 10).unwrap(),
        seccomp: vec![Insn { code: 6, jt: 1, jf: 2, k: 0x7fff_0000 }],
        limits: Limits {
            memory: Some(1 << 30),
            cpu: Some(CpuQuota::new(50_000, 100_000).unwrap()),
            weight: Some(Weight::new(100).unwrap()),
            pids: None,
        },
        oom_score_adj: OomScoreAdj::new(-998).unwrap(),
        masked: vec![path("/proc/kcore")],
        readonly: vec![path("/proc/sys")],
        restart: Restart::OnFailure,
        stop_signal: Signal::new(15).unwrap(),
        grace_ms: 30_000,
    }
}

/// Encoded bytes with the body edited and the checksum and length made right again.
fn reforged(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = example().encode().unwrap();
    let mut body = bytes.split_off(HEADER);
    edit(&mut body);
    bytes[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
    bytes[12..16].copy_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn a_plan_survives_the_round_trip() {
    let host = Plan {
        root: Root::Host,
        writable: Writable::None,
        user: UserNamespace::Host,
        limits: Limits::default(),
        seccomp: Vec::new(),
        restart: Restart::Always,
        ..example()
    };
    let state = Plan { writable: Writable::State(AbsPath::new("/var/a").unwrap()), ..example() };
    for plan in [example(), host, state] {
        assert_eq!(Plan::decode(&plan.encode().unwrap()).unwrap(), plan);
    }
    assert_eq!(example().encode().unwrap().len(), 226);
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let good = example().encode().unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Plan::decode(&bad).is_err(), "byte {at}");
        assert!(Plan::decode(&good[..at]).is_err(), "cut at {at}");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(Plan::decode(&long), Err(Error::Trailing { extra: 1 }));
}

#[test]
fn a_right_checksum_does_not_excuse_a_wrong_body() {
    assert_eq!(Plan::decode(&reforged(|body| body.push(0))), Err(Error::Trailing { extra: 1 }));
    assert_eq!(
        Plan::decode(&reforged(|body| body[4] = b'/')).unwrap_err().to_string(),
        "plan field name is out of range: 1 to 128 letters, digits, '-', '.', '_'"
    );
    assert_eq!(Plan::decode(&reforged(|body| body[4] = 0xff)), Err(Error::NotUtf8));
    assert_eq!(Plan::decode(&reforged(|body| body[9] = 9)), Err(Error::Tag { kind: "root", tag: 9 }));
    let huge = reforged(|body| body[0..4].copy_from_slice(&u32::MAX.to_le_bytes()));
    assert_eq!(Plan::decode(&huge), Err(Error::ListTooLong { len: u32::MAX as usize, limit: MAX_STRING }));
    assert!(matches!(Plan::decode(&vec![0; MAX_ENCODED + 1]), Err(Error::PlanTooLong { .. })));
}

#[test]
fn what_no_field_can_know_is_refused_both_ways() {
    let cases = [
        Plan { argv: Vec::new(), ..example() },
        Plan { argv: vec![c"".into()], ..example() },
        Plan { uid: 65_536, ..example() },
        Plan { groups: vec![0, 70_000], ..example() },
        Plan { user: UserNamespace::Host, gid: u32::MAX, ..example() },
    ];
    for plan in cases {
        assert!(plan.encode().is_err());
        let mut body = Vec::new();
        plan.put(&mut body).unwrap();
        assert!(Plan::decode(&reforged(|old| *old = body)).is_err());
    }
    let many = Plan { env: vec![c"A=".into(); MAX_LIST + 1], ..example() };
    assert!(matches!(many.encode(), Err(Error::ListTooLong { .. })));
    let long = Plan { env: vec![CString::new(vec![b'a'; MAX_STRING]).unwrap(); 9], ..example() };
    assert!(matches!(long.encode(), Err(Error::PlanTooLong { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        assert!(Plan::decode(&bytes).is_err());
    }

    /// A body that is read at all is written back byte for byte: one plan, one encoding.
    #[test]
    fn arbitrary_edits_are_refused_or_read_exactly(at in 0usize..210, value: u8) {
        let bytes = reforged(|body| body[at] = value);
        if let Ok(plan) = Plan::decode(&bytes) {
            prop_assert_eq!(plan.encode().unwrap(), bytes);
        }
    }
}
