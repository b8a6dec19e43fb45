//! What becomes of a profile, judged by the interpreter.

use coracle_runtime::seccomp::{
    interpret::{Call, run},
    policy::{ARCH_X86, ARCH_X86_64, X32_BIT},
};

use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn lowered(json: &str) -> Result<Filter, Error> {
    lower(&serde_json::from_str(json).unwrap())
}

/// The verdict of a filter that has these rules and, by default, an errno.
fn verdict(rules: &str, arch: u32, nr: u32, args: [u64; 3]) -> u32 {
    let json = format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [{rules}]}}"#
    );
    let [first, second, third] = args;
    run(&lowered(&json).unwrap().program, Call { nr, arch, args: [first, second, third, 0, 0, 0] }).0
}

/// A rule for `read`.
fn read(action: &str, args: &[(u8, &str, u64, u64)]) -> String {
    let args: Vec<String> = args
        .iter()
        .map(|(index, op, value, two)| {
            format!(r#"{{"index": {index}, "op": "SCMP_CMP_{op}", "value": {value}, "valueTwo": {two}}}"#)
        })
        .collect();
    format!(r#"{{"names": ["read"], "action": "SCMP_ACT_{action}", "args": [{}]}}"#, args.join(", "))
}

#[test]
fn every_action_has_its_value() {
    let cases = [
        (r#""SCMP_ACT_KILL""#, 0),
        (r#""SCMP_ACT_KILL_THREAD""#, 0),
        (r#""SCMP_ACT_KILL_PROCESS""#, 0x8000_0000),
        (r#""SCMP_ACT_TRAP""#, 0x0003_0000),
        (r#""SCMP_ACT_ERRNO""#, EPERM),
        (r#""SCMP_ACT_ERRNO", "errnoRet": 38"#, ENOSYS),
        (r#""SCMP_ACT_ERRNO", "errnoRet": 4095"#, 0x0005_0fff),
        (r#""SCMP_ACT_TRACE""#, 0x7ff0_0001),
        (r#""SCMP_ACT_TRACE", "errnoRet": 65535"#, 0x7ff0_ffff),
        (r#""SCMP_ACT_ALLOW""#, ALLOW),
        (r#""SCMP_ACT_LOG""#, 0x7ffc_0000),
        (r#""SCMP_ACT_NOTIFY""#, 0x7fc0_0000),
    ];
    for (action, want) in cases {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 7, "listenerPath": "/run/agent",
                "syscalls": [{{"names": ["read"], "action": {action}}}]}}"#
        );
        let program = lowered(&json).unwrap().program;
        let ask = |nr| run(&program, Call { nr, arch: ARCH_X86_64, args: [0; 6] }).0;
        assert_eq!((ask(0), ask(1)), (want, ENOSYS), "{action}");
    }
}

#[test]
fn every_operator_compares_as_it_says() {
    let cases = [
        ("NE", 5, 0, [true, false, true]),
        ("LT", 5, 0, [true, false, false]),
        ("LE", 5, 0, [true, true, false]),
        ("EQ", 5, 0, [false, true, false]),
        ("GE", 5, 0, [false, true, true]),
        ("GT", 5, 0, [false, false, true]),
        ("MASKED_EQ", 3, 1, [false, true, false]),
        ("MASKED_EQ", 3, 2, [false, false, true]),
    ];
    for (op, value, two, want) in cases {
        let rule = read("ALLOW", &[(1, op, value, two)]);
        let got = [4, 5, 6].map(|second| verdict(&rule, ARCH_X86_64, 0, [0, second, 0]) == ALLOW);
        assert_eq!(got, want, "{op} {value} {two}");
    }
}

#[test]
fn the_wider_rule_wins_and_then_the_narrower() {
    let (eq0, eq1) = ((0, "EQ", 0, 0), (1, "EQ", 1, 0));
    let all = read("KILL_PROCESS", &[]);
    let cases: [(&[String], [u64; 2], u32); 10] = [
        // Both arguments.
        (&[read("ALLOW", &[eq0, eq1])], [0, 1], ALLOW),
        (&[read("ALLOW", &[eq0, eq1])], [0, 0], EPERM),
        // One argument twice: either.
        (&[read("ALLOW", &[(0, "EQ", 1, 0), (0, "EQ", 2, 0)])], [2, 0], ALLOW),
        (&[read("ALLOW", &[(0, "EQ", 1, 0), (0, "EQ", 2, 0), eq1])], [7, 1], ALLOW),
        // Without conditions, wherever it stands.
        (&[read("ALLOW", &[eq0]), all.clone()], [0, 0], 0x8000_0000),
        (&[all.clone(), read("ALLOW", &[])], [0, 0], 0x8000_0000),
        // Fewer conditions, wherever they stand.
        (&[read("TRAP", &[eq0, eq1]), read("ALLOW", &[eq0])], [0, 1], ALLOW),
        // The default's action says nothing.
        (&[read("ERRNO", &[]), read("ALLOW", &[eq0])], [0, 0], ALLOW),
        // The narrower of two that overlap.
        (&[read("ALLOW", &[(0, "GE", 2, 0)]), read("TRAP", &[(0, "EQ", 3, 0)])], [3, 0], 0x0003_0000),
        (&[read("TRAP", &[(0, "LT", 9, 0)]), read("ALLOW", &[(0, "LT", 3, 0)])], [2, 0], ALLOW),
    ];
    for (rules, [first, second], want) in cases {
        let rules = rules.join(", ");
        assert_eq!(verdict(&rules, ARCH_X86_64, 0, [first, second, 0]), want, "{rules}");
    }
}

#[test]
fn each_architecture_has_its_numbers_and_its_arguments() {
    let of = |names: &str, args: &str| format!(r#"{{"names": [{names}], "action": "SCMP_ACT_ALLOW"{args}}}"#);
    let plain = of(r#""ioctl", "socketcall", "nonsense""#, "");
    let wide = of(r#""ioctl""#, r#", "args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": 7}]"#);
    let family = of(r#""socket""#, r#", "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 2}]"#);
    let protocol = of(r#""socket""#, r#", "args": [{"index": 2, "op": "SCMP_CMP_EQ", "value": 9}]"#);
    let high = 1 << 32;
    let cases = [
        (&plain, ARCH_X86_64, 16, [0; 3], ALLOW),
        (&plain, ARCH_X86_64, 102, [0; 3], ENOSYS),
        (&plain, ARCH_X86_64, X32_BIT + 16, [0; 3], EPERM),
        (&plain, ARCH_X86_64, X32_BIT + 514, [0; 3], ALLOW),
        (&plain, ARCH_X86_64, X32_BIT + 515, [0; 3], ENOSYS),
        (&plain, ARCH_X86, 54, [0; 3], ALLOW),
        (&plain, ARCH_X86, 102, [0; 3], ALLOW),
        (&plain, 0xc000_00b7, 16, [0; 3], 0),
        (&wide, ARCH_X86_64, 16, [0, 7, 0], ALLOW),
        (&wide, ARCH_X86_64, 16, [0, high | 7, 0], EPERM),
        (&wide, ARCH_X86_64, X32_BIT + 514, [0, high | 7, 0], ALLOW),
        (&family, ARCH_X86, 359, [2, 0, 0], ALLOW),
        (&family, ARCH_X86, 359, [3, 0, 0], EPERM),
        (&family, ARCH_X86, 102, [1, 0, 0], ALLOW),
        (&family, ARCH_X86, 102, [2, 0, 0], EPERM),
        (&protocol, ARCH_X86, 102, [1, 0, 9], ALLOW),
        (&protocol, ARCH_X86, 102, [1, 0, 8], EPERM),
    ];
    for (rules, arch, nr, args, want) in cases {
        assert_eq!(verdict(rules, arch, nr, args), want, "{rules} {arch:#x} {nr} {args:?}");
    }
}

#[test]
fn what_is_not_listed_kills_and_what_is_newer_does_not_exist() {
    let cases = [
        ("ERRNO", ENOSYS),
        ("KILL_PROCESS", ENOSYS),
        ("TRAP", ENOSYS),
        ("ALLOW", ALLOW),
        ("LOG", 0x7ffc_0000),
        ("TRACE", 0x7ff0_0001),
    ];
    for (default, want) in cases {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "architectures": ["SCMP_ARCH_AARCH64"],
                "syscalls": [{{"names": ["openat2"], "action": "SCMP_ACT_{default}"}}]}}"#
        );
        let program = lowered(&json).unwrap().program;
        let ask = |arch, nr| run(&program, Call { nr, arch, args: [0; 6] }).0;
        assert_eq!(ask(ARCH_X86_64, 438), want, "{default}");
        assert_ne!(ask(ARCH_X86_64, 437), ENOSYS, "{default}");
        for (arch, nr) in [(ARCH_X86, 0), (ARCH_X86_64, X32_BIT), (0xc000_00b7, 0)] {
            assert_eq!(ask(arch, nr), 0, "{default}");
        }
        assert_eq!(ask(ARCH_X86_64, u32::MAX), want, "{default}");
    }
    let bare = lowered(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#).unwrap().program;
    assert_eq!(run(&bare, Call { nr: 999, arch: ARCH_X86_64, args: [0; 6] }).0, EPERM);
}

#[test]
fn flags_and_the_listener_are_carried_on() {
    let all =
        r#""SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV""#;
    let notify =
        r#""syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}], "listenerPath": "/run/agent""#;
    let (both, path) = (Flags::TSYNC.and(Flags::LOG), PathBuf::from("/run/agent"));
    let listener =
        |metadata: Option<&str>| Some(Listener { path: path.clone(), metadata: metadata.map(str::to_owned) });
    let cases = [
        (String::new(), Flags::SPEC_ALLOW, None),
        (r#", "flags": []"#.into(), Flags::NONE, None),
        (r#", "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]"#.into(), Flags::SPEC_ALLOW, None),
        (format!(r#", "flags": [{all}], "listenerPath": "/run/agent""#), both, None),
        (format!(r#", "flags": [{all}], {notify}"#), both.and(Flags::WAIT_KILLABLE_RECV), listener(None)),
        (format!(r#", "flags": [], {notify}, "listenerMetadata": "x""#), Flags::NONE, listener(Some("x"))),
    ];
    for (rest, flags, listener) in cases {
        let filter = lowered(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW"{rest}}}"#)).unwrap();
        assert_eq!((filter.flags, filter.listener), (flags, listener), "{rest}");
    }
}

#[test]
fn every_refusal_names_the_property() {
    let allowing = |rest: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {rest}}}"#);
    let rules = |rule: &str| {
        let first = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}"#;
        allowing(&format!(r#""syscalls": [{first}, {{"names": ["read", "write"], {rule}}}]"#))
    };
    let args =
        r#"{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 6, "op": "SCMP_CMP_EQ", "value": 1}"#;
    let cases = [
        (allowing(r#""defaultErrnoRet": 1"#), "linux.seccomp.defaultErrnoRet "),
        (
            r#"{"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/a"}"#.into(),
            "linux.seccomp.defaultAction ",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#.into(),
            "linux.seccomp.defaultErrnoRet is 4096, and at most 4095",
        ),
        (rules(r#""action": "SCMP_ACT_TRAP", "errnoRet": 1"#), "linux.seccomp.syscalls.1.errnoRet is for "),
        (
            rules(r#""action": "SCMP_ACT_TRACE", "errnoRet": 65536"#),
            "linux.seccomp.syscalls.1.errnoRet is 65536",
        ),
        (
            rules(&format!(r#""action": "SCMP_ACT_TRAP", "args": [{args}]"#)),
            "linux.seccomp.syscalls.1.args.1.index is 6",
        ),
        (rules(r#""action": "SCMP_ACT_NOTIFY""#), "linux.seccomp.syscalls.1.names has write"),
        (
            allowing(r#""syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}], "listenerPath": """#),
            "linux.seccomp.listenerPath is missing, and linux.seccomp.syscalls.0.action",
        ),
        (allowing(r#""listenerMetadata": "x""#), "linux.seccomp.listenerMetadata is set"),
    ];
    for (json, want) in cases {
        let refused = lowered(&json).unwrap_err().to_string();
        assert!(refused.starts_with(want), "{json}: {refused}");
    }
    let many: Vec<String> = (0..2000).map(|value| read("TRAP", &[(0, "EQ", value, 0)])).collect();
    let refused = lowered(&allowing(&format!(r#""syscalls": [{}]"#, many.join(", ")))).unwrap_err();
    assert!(matches!(refused, Error::Compile(coracle_runtime::Error::ProgramTooLong { .. })), "{refused:?}");
}
