//! Which of several rules for one system call decides.
//!
//! The arguments of one rule must all fit. If it names one argument twice, each of its conditions is a rule of its own.
//!
//! libseccomp makes a tree of them, and profiles were tried with it. This is what the tree comes to:
//!
//! 1. A rule whose conditions are all among those of another swallows it, wherever it stands, and a rule without conditions
//!    all others; of two with the same conditions the first stays. libseccomp refuses such two unless they have none.
//! 2. Of the rest the narrower is looked at first: by the last argument before the first; equality and its opposites before
//!    an upper bound, that before a lower one; the smaller upper bound and the greater value otherwise.
//!
//! Where rules for one call contradict each other by inequalities, or by several arguments at once, libseccomp (2.5.4) can
//! decide by the upper half of an argument alone, lose a rule in its tree, or give its verdict to a call that it does not
//! fit. That is not copied.

use std::{cmp::Reverse, collections::BTreeMap};

use coracle_runtime::seccomp::{
    Action, Answer, Arch, Arg, Calls, Case, Compare, Condition,
    names::{Call, find},
};

const ENOSYS: u16 = 38;

/// One entry of `syscalls`.
pub(super) struct Rule {
    /// Those of its names that some entry knows.
    calls: Vec<&'static Call>,
    /// Conditions of which one list must hold; one empty list if there are none.
    any: Vec<Vec<Condition>>,
    pub(super) then: Action,
}

impl Rule {
    pub(super) fn new(names: &[String], mut args: Vec<Condition>, then: Action) -> Self {
        args.sort_by_key(|condition| condition.arg);
        let twice = args.windows(2).any(|pair| matches!(pair, [one, next] if one.arg == next.arg));
        let any =
            if twice { args.into_iter().map(|condition| vec![condition]).collect() } else { vec![args] };
        Self { calls: names.iter().filter_map(|name| find(name)).collect(), any, then }
    }
}

/// What the rules say of an architecture's calls.
pub(super) fn calls(arch: Arch, rules: &[Rule], default: Action) -> Calls {
    let mut cases: BTreeMap<u32, Cases> = BTreeMap::new();
    let mut highest = None;
    for rule in rules {
        for call in &rule.calls {
            let number = call.number(arch);
            highest = highest.max(number);
            if rule.then == default {
                continue;
            }
            let multiplexed = if arch == Arch::X86 { call.multiplexed() } else { None };
            for all in &rule.any {
                let all: Vec<Condition> =
                    all.iter().filter_map(|condition| fitted(condition, arch)).collect();
                if let Some((caller, selector)) = multiplexed {
                    cases.entry(caller).or_default().add(selected(selector, &all), rule.then);
                }
                if let Some(number) = number {
                    cases.entry(number).or_default().add(all, rule.then);
                }
            }
        }
    }
    let lenient = matches!(default, Action::Allow | Action::Log | Action::Trace(_));
    let (unknown_from, unknown) = match highest.filter(|_| !lenient) {
        Some(highest) => (highest + 1, Action::Errno(ENOSYS)),
        None => (u32::MAX, default),
    };
    let answers = cases.into_iter().map(|(nr, cases)| (nr, cases.answer(default))).collect();
    Calls { answers, otherwise: default, unknown_from, unknown }
}

/// The condition on the arguments that this architecture has; `None` if it holds for all of them.
fn fitted(condition: &Condition, arch: Arch) -> Option<Condition> {
    let bits = match arch {
        Arch::X86_64 => u64::MAX,
        Arch::X32 | Arch::X86 => u32::MAX.into(),
    };
    let (compare, value) = match condition.compare {
        Compare::Masked(mask) => (Compare::Masked(mask & bits), condition.value & mask),
        compare => (compare, condition.value),
    };
    (compare != Compare::Masked(0)).then_some(Condition { arg: condition.arg, compare, value: value & bits })
}

/// The conditions of a call that is made through another.
fn selected(selector: u32, all: &[Condition]) -> Vec<Condition> {
    let first = Condition { arg: Arg::FIRST, compare: Compare::Equal, value: selector.into() };
    let others = all.iter().copied().filter(|condition| condition.arg != Arg::FIRST);
    [first].into_iter().chain(others).collect()
}

/// What the rules say of one call, none of them within another.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, all: Vec<Condition>, then: Action) {
        let within = |wide: &[Condition], narrow: &[Condition]| {
            wide.iter().all(|condition| narrow.contains(condition))
        };
        if !self.0.iter().any(|case| within(&case.all, &all)) {
            self.0.retain(|case| !within(&all, &case.all));
            self.0.push(Case { all, then });
        }
    }

    fn answer(self, otherwise: Action) -> Answer {
        let mut cases = self.0;
        match &cases[..] {
            [Case { all, then }] if all.is_empty() => Answer::Always(*then),
            _ => {
                cases.sort_by_cached_key(|case| Reverse(case.all.iter().map(narrowness).collect::<Vec<_>>()));
                Answer::When { cases, otherwise }
            }
        }
    }
}

/// Greater for what is looked at first.
fn narrowness(condition: &Condition) -> (Arg, u8, u64) {
    let (kind, value) = match condition.compare {
        Compare::Equal | Compare::NotEqual | Compare::Masked(_) => (3, condition.value),
        Compare::Less | Compare::LessOrEqual => (2, !condition.value),
        Compare::Greater | Compare::GreaterOrEqual => (1, condition.value),
    };
    (condition.arg, kind, value)
}
