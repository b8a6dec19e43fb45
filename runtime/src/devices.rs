//! Which devices a container may use: rules, and the eBPF program by which the kernel asks about them.
//!
//! Rules mean what `linux.resources.devices` of the OCI runtime specification means
//! (<https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#allowed-device-list>): for each access of its own, to
//! read, to write, to make a node, the last rule that fits decides; where none fits, the answer is no. What asks for several
//! is granted whole or not at all, and what asks for none is refused.
//!
//! The program goes through the rules from the last to the first with the accesses in a register that are not decided yet. A
//! rule that fits and allows takes its own away, and when none is left the answer is yes; one that fits and denies any that is
//! left makes it no. There is no loop, and every jump leads forward.

use coracle_fence::bpf::Insn;

use crate::Error;

/// The longest program made here: `BPF_MAXINSNS` (linux/bpf_common.h), which every kernel takes. It has room for 817 rules.
pub const MAX_INSNS: usize = 4096;

/// What a rule says of the devices that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Yes or no.
    pub answer: Answer,
    /// Which kind of device; `None` fits both.
    pub kind: Option<Kind>,
    /// Its major number; `None` fits all.
    pub major: Option<u32>,
    /// Its minor number; `None` fits all.
    pub minor: Option<u32>,
    /// The accesses that it decides.
    pub access: Access,
}

/// A rule's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

/// A kind of device, as the kernel numbers it (`BPF_DEVCG_DEV_*`, linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A block device.
    Block = 1,
    /// A character device.
    Char = 2,
}

/// Ways to use a device, as bits (`BPF_DEVCG_ACC_*`, linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Making a node of it.
    pub const MKNOD: Self = Self(1);
    /// Opening it to read.
    pub const READ: Self = Self(2);
    /// Opening it to write.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Which devices the processes of a cgroup may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices<'a> {
    /// All, as far as capabilities and `/dev` go.
    Any,
    /// What these rules allow.
    Only(&'a [Rule]),
}

/// What every container has, as container engines give it, but for the console: that is the host's, and no container has it in `/dev`.
pub const CONTAINER: &[Rule] = &[
    // A node is but a name: package managers and image builders make them, and nobody opens one because of it.
    Rule { answer: Answer::Allow, kind: None, major: None, minor: None, access: Access::MKNOD },
    // null, zero, full, random, urandom: without state, and every program may expect them.
    char(1, Some(3)),
    char(1, Some(5)),
    char(1, Some(7)),
    char(1, Some(8)),
    char(1, Some(9)),
    // tty is the terminal that a process has already.
    char(5, Some(0)),
    // ptmx and what it makes, the terminals below pts: the kernel finds only those of the container's own devpts.
    char(5, Some(2)),
    char(136, None),
];

const fn char(major: u32, minor: Option<u32>) -> Rule {
    Rule { answer: Answer::Allow, kind: Some(Kind::Char), major: Some(major), minor, access: Access::ALL }
}

// Operations (linux/bpf.h); all of 32 bits, as the numbers of devices are: comparisons of that width are Linux 5.1's.
const LOAD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const COPY: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const SET: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const IF_EQ: u8 = 0x16; // BPF_JMP32 | BPF_JEQ | BPF_K
const IF_NOT_EQ: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const IF_ANY: u8 = 0x46; // BPF_JMP32 | BPF_JSET | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

// Registers: the first two by the calling convention, the others as used here.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const LEFT: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// The rules' program. Its context is `struct bpf_cgroup_dev_ctx`: kind in the lower and accesses in the upper half of the first
/// word, then major and minor number.
pub fn compile(rules: &[Rule]) -> Result<Vec<Insn>, Error> {
    // From its end to its beginning: so every jump knows how much lies before its target, and the first rule is asked last.
    let mut program = vec![plain(EXIT, 0, 0), plain(SET, RESULT, 0)];
    for rule in rules {
        let next = program.len();
        let access = i32::from(rule.access.0);
        match rule.answer {
            Answer::Allow => {
                program.push(over(program.len() - YES, IF_EQ, LEFT, 0));
                program.push(plain(AND, LEFT, !access));
            }
            Answer::Deny => program.push(over(program.len() - NO, IF_ANY, LEFT, access)),
        }
        let kind = rule.kind.map(|kind| kind as u32);
        for (register, wanted) in [(MINOR, rule.minor), (MAJOR, rule.major), (KIND, kind)] {
            if let Some(number) = wanted {
                program.push(over(program.len() - next, IF_NOT_EQ, register, number as i32));
            }
        }
    }
    program.extend([
        over(program.len() - NO, IF_EQ, LEFT, 0),
        plain(SHIFT, LEFT, 16),
        plain(AND, KIND, 0xffff),
        Insn { code: COPY, registers: KIND | LEFT << 4, offset: 0, value: 0 },
        word(MINOR, 8),
        word(MAJOR, 4),
        word(LEFT, 0),
        plain(SET, RESULT, 1),
    ]);
    program.reverse();
    if program.len() > MAX_INSNS {
        return Err(Error::ProgramTooLong { len: program.len(), limit: MAX_INSNS });
    }
    Ok(program)
}

/// How many instructions follow where the answer is given as it stands, which is yes until then.
const YES: usize = 1;
/// How many follow where it becomes no first.
const NO: usize = 2;

fn plain(code: u8, register: u8, value: i32) -> Insn {
    Insn { code, registers: register, offset: 0, value }
}

/// Compares, and if it holds leaves out so many instructions: a program of at most `MAX_INSNS` has no jump too long.
fn over(count: usize, code: u8, register: u8, value: i32) -> Insn {
    Insn { code, registers: register, offset: count as i16, value }
}

/// A word of the context.
fn word(register: u8, offset: i16) -> Insn {
    Insn { code: LOAD, registers: register | CONTEXT << 4, offset, value: 0 }
}

#[cfg(test)]
mod tests;
