//! The compiler against a reading of the policy that shares no code with it.

use proptest::prelude::*;

use super::super::{
    Arg, container,
    interpret::{Call, run},
};
use super::*;
use crate::plan::CapMask;

const FOREIGN: [u32; 3] = [0x4000_0003, 0xc000_00b7, 0];

fn holds(condition: &Condition, args: &[u64; 6]) -> bool {
    let (arg, value) = (args[condition.arg.index()], condition.value);
    match condition.compare {
        Compare::Equal => arg == value,
        Compare::NotEqual => arg != value,
        Compare::Less => arg < value,
        Compare::LessOrEqual => arg <= value,
        Compare::Greater => arg > value,
        Compare::GreaterOrEqual => arg >= value,
        Compare::Masked(mask) => arg & mask == value,
    }
}

fn wanted(policy: &Policy, call: Call) -> u32 {
    if call.arch != ARCH_X86_64 {
        return policy.foreign.value();
    }
    match policy.answers.get(&call.nr) {
        Some(Answer::Always(action)) => action.value(),
        Some(Answer::When { any, then, otherwise }) => {
            let hit = any.iter().any(|all| all.iter().all(|condition| holds(condition, &call.args)));
            if hit { then.value() } else { otherwise.value() }
        }
        None if call.nr < policy.unknown_from => policy.otherwise.value(),
        None => policy.unknown.value(),
    }
}

/// The answers that a list would hold: all but those it gives by default.
fn listed(policy: &Policy) -> impl Iterator<Item = (&u32, &Answer)> {
    let default = Answer::Always(policy.unknown);
    policy.answers.iter().filter(move |(_, answer)| **answer != default)
}

/// The list that other compilers emit: one comparison and one return for each answer in turn.
fn linear(policy: &Policy) -> Vec<Insn> {
    let mut program = vec![plain(LOAD, NR_OFFSET)];
    for (&nr, answer) in listed(policy) {
        let body = leaf(&Range { first: nr, answer: answer.clone() }).unwrap();
        program.push(Insn { code: IF_EQ, jt: 0, jf: body.len() as u8, k: nr });
        program.extend(body);
    }
    program.push(give(policy.otherwise));
    program
}

#[test]
fn every_number_gets_the_wanted_verdict_from_every_architecture() {
    for caps in [0, 1 << 21, (1 << 41) - 1] {
        let policy = container::policy(CapMask::new(caps).unwrap());
        let program = compile(&policy).unwrap();
        let edges = [0x4000_0000, 0x4000_0001, 0x7fff_ffff, 0x8000_0000, u32::MAX];
        for nr in (0..=600).chain(edges) {
            for arch in FOREIGN.into_iter().chain([ARCH_X86_64]) {
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
    let (tree, list) = (compile(&policy).unwrap(), linear(&policy));
    let cost = |program: &[Insn]| {
        let steps: Vec<usize> = listed(&policy)
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
    let base = container::policy(CapMask::new(0).unwrap());
    let many = |count, alternatives: usize, conditions: usize| {
        let condition = Condition { arg: Arg::FIRST, compare: Compare::Equal, value: 1 };
        let any = vec![vec![condition; conditions]; alternatives];
        let answer = Answer::When { any, then: Action::Allow, otherwise: Action::Kill };
        let answers = (0..count).map(|nr| (nr * 2, answer.clone())).collect();
        compile(&Policy { answers, ..base.clone() })
    };
    assert_eq!(many(1, 1, 65), Err(Error::ConditionsTooLong { nr: 0 }));
    assert!(matches!(many(1000, 1, 1), Err(Error::ProgramTooLong { .. })));
    assert!(many(1, 200, 1).is_ok());
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        Just(Action::Kill),
        Just(Action::Log),
        any::<u16>().prop_map(Action::Errno)
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
    let any = proptest::collection::vec(proptest::collection::vec(condition(), 0..3), 0..3);
    prop_oneof![
        action().prop_map(Answer::Always),
        (any, action(), action()).prop_map(|(any, then, otherwise)| Answer::When { any, then, otherwise }),
    ]
}

proptest! {
    #[test]
    fn any_policy_means_the_same_compiled(
        answers in proptest::collection::btree_map(0u32..40, answer(), 0..40),
        unknown_from in 0u32..50,
        rest in (action(), action(), action()),
        args in proptest::array::uniform6(value()),
    ) {
        let policy = Policy { foreign: rest.0, answers, otherwise: rest.1, unknown_from, unknown: rest.2 };
        let program = compile(&policy).unwrap();
        for nr in (0..52).chain([u32::MAX]) {
            let call = Call { nr, arch: ARCH_X86_64, args };
            prop_assert_eq!(run(&program, call).0, wanted(&policy, call));
        }
    }
}
