//! The compiler against a reading of the policy that shares no code with it.

use std::collections::BTreeMap;

use proptest::{
    array::{uniform6, uniform8},
    collection::{btree_map, vec},
    prelude::*,
};

use super::super::{
    Arg, container,
    interpret::{Call, run},
};
use super::*;
use crate::plan::CapMask;

const ENTRIES: [u32; 4] = [ARCH_X86_64, ARCH_X86, 0xc000_00b7, 0];

fn holds(condition: &Condition, args: &[u64; 6], mask: u64) -> bool {
    let (arg, value) = (args[condition.arg.index()] & mask, condition.value & mask);
    match condition.compare {
        Compare::Equal => arg == value,
        Compare::NotEqual => arg != value,
        Compare::Less => arg < value,
        Compare::LessOrEqual => arg <= value,
        Compare::Greater => arg > value,
        Compare::GreaterOrEqual => arg >= value,
        Compare::Masked(bits) => arg & bits == value,
    }
}

fn wanted(policy: &Policy, call: Call) -> u32 {
    let x32 = policy.entries.get(&Arch::X32);
    let (calls, nr, mask) = match (call.arch, call.nr) {
        (ARCH_X86, nr) => (policy.entries.get(&Arch::X86), nr, u32::MAX.into()),
        (ARCH_X86_64, u32::MAX) if x32.is_none() => (policy.entries.get(&Arch::X86_64), u32::MAX, u64::MAX),
        (ARCH_X86_64, nr @ 0x4000_0000..) => (x32, nr - 0x4000_0000, u32::MAX.into()),
        (ARCH_X86_64, nr) => (policy.entries.get(&Arch::X86_64), nr, u64::MAX),
        _ => (None, 0, 0),
    };
    let Some(calls) = calls else { return policy.foreign.value() };
    let action = match calls.answers.get(&nr) {
        Some(Answer::Always(action)) => action,
        Some(Answer::When { cases, otherwise }) => {
            let fits = |case: &&Case| case.all.iter().all(|condition| holds(condition, &call.args, mask));
            cases.iter().find(fits).map_or(otherwise, |case| &case.then)
        }
        None if nr < calls.unknown_from => &calls.otherwise,
        None => &calls.unknown,
    };
    action.value()
}

/// The answers that a list would hold: all but those it gives by default.
fn listed(calls: &Calls) -> impl Iterator<Item = (&u32, &Answer)> {
    let default = Answer::Always(calls.unknown);
    calls.answers.iter().filter(move |(_, answer)| **answer != default)
}

/// The list that other compilers emit: one comparison and one return for each answer in turn.
fn linear(calls: &Calls) -> Vec<Insn> {
    let mut program = vec![plain(LOAD, NR_OFFSET)];
    for (&nr, answer) in listed(calls) {
        let body = leaf(nr, answer, Words::Both).unwrap();
        program.extend(skip(IF_EQ, nr, false, body.len()));
        program.extend(body);
    }
    program.push(give(calls.otherwise));
    program
}

#[test]
fn every_number_gets_the_wanted_verdict_from_every_architecture() {
    for caps in [0, 1 << 21, (1 << 41) - 1] {
        let policy = container::policy(CapMask::new(caps).unwrap());
        let program = compile(&policy).unwrap();
        let edges = [0x4000_0000, 0x4000_0001, 0x7fff_ffff, 0x8000_0000, u32::MAX];
        for nr in (0..=600).chain(edges) {
            for arch in ENTRIES {
                for first in [0, 8, 0x1000_0000, 0x2_0000, 40, 1 << 32, u64::MAX] {
                    let call = Call { nr, arch, args: [first, 0, 0, 0, 0, 0] };
                    assert_eq!(run(&program, call).0, wanted(&policy, call), "{call:x?}");
                }
            }
        }
    }
}

#[test]
fn the_tree_asks_a_tenth_of_what_a_list_asks() {
    let policy = container::policy(CapMask::new(0).unwrap());
    let calls = &policy.entries[&Arch::X86_64];
    let (tree, list) = (compile(&policy).unwrap(), linear(calls));
    let cost = |program: &[Insn]| {
        let steps: Vec<usize> = listed(calls)
            .map(|(&nr, _)| run(program, Call { nr, arch: ARCH_X86_64, args: [0; 6] }).1)
            .collect();
        (program.len(), steps.iter().sum::<usize>() / steps.len(), *steps.iter().max().unwrap())
    };
    let ((tree_len, tree_mean, tree_max), (list_len, list_mean, list_max)) = (cost(&tree), cost(&list));
    println!("tree: {tree_len} instructions, mean path {tree_mean}, longest {tree_max}");
    println!("list: {list_len} instructions, mean path {list_mean}, longest {list_max}");
    assert!(tree_len * 2 < list_len && tree_mean * 10 < list_mean && tree_max <= 24);
}

#[test]
fn limits_are_errors() {
    let many = |count, cases: usize, conditions: usize| {
        let condition = Condition { arg: Arg::FIRST, compare: Compare::Equal, value: 1 };
        let case = Case { all: vec![condition; conditions], then: Action::Allow };
        let answer = Answer::When { cases: vec![case; cases], otherwise: Action::Kill };
        let answers = (0..count).map(|nr| (nr * 2, answer.clone())).collect();
        let calls = Calls { answers, ..Calls::all(Action::Kill) };
        compile(&Policy { foreign: Action::Kill, entries: BTreeMap::from([(Arch::X86_64, calls)]) })
    };
    assert_eq!(many(1, 1, 65), Err(Error::ConditionsTooLong { nr: 0 }));
    assert!(matches!(many(1000, 1, 1), Err(Error::ProgramTooLong { .. })));
    assert!(many(1, 200, 1).is_ok());
}

#[test]
fn a_policy_without_entries_has_one_answer() {
    let program = compile(&Policy { foreign: Action::KillThread, entries: BTreeMap::new() }).unwrap();
    for arch in ENTRIES {
        assert_eq!(run(&program, Call { nr: 0, arch, args: [0; 6] }).0, Action::KillThread.value());
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        Just(Action::Log),
        any::<u16>().prop_map(Action::Trace),
        Just(Action::Notify),
        any::<u16>().prop_map(Action::Errno),
        Just(Action::Trap),
        Just(Action::KillThread),
        Just(Action::Kill),
    ]
}

/// Values whose halves are often equal, so that both words decide.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![(0u64..3, 0u64..3).prop_map(|(high, low)| high << 32 | low), any::<u64>()]
}

fn condition() -> impl Strategy<Value = Condition> {
    let compare = prop_oneof![
        Just(Compare::Equal),
        Just(Compare::NotEqual),
        Just(Compare::Less),
        Just(Compare::LessOrEqual),
        Just(Compare::Greater),
        Just(Compare::GreaterOrEqual),
        value().prop_map(Compare::Masked),
    ];
    (0u8..6, compare, value()).prop_map(|(arg, compare, value)| Condition {
        arg: Arg::new(arg).unwrap(),
        compare,
        value,
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let case = (vec(condition(), 0..3), action()).prop_map(|(all, then)| Case { all, then });
    prop_oneof![
        action().prop_map(Answer::Always),
        (vec(case, 0..3), action()).prop_map(|(cases, otherwise)| Answer::When { cases, otherwise }),
    ]
}

/// Numbers from one of the starts, so that ranges meet and cross.
fn calls() -> impl Strategy<Value = Calls> {
    let start = prop_oneof![4 => Just(0), 1 => Just(0x3fff_fff0), 1 => Just(u32::MAX - 20)];
    (start, btree_map(0u32..40, answer(), 0..40), 0u32..50, action(), action()).prop_map(
        |(start, answers, unknown_from, otherwise, unknown)| Calls {
            answers: answers.into_iter().map(|(nr, answer)| (nr.saturating_add(start), answer)).collect(),
            otherwise,
            unknown_from,
            unknown,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let arch = prop_oneof![Just(Arch::X86_64), Just(Arch::X32), Just(Arch::X86)];
    (action(), btree_map(arch, calls(), 0..4)).prop_map(|(foreign, entries)| Policy { foreign, entries })
}

proptest! {
    #[test]
    fn any_policy_means_the_same_compiled(
        policy in policy(),
        args in uniform6(value()),
        offsets in uniform8(0u32..52),
    ) {
        let program = compile(&policy).unwrap();
        for start in [0, 0x3fff_fff0, 0x4000_0000, 0x7fff_fff0, u32::MAX - 51] {
            for (offset, arch) in offsets.into_iter().chain([51]).zip(ENTRIES.into_iter().cycle()) {
                let call = Call { nr: start + offset, arch, args };
                prop_assert_eq!(run(&program, call).0, wanted(&policy, call));
            }
        }
    }
}
