//! Our filters beside libseccomp's, which runc and crun use: the same verdict to every call.

mod podman;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use coracle_oci::seccomp::lower;
use coracle_runtime::seccomp::{
    Arch, Insn,
    interpret::{Call, run},
    names,
    policy::{ARCH_X86, ARCH_X86_64, X32_BIT},
};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

/// Arguments at which profiles and comparisons turn.
const VALUES: [u64; 12] =
    [0, 1, 2, 3, 8, 9, 16, 0x2_0008, 0x7e02_0000, u32::MAX as u64, 1 << 32 | 1, u64::MAX];

/// The program that hands rules to libseccomp, compiled once.
static PEER: LazyLock<PathBuf> = LazyLock::new(|| {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libseccomp-filter");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libseccomp/filter.c");
    let compiled = Command::new("cc").arg("-O1").arg("-o").arg(&out).arg(source).arg("-lseccomp").status();
    assert!(compiled.unwrap().success());
    out
});

/// Calls libseccomp as runc does: without rules that have the default's action, and with one rule for each condition if two
/// are on the same argument. Returns its filter and the names that it does not know; `None` if it refuses two rules that
/// contradict each other.
fn peer(seccomp: &LinuxSeccomp) -> Option<(Vec<Insn>, BTreeSet<String>)> {
    let default = seccomp.default_action().as_u32(seccomp.default_errno_ret());
    let mut words = format!("default {default}\narch x86\narch x32\n");
    for block in seccomp.syscalls().iter().flatten() {
        let action = block.action().as_u32(block.errno_ret());
        for name in block.names().iter().filter(|_| action != default) {
            for args in alternatives(block) {
                write!(words, "rule {action} {name}").unwrap();
                for arg in args {
                    let (op, two) = (arg.op() as u32, arg.value_two().unwrap_or_default());
                    write!(words, " {} {op} {} {two}", arg.index(), arg.value()).unwrap();
                }
                words.push('\n');
            }
        }
    }
    let mut child = Command::new(&*PEER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    match out.status.code() {
        Some(0) => {}
        Some(3) => return None,
        other => panic!("{other:?}"),
    }
    let instructions = out.stdout.chunks_exact(8).map(|bytes| Insn {
        code: u16::from_le_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_le_bytes(bytes[4..].try_into().unwrap()),
    });
    let unknown = String::from_utf8(out.stderr).unwrap();
    Some((instructions.collect(), unknown.lines().map(str::to_owned).collect()))
}

fn alternatives(block: &LinuxSyscall) -> Vec<Vec<LinuxSeccompArg>> {
    let args = block.args().clone().unwrap_or_default();
    let distinct: BTreeSet<usize> = args.iter().map(LinuxSeccompArg::index).collect();
    if distinct.len() == args.len() { vec![args] } else { args.into_iter().map(|arg| vec![arg]).collect() }
}

/// Numbers that an entry may be asked for: all that exist, those beside them, and the ends of each line.
fn numbers() -> Vec<(u32, u32)> {
    let native = (0..600).chain([X32_BIT - 1, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
    let native = native.chain(X32_BIT..X32_BIT + 600).map(|nr| (ARCH_X86_64, nr));
    let i386 = (0..600).chain([u32::MAX]).map(|nr| (ARCH_X86, nr));
    native.chain(i386).chain([(0xc000_00b7, 0), (0xc000_00b7, 63)]).collect()
}

/// The highest number by each entry that the rules name.
fn highest(seccomp: &LinuxSeccomp, arch: Arch) -> Option<u32> {
    let named = seccomp.syscalls().iter().flatten().flat_map(LinuxSyscall::names);
    named.filter_map(|name| names::find(name)?.number(arch)).max()
}

/// Asks both filters for the verdict of every call by these numbers, and says how many that were. `newer` is the verdict of
/// ours where no rule reaches, if it is another.
fn agree(seccomp: &LinuxSeccomp, theirs: &[Insn], numbers: &[(u32, u32)], newer: Option<u32>) -> usize {
    let ours = lower(seccomp).unwrap().program;
    let above =
        [Arch::X86_64, Arch::X32, Arch::X86].map(|arch| highest(seccomp, arch).map_or(0, |nr| nr + 1));
    let mut asked = 0;
    for &(arch, nr) in numbers {
        let unreached = match (arch, nr) {
            (ARCH_X86_64, X32_BIT..) => nr - X32_BIT >= above[1],
            (ARCH_X86_64, _) => nr >= above[0],
            (ARCH_X86, _) => nr >= above[2],
            _ => false,
        };
        for (first, (second, third)) in VALUES.into_iter().flat_map(|first| {
            let turned = VALUES.into_iter().cycle().skip(5);
            std::iter::repeat(first).zip(VALUES.into_iter().zip(turned))
        }) {
            let call = Call { nr, arch, args: [first, second, third, 0, 0, 0] };
            let want = newer.filter(|_| unreached).unwrap_or_else(|| run(theirs, call).0);
            let got = run(&ours, call).0;
            assert_eq!(got, want, "{call:x?}: ours {got:#x}, libseccomp's {want:#x} of {seccomp:?}");
            asked += 1;
        }
    }
    asked
}

/// Without what a release of libseccomp did not know in its day.
fn forget(seccomp: &mut LinuxSeccomp, unknown: &BTreeSet<String>) {
    let mut blocks = seccomp.syscalls().clone().unwrap_or_default();
    for block in &mut blocks {
        block.set_names(block.names().iter().filter(|name| !unknown.contains(*name)).cloned().collect());
    }
    seccomp.set_syscalls(Some(blocks));
}

#[test]
fn podmans_profile_gets_the_same_verdicts() {
    let many =
        ["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_AUDIT_WRITE", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"];
    let root = podman::ROOT;
    let enosys = Some(0x0005_0026);
    let cases = [
        (root, None, enosys),
        (&[][..], None, enosys),
        (&many[..], None, enosys),
        (root, Some(("SCMP_ACT_ERRNO", Some(1))), enosys),
        (root, Some(("SCMP_ACT_KILL_PROCESS", None)), enosys),
        (root, Some(("SCMP_ACT_LOG", None)), None),
    ];
    let numbers = numbers();
    let mut asked = 0;
    for (caps, default, newer) in cases {
        let mut seccomp = podman::profile(caps, default);
        let (theirs, unknown) = peer(&seccomp).expect("libseccomp takes the profile");
        forget(&mut seccomp, &unknown);
        asked += agree(&seccomp, &theirs, &numbers, newer);
        let ours = lower(&seccomp).unwrap().program.len();
        println!("{} instructions, libseccomp's {}; it does not know {unknown:?}", ours, theirs.len());
        assert!(ours * 10 < theirs.len() * 9);
    }
    println!("{asked} calls");
}

/// Calls with a number of their own by each entry, one of them another for x32, two of them multiplexed on i386; and what they
/// are multiplexed by.
const NAMES: [&str; 4] = ["read", "ioctl", "socket", "semget"];
const MULTIPLEXERS: [&str; 2] = ["socketcall", "ipc"];

fn numbers_of_names() -> Vec<(u32, u32)> {
    let of = |name: &&str| {
        let call = names::find(name).unwrap();
        let entries =
            [(Arch::X86_64, ARCH_X86_64, 0), (Arch::X32, ARCH_X86_64, X32_BIT), (Arch::X86, ARCH_X86, 0)];
        entries.map(|(arch, audit, start)| call.number(arch).map(|nr| (audit, nr + start)))
    };
    NAMES.iter().chain(&MULTIPLEXERS).flat_map(of).flatten().collect()
}

fn rule(
    name: &'static str,
    actions: &'static [&str],
    operators: &'static [&str],
    most: usize,
) -> impl Strategy<Value = Value> {
    let arg = (0..3usize, select(operators), 0..5u64, 0..3u64);
    (select(actions), vec(arg, 0..=most)).prop_map(move |(action, args)| {
        let args: Vec<Value> = args
            .into_iter()
            .map(|(index, op, value, two)| json!({"index": index, "op": op, "value": value, "valueTwo": two}))
            .collect();
        json!({"names": [name], "action": action, "args": args})
    })
}

fn seccomp(rules: &[Value]) -> LinuxSeccomp {
    let architectures = ["SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    let seccomp = json!({"defaultAction": "SCMP_ACT_LOG", "architectures": architectures, "syscalls": rules});
    serde_json::from_value(seccomp).unwrap()
}

const ACTIONS: [&str; 3] = ["SCMP_ACT_TRAP", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL"];
const EQUAL: &[&str] = &["SCMP_CMP_EQ"];
const ALL: &[&str] = &[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

proptest! {
    #[test]
    fn a_rule_fits_the_same_calls(rules in NAMES.map(|name| rule(name, &["SCMP_ACT_TRAP"], ALL, 3))) {
        let seccomp = seccomp(&rules);
        let (theirs, _) = peer(&seccomp).expect("libseccomp takes one rule a call");
        agree(&seccomp, &theirs, &numbers_of_names(), None);
    }

    /// With other rules its tree does not always do what they say: see the head of `rules`.
    #[test]
    fn of_rules_that_contradict_each_other_the_same_decides(
        rules in vec(select(&["read", "ioctl"][..]).prop_flat_map(|name| rule(name, &ACTIONS, EQUAL, 1)), 0..7),
    ) {
        let seccomp = seccomp(&rules);
        if let Some((theirs, _)) = peer(&seccomp) {
            agree(&seccomp, &theirs, &numbers_of_names(), None);
        }
    }
}
