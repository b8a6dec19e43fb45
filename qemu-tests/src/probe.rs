//! Whether hardware acceleration really runs a guest.
//!
//! That `/dev/kvm` opens proves little: inside another virtual machine it may interpret, hang or end the guest at its
//! first privileged instruction. So a guest is started, and has to come as far as user mode.

use std::sync::Mutex;
use std::time::Duration;

use crate::{Config, Deadline, Error, Machine, image};

/// With acceleration that works, the kernel is in user mode after a fraction of this.
const LIMIT: Duration = Duration::from_secs(5);
/// What the probe's init prints.
const SIGN: &str = "coracle-probe: user mode";

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accelerator {
    /// Its name on QEMU's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// The accelerator to use here: the processor if a guest runs on it, else the translator. Probed once in a process.
///
/// # Errors
/// Those of finding the kernel; what goes wrong with the guest is the answer.
pub fn accelerator() -> Result<Accelerator, Error> {
    static FOUND: Mutex<Option<Accelerator>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(accelerator) = *found {
        return Ok(accelerator);
    }
    let works =
        std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() && runs(Accelerator::Kvm)?;
    let accelerator = if works { Accelerator::Kvm } else { Accelerator::Tcg };
    Ok(*found.insert(accelerator))
}

/// Whether a guest comes to user mode within 5 seconds.
///
/// # Errors
/// Those of finding the kernel and of writing the initramfs.
pub fn runs(accelerator: Accelerator) -> Result<bool, Error> {
    let kernel = image::kernel()?;
    let initramfs = image::initramfs(&init())?;
    let config = Config::direct(kernel, initramfs.path(), "").memory(128).accelerator(accelerator);
    let sign = Machine::start(config).and_then(|mut guest| guest.wait_for(SIGN, Deadline::after(LIMIT)));
    Ok(sign.is_ok())
}

/// The smallest init: a static ELF program that prints the sign and exits, after which the kernel panics and resets.
fn init() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let text = format!("{SIGN}\n");
    let mut code = vec![0xb8, 1, 0, 0, 0]; // mov eax, SYS_write
    code.extend([0xbf, 1, 0, 0, 0]); //       mov edi, 1
    code.extend([0x48, 0x8d, 0x35, 16, 0, 0, 0]); // lea rsi, [rip + 16]: the text behind the code
    code.extend([0xba, text.len() as u8, 0, 0, 0]); // mov edx, its length
    code.extend([0x0f, 0x05]); //             syscall
    code.extend([0xb8, 60, 0, 0, 0]); //      mov eax, SYS_exit
    code.extend([0x31, 0xff]); //             xor edi, edi
    code.extend([0x0f, 0x05]); //             syscall
    code.extend(text.as_bytes());

    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec(); // 64 bits, little endian, version 1
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, EM_X86_64, version 1
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend(u64::to_le_bytes(word)); // entry, program headers, section headers
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // flags, sizes and counts: one program header
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, readable and executable
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(u64::to_le_bytes(word)); // offset, virtual and physical address, sizes, alignment
    }
    elf.extend(code);
    elf
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_init_is_a_program_that_prints_the_sign() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, path) = (folder.path().join("bytes"), folder.path().join("init"));
        std::fs::write(&bytes, init()).unwrap();
        // Written by another process: a file that this one has open for writing may be inherited by the child of
        // another test's thread, and is then too busy to run.
        assert!(Command::new("install").args([&bytes, &path]).status().unwrap().success());
        let output = Command::new(&path).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{SIGN}\n"));
    }
}
