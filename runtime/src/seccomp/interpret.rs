//! An interpreter of the classic BPF that the compiler emits: the tests' judge. It knows nothing of policies.

use super::{Insn, compile::*};

/// What the kernel shows a filter (`struct seccomp_data`).
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The system call's number.
    pub nr: u32,
    /// The entry, as `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The arguments.
    pub args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
            }
            other => panic!("load outside seccomp_data: {other}"),
        }
    }
}

/// The program's verdict and how many instructions it took; panics where the kernel would refuse the program.
#[must_use]
pub fn run(program: &[Insn], call: Call) -> (u32, usize) {
    let (mut at, mut accumulator, mut steps) = (0usize, 0u32, 0);
    loop {
        let Insn { code, jt, jf, k } = program[at];
        at += 1;
        steps += 1;
        let holds = match code {
            LOAD => {
                accumulator = call.word(k);
                continue;
            }
            AND => {
                accumulator &= k;
                continue;
            }
            JUMP => {
                at += k as usize;
                continue;
            }
            RETURN => return (k, steps),
            IF_EQ => accumulator == k,
            IF_GT => accumulator > k,
            IF_GE => accumulator >= k,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}
