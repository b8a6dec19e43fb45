//! The compiler against a reading of the rules that shares no code with it, by an interpreter that knows nothing of rules.

use proptest::prelude::*;

use super::*;

/// What a process asks for.
#[derive(Debug, Clone, Copy)]
struct Request {
    kind: Kind,
    major: u32,
    minor: u32,
    access: u8,
}

/// The answer that the rules mean.
fn wanted(rules: &[Rule], request: Request) -> bool {
    let fits = |rule: &&Rule| {
        rule.kind.is_none_or(|kind| kind == request.kind)
            && rule.major.is_none_or(|major| major == request.major)
            && rule.minor.is_none_or(|minor| minor == request.minor)
    };
    let allowed = |bit: u8| {
        let last = rules.iter().filter(fits).rfind(|rule| rule.access.0 & bit != 0);
        last.is_some_and(|rule| rule.answer == Answer::Allow)
    };
    let asked: Vec<u8> = [1, 2, 4].into_iter().filter(|bit| request.access & bit != 0).collect();
    !asked.is_empty() && asked.into_iter().all(allowed)
}

/// The program's answer; panics where the verifier would refuse the program.
fn run(program: &[Insn], request: Request) -> bool {
    let context = [u32::from(request.access) << 16 | request.kind as u32, request.major, request.minor];
    let mut registers: [Option<u32>; 6] = [None; 6];
    let mut at = 0;
    loop {
        let Insn { code, registers: named, offset, value } = program[at];
        let (target, source) = (usize::from(named & 15), usize::from(named >> 4));
        assert!(source == 0 || matches!(code, LOAD | COPY), "{at}: a source nobody reads");
        assert!(
            offset == 0 || !matches!(code, COPY | SET | AND | SHIFT | EXIT),
            "{at}: an offset nobody reads"
        );
        at += 1;
        let old = |register: usize| registers[register].expect("a register that was set");
        let new = match code {
            LOAD => {
                assert!(source == usize::from(CONTEXT) && offset % 4 == 0);
                context[usize::try_from(offset / 4).unwrap()]
            }
            COPY => old(source),
            SET => value as u32,
            AND => old(target) & value as u32,
            SHIFT => old(target) >> value,
            EXIT => match registers[usize::from(RESULT)] {
                Some(0) => return false,
                Some(1) => return true,
                other => panic!("{other:?} is no answer"),
            },
            IF_EQ | IF_NOT_EQ | IF_ANY => {
                let operand = value as u32;
                let holds = match code {
                    IF_EQ => old(target) == operand,
                    IF_NOT_EQ => old(target) != operand,
                    _ => old(target) & operand != 0,
                };
                at += usize::try_from(if holds { offset } else { 0 }).expect("a jump forward");
                continue;
            }
            other => panic!("instruction {other:#x}"),
        };
        registers[target] = Some(new);
    }
}

/// Few numbers, so that rules and requests meet, and those whose sign or width could matter.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..3, 1 => Just(1 << 31), 1 => Just(u32::MAX)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Block), Just(Kind::Char)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let answer = prop_oneof![Just(Answer::Allow), Just(Answer::Deny)];
    let any = |number| proptest::option::of(number);
    (answer, any(kind().boxed()), any_number(), any_number(), 0u8..8).prop_map(
        |(answer, kind, major, minor, access)| Rule { answer, kind, major, minor, access: Access(access) },
    )
}

fn any_number() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(number())
}

fn request() -> impl Strategy<Value = Request> {
    (kind(), number(), number(), 0u8..8).prop_map(|(kind, major, minor, access)| Request {
        kind,
        major,
        minor,
        access,
    })
}

proptest! {
    #[test]
    fn the_program_answers_as_the_rules_mean(
        rules in proptest::collection::vec(rule(), 0..8),
        requests in proptest::collection::vec(request(), 32),
    ) {
        let program = compile(&rules).unwrap();
        prop_assert!(program.len() <= 10 + 5 * rules.len());
        for request in requests {
            prop_assert_eq!(run(&program, request), wanted(&rules, request), "{:?}", request);
        }
    }
}

fn ask(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let request = Request { kind, major, minor, access: access.0 };
    let answer = run(&compile(rules).unwrap(), request);
    assert_eq!(answer, wanted(rules, request));
    answer
}

#[test]
fn a_rule_decides_its_own_accesses_alone() {
    let (read, write) = (Access::READ, Access::WRITE);
    let both = read.and(write);
    let allow = |access| Rule { access, ..char(1, Some(3)) };
    let deny = |access| Rule { answer: Answer::Deny, ..allow(access) };
    for (rules, reads, writes, does_both) in [
        (vec![], false, false, false),
        (vec![allow(read)], true, false, false),
        (vec![allow(read), allow(write)], true, true, true),
        (vec![allow(Access::ALL), deny(write)], true, false, false),
        (vec![deny(write), allow(Access::ALL)], true, true, true),
        (vec![allow(both), deny(Access::ALL), allow(write)], false, true, false),
        (vec![deny(both), allow(Access::MKNOD)], false, false, false),
    ] {
        let answers = [read, write, both].map(|access| ask(&rules, Kind::Char, 1, 3, access));
        assert_eq!(answers, [reads, writes, does_both], "{rules:?}");
        assert!(!ask(&rules, Kind::Block, 1, 3, read) && !ask(&rules, Kind::Char, 1, 4, read));
    }
}

#[test]
fn a_container_makes_any_node_and_opens_few() {
    let opens = |kind, major, minor| {
        let answers = [Access::READ, Access::WRITE, Access::READ.and(Access::WRITE)]
            .map(|access| ask(CONTAINER, kind, major, minor, access));
        assert!(answers == [true; 3] || answers == [false; 3]);
        assert!(ask(CONTAINER, kind, major, minor, Access::MKNOD));
        answers[0]
    };
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, 0), (136, 77)] {
        assert!(opens(Kind::Char, major, minor) && !opens(Kind::Block, major, minor), "{major}:{minor}");
    }
    // mem, kmem, port, kmsg, the console, a virtual terminal, a serial line, kvm, fuse, tun, a raw disk.
    for (major, minor) in [
        (1, 1),
        (1, 2),
        (1, 4),
        (1, 11),
        (5, 1),
        (4, 1),
        (4, 64),
        (10, 232),
        (10, 229),
        (10, 200),
        (21, 0),
        (137, 0),
    ] {
        assert!(!opens(Kind::Char, major, minor), "{major}:{minor}");
    }
    for (major, minor) in [(7, 0), (8, 0), (253, 0), (254, 1), (259, 0), (0, 0)] {
        assert!(!opens(Kind::Block, major, minor), "{major}:{minor}");
    }
    assert_eq!(compile(CONTAINER).unwrap().len(), 51);
}

#[test]
fn as_many_rules_as_have_room() {
    let rules = [Rule { answer: Answer::Deny, ..char(1, Some(3)) }; 1022];
    let longest = compile(&rules[..1021]).unwrap();
    assert!(longest.len() <= MAX_INSNS);
    assert!(!run(&longest, Request { kind: Kind::Block, major: 0, minor: 0, access: 1 }));
    assert_eq!(compile(&rules), Err(Error::ProgramTooLong { len: 4098, limit: MAX_INSNS }));
    let rules = [char(1, Some(3)); 818];
    assert_eq!(compile(&rules), Err(Error::ProgramTooLong { len: 4100, limit: MAX_INSNS }));
    assert_eq!(compile(&rules[..817]).unwrap().len(), 4095);
}
