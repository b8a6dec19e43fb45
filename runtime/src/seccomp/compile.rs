//! A policy as a program: the architecture is checked first, then a balanced tree finds the number's range.
//!
//! The number line is cut into ranges with one answer each; neighbours with the same answer become one. A node compares
//! with the first number of its upper half (`jge`), the lower half follows it. Jumps in classic BPF only go forward, and
//! conditional ones by at most 255: where the lower half is longer, a node is two instructions, the second an
//! unconditional jump. A leaf returns, or compares arguments and then returns.

use std::collections::BTreeMap;

use super::{
    Insn,
    policy::{ARCH_X86_64, Action, Answer, Compare, Condition, Policy},
};
use crate::Error;

/// `BPF_MAXINSNS` (linux/bpf_common.h).
pub const MAX_INSNS: usize = 4096;

pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const IF_EQ: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(super) const IF_GT: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
pub(super) const IF_GE: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const NR_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;

/// The policy's program for x86-64.
pub fn compile(policy: &Policy) -> Result<Vec<Insn>, Error> {
    let ranges = ranges(policy);
    let mut program = vec![
        plain(LOAD, ARCH_OFFSET),
        Insn { code: IF_EQ, jt: 1, jf: 0, k: ARCH_X86_64 },
        give(policy.foreign),
        plain(LOAD, NR_OFFSET),
    ];
    program.extend(tree(&ranges)?);
    if program.len() > MAX_INSNS {
        return Err(Error::ProgramTooLong { len: program.len(), limit: MAX_INSNS });
    }
    Ok(program)
}

fn plain(code: u16, k: u32) -> Insn {
    Insn { code, jt: 0, jf: 0, k }
}

fn give(action: Action) -> Insn {
    plain(RETURN, action.value())
}

/// A range's first number and its answer; it ends where the next begins.
struct Range {
    first: u32,
    answer: Answer,
}

fn ranges(policy: &Policy) -> Vec<Range> {
    // Every place where the answer can change; what lies between two of them is one range.
    let mut cuts = BTreeMap::from([(0, ()), (policy.unknown_from, ())]);
    for &nr in policy.answers.keys() {
        cuts.insert(nr, ());
        if let Some(next) = nr.checked_add(1) {
            cuts.insert(next, ());
        }
    }
    let mut ranges: Vec<Range> = Vec::new();
    for first in cuts.into_keys() {
        let rest = if first < policy.unknown_from { policy.otherwise } else { policy.unknown };
        let answer = policy.answers.get(&first).cloned().unwrap_or(Answer::Always(rest));
        if ranges.last().is_none_or(|last| last.answer != answer) {
            ranges.push(Range { first, answer });
        }
    }
    ranges
}

fn tree(ranges: &[Range]) -> Result<Vec<Insn>, Error> {
    let (lower, upper) = match ranges {
        [] => return Ok(Vec::new()),
        [only] => return leaf(only),
        more => more.split_at(more.len() / 2),
    };
    let pivot = upper.first().map_or(0, |range| range.first);
    let low = tree(lower)?;
    let mut out = match u8::try_from(low.len()) {
        Ok(skip) => vec![Insn { code: IF_GE, jt: skip, jf: 0, k: pivot }],
        Err(_) => vec![Insn { code: IF_GE, jt: 0, jf: 1, k: pivot }, plain(JUMP, low.len() as u32)],
    };
    out.extend(low);
    out.extend(tree(upper)?);
    Ok(out)
}

fn leaf(range: &Range) -> Result<Vec<Insn>, Error> {
    match &range.answer {
        Answer::Always(action) => Ok(vec![give(*action)]),
        Answer::When { any, then, otherwise } => {
            let mut out = Vec::new();
            for all in any {
                out.extend(alternative(all, *then).ok_or(Error::ConditionsTooLong { nr: range.first })?);
            }
            out.push(give(*otherwise));
            Ok(out)
        }
    }
}

/// Where a step of a comparison goes on.
#[derive(Clone, Copy)]
enum To {
    /// The next step.
    Next,
    /// The condition holds.
    Pass,
    /// The condition does not hold, nor does its alternative.
    Fail,
}

struct Step {
    code: u16,
    k: u32,
    yes: To,
    no: To,
}

/// All conditions, then the verdict; if one fails, whatever follows. `None` if a jump is too long.
fn alternative(all: &[Condition], then: Action) -> Option<Vec<Insn>> {
    let blocks: Vec<Vec<Step>> = all.iter().map(steps).collect();
    let end = blocks.iter().map(Vec::len).sum::<usize>() + 1;
    let mut out = Vec::with_capacity(end);
    for block in &blocks {
        let pass = out.len() + block.len();
        for step in block {
            let here = out.len() + 1;
            let skip = |to| {
                u8::try_from(match to {
                    To::Next => 0,
                    To::Pass => pass - here,
                    To::Fail => end - here,
                })
                .ok()
            };
            out.push(Insn { code: step.code, jt: skip(step.yes)?, jf: skip(step.no)?, k: step.k });
        }
    }
    out.push(give(then));
    Some(out)
}

/// A 64-bit comparison in 32-bit steps, the high word first.
fn steps(condition: &Condition) -> Vec<Step> {
    use To::{Fail, Next, Pass};
    let (low, high) = (condition.value as u32, (condition.value >> 32) as u32);
    let at = condition.arg.offset();
    let load = |offset| Step { code: LOAD, k: offset, yes: Next, no: Next };
    let and = |mask: u64| Step { code: AND, k: mask as u32, yes: Next, no: Next };
    let test = |code, k, yes, no| Step { code, k, yes, no };
    let ordered = |low_code, greater, less| {
        vec![
            load(at + 4),
            test(IF_GT, high, greater, Next),
            test(IF_EQ, high, Next, less),
            load(at),
            test(low_code, low, greater, less),
        ]
    };
    match condition.compare {
        Compare::Equal => {
            vec![load(at + 4), test(IF_EQ, high, Next, Fail), load(at), test(IF_EQ, low, Pass, Fail)]
        }
        Compare::NotEqual => {
            vec![load(at + 4), test(IF_EQ, high, Next, Pass), load(at), test(IF_EQ, low, Fail, Pass)]
        }
        Compare::Masked(mask) => vec![
            load(at + 4),
            and(mask >> 32),
            test(IF_EQ, high, Next, Fail),
            load(at),
            and(mask),
            test(IF_EQ, low, Pass, Fail),
        ],
        Compare::Greater => ordered(IF_GT, Pass, Fail),
        Compare::GreaterOrEqual => ordered(IF_GE, Pass, Fail),
        Compare::Less => ordered(IF_GE, Fail, Pass),
        Compare::LessOrEqual => ordered(IF_GT, Fail, Pass),
    }
}

#[cfg(test)]
mod tests;
