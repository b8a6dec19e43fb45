//! A policy as a program: the architecture is checked first, then a balanced tree finds the number's range.
//!
//! x86-64 and x32 are one architecture to the kernel and one number line here, i386 is another. A number line is cut into ranges with one
//! answer each; neighbours with the same answer become one. A node compares with the first number of its upper half (`jge`), the lower half follows it. Jumps in classic BPF only go forward, and
//! conditional ones by at most 255: where the lower half is longer, a node is two instructions, the second an
//! unconditional jump. A leaf returns, or compares arguments and then returns.

use std::collections::BTreeSet;

use super::{
    Insn,
    policy::{
        ARCH_X86, ARCH_X86_64, Action, Answer, Arch, Calls, Case, Compare, Condition, Policy, Words, X32_BIT,
    },
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

/// What the kernel reports for an entry, and which numbers begin where on its line.
const LINES: [(u32, &[(Arch, u32)]); 2] =
    [(ARCH_X86_64, &[(Arch::X86_64, 0), (Arch::X32, X32_BIT)]), (ARCH_X86, &[(Arch::X86, 0)])];

/// The policy's program for an x86-64 kernel.
///
/// # Errors
/// It is longer than the kernel takes, or one of its jumps is longer than there are.
pub fn compile(policy: &Policy) -> Result<Vec<Insn>, Error> {
    let mut program = vec![plain(LOAD, ARCH_OFFSET)];
    for (audit, starts) in LINES {
        if starts.iter().any(|(arch, _)| policy.entries.contains_key(arch)) {
            let tree = tree(&ranges(policy, starts)?);
            program.extend(skip(IF_EQ, audit, false, tree.len() + 1));
            program.push(plain(LOAD, NR_OFFSET));
            program.extend(tree);
        }
    }
    program.push(give(policy.foreign));
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

/// Compares, and leaves out the next `len` instructions if the outcome is `when`.
fn skip(code: u16, k: u32, when: bool, len: usize) -> Vec<Insn> {
    let compare = |there, here| {
        let (jt, jf) = if when { (there, here) } else { (here, there) };
        Insn { code, jt, jf, k }
    };
    match u8::try_from(len) {
        Ok(len) => vec![compare(len, 0)],
        Err(_) => vec![compare(0, 1), plain(JUMP, len as u32)],
    }
}

/// A range's first number and what answers it; it ends where the next begins.
struct Range {
    first: u32,
    code: Vec<Insn>,
}

fn ranges(policy: &Policy, starts: &[(Arch, u32)]) -> Result<Vec<Range>, Error> {
    // Every place where the answer can change; what lies between two of them is one range.
    let mut cuts = BTreeSet::from([u32::MAX]);
    for (arch, start) in starts {
        cuts.insert(*start);
        let inside = policy.entries.get(arch).into_iter().flat_map(Calls::cuts);
        cuts.extend(inside.filter_map(|nr| nr.checked_add(*start)));
    }
    let mut ranges: Vec<Range> = Vec::new();
    for first in cuts {
        // A tracer skips a call by the number -1: it belongs to an entry that is listed.
        let owns = |&&(arch, start): &&(Arch, u32)| {
            start <= first && (first != u32::MAX || policy.entries.contains_key(&arch))
        };
        let owner = starts.iter().rfind(owns);
        let code = match owner.and_then(|&(arch, start)| Some((arch, start, policy.entries.get(&arch)?))) {
            Some((arch, start, calls)) => leaf(first, &calls.answer(first - start), arch.words())?,
            None => vec![give(policy.foreign)],
        };
        if ranges.last().is_none_or(|last| last.code != code) {
            ranges.push(Range { first, code });
        }
    }
    Ok(ranges)
}

fn tree(ranges: &[Range]) -> Vec<Insn> {
    let (lower, upper) = match ranges {
        [] => return Vec::new(),
        [only] => return only.code.clone(),
        more => more.split_at(more.len() / 2),
    };
    let pivot = upper.first().map_or(0, |range| range.first);
    let low = tree(lower);
    let mut out = skip(IF_GE, pivot, true, low.len());
    out.extend(low);
    out.extend(tree(upper));
    out
}

fn leaf(nr: u32, answer: &Answer, words: Words) -> Result<Vec<Insn>, Error> {
    match answer {
        Answer::Always(action) => Ok(vec![give(*action)]),
        Answer::When { cases, otherwise } => {
            let mut out = Vec::new();
            for case in cases {
                out.extend(check(case, words).ok_or(Error::ConditionsTooLong { nr })?);
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
    /// The condition does not hold, nor does its case.
    Fail,
}

struct Step {
    code: u16,
    k: u32,
    yes: To,
    no: To,
}

/// All conditions, then the verdict; if one fails, whatever follows. `None` if a jump is too long.
fn check(case: &Case, words: Words) -> Option<Vec<Insn>> {
    let blocks: Vec<Vec<Step>> = case.all.iter().map(|condition| steps(condition, words)).collect();
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
    out.push(give(case.then));
    Some(out)
}

/// A comparison in 32-bit steps, the high word first.
fn steps(condition: &Condition, words: Words) -> Vec<Step> {
    use To::{Fail, Next, Pass};
    let value = condition.value;
    let at = condition.arg.offset();
    let load = |offset| Step { code: LOAD, k: offset, yes: Next, no: Next };
    let and = |mask: u64| Step { code: AND, k: mask as u32, yes: Next, no: Next };
    let test = |code, k: u64, yes, no| Step { code, k: k as u32, yes, no };
    let (greater, less) = match condition.compare {
        Compare::Greater | Compare::GreaterOrEqual => (Pass, Fail),
        Compare::Less | Compare::LessOrEqual => (Fail, Pass),
        Compare::NotEqual => (Pass, Pass),
        Compare::Equal | Compare::Masked(_) => (Fail, Fail),
    };
    let (high, low) = match condition.compare {
        Compare::Equal => (vec![], vec![test(IF_EQ, value, Pass, Fail)]),
        Compare::NotEqual => (vec![], vec![test(IF_EQ, value, Fail, Pass)]),
        Compare::Masked(mask) => (vec![and(mask >> 32)], vec![and(mask), test(IF_EQ, value, Pass, Fail)]),
        Compare::Greater | Compare::LessOrEqual => {
            (vec![test(IF_GT, value >> 32, greater, Next)], vec![test(IF_GT, value, greater, less)])
        }
        Compare::GreaterOrEqual | Compare::Less => {
            (vec![test(IF_GT, value >> 32, greater, Next)], vec![test(IF_GE, value, greater, less)])
        }
    };
    let mut out = Vec::new();
    if words == Words::Both {
        out.push(load(at + 4));
        out.extend(high);
        out.push(test(IF_EQ, value >> 32, Next, less));
    }
    out.push(load(at));
    out.extend(low);
    out
}

#[cfg(test)]
mod tests;
