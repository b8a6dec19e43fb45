//! Whether hardware acceleration really runs a guest.
//!
//! That `/dev/kvm` opens proves little: inside another virtual machine it may interpret, hang, or end the guest at its
//! first privileged instruction. So a guest is started: a firmware of 64 KiB whose few instructions go from the reset
//! vector through paging into 64-bit mode, ask the processor who it is, and tell QEMU to exit with a code that nothing
//! else gives.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::machine::{Accelerator, QEMU};

/// With acceleration that works, the guest is done after a hundredth of this.
const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
const DEVICE: &str = "/dev/kvm";

const ROM: usize = 64 << 10;
/// The first instruction of the processor, 16 bytes below the end.
const RESET: usize = ROM - 16;
/// Written to the exit device's port; QEMU makes it 2 n + 1.
const SIGN: u8 = 0x55;
const EXIT_CODE: i32 = SIGN as i32 * 2 + 1;

/// The processor if a guest runs on it, else the translator.
///
/// # Errors
/// QEMU does not start, or there is no room for the guest. What goes wrong inside the guest is the answer.
pub fn accelerator() -> io::Result<Accelerator> {
    let opens = File::options().read(true).write(true).open(Path::new(DEVICE)).is_ok();
    Ok(if opens && runs(Accelerator::Kvm)? { Accelerator::Kvm } else { Accelerator::Tcg })
}

/// Whether the guest comes to its end within 5 seconds.
///
/// # Errors
/// QEMU does not start, or there is no room for the guest.
pub fn runs(accelerator: Accelerator) -> io::Result<bool> {
    let mut file = NamedTempFile::with_prefix("coracle-probe-")?;
    file.write_all(&rom())?;
    let mut qemu = Command::new(QEMU);
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-machine",
        "q35",
        "-cpu",
        "max",
    ]);
    qemu.args(["-m", "16", "-accel", accelerator.name(), "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    qemu.arg("-bios").arg(file.path());
    let mut guest = qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = guest.try_wait()? {
            return Ok(status.code() == Some(EXIT_CODE));
        }
        std::thread::sleep(PAUSE);
    }
    guest.kill()?;
    guest.wait()?;
    Ok(false)
}

/// The firmware. It lies at 0xf0000 as well as below 4 GiB, and builds its page tables from 0x1000 on.
fn rom() -> Vec<u8> {
    let mut code: Vec<u8> = Vec::new();
    code.extend([0xfa, 0xfc]); //                               cli; cld
    code.extend([0x66, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0]); // eax = 0; ds = es = 0
    code.extend([0xbf, 0x00, 0x10, 0xb9, 0x00, 0x0c]); //       di = 0x1000; cx = 0xc00
    code.extend([0x66, 0xf3, 0xab]); //                         three zeroed pages
    code.extend([0xc7, 0x06, 0x00, 0x10, 0x03, 0x20]); //       level 4: the page at 0x2000
    code.extend([0xc7, 0x06, 0x00, 0x20, 0x03, 0x30]); //       level 3: the page at 0x3000
    code.extend([0xc7, 0x06, 0x00, 0x30, 0x83, 0x00]); //       level 2: 2 MiB from 0
    code.extend([0x66, 0xb8, 0x00, 0x10, 0, 0, 0x0f, 0x22, 0xd8]); // cr3 = 0x1000
    code.extend([0x0f, 0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0]); // cr4 |= PAE
    code.extend([0x66, 0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32]); // rdmsr EFER
    code.extend([0x80, 0xcc, 0x01, 0x0f, 0x30]); //             |= LME; wrmsr
    code.extend([0x2e, 0x66, 0x0f, 0x01, 0x16, 0x78, 0x00]); // lgdt cs:[0x78]
    code.extend([0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0, 0, 0x80, 0x0f, 0x22, 0xc0]); // cr0 |= PG, PE
    code.extend([0x66, 0xea, 0x5d, 0x00, 0x0f, 0x00, 0x08, 0x00]); // jump to the next line, 64-bit
    code.extend([0x31, 0xc0, 0x0f, 0xa2]); //                   eax = 0; cpuid
    code.extend([0xb0, SIGN, 0xe6, 0xf4]); //                   out 0xf4, the sign
    code.extend([0xf4, 0xeb, 0xfd]); //                         hlt, for ever
    code.resize(0x70, 0); //                                    GDT: none, 64-bit code
    code.extend([0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00]);
    code.extend([0x0f, 0x00, 0x68, 0x00, 0x0f, 0x00]); //       at 0x78: its limit, its address 0xf0068
    code.resize(ROM, 0);
    code[RESET..RESET + 5].copy_from_slice(&[0xea, 0x00, 0x00, 0x00, 0xf0]); // jump to f000:0000
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_comes_to_its_end_under_emulation() {
        assert!(runs(Accelerator::Tcg).unwrap());
    }

    #[test]
    fn jump_and_table_are_where_the_code_says() {
        let rom = rom();
        let jump = rom.windows(2).position(|pair| pair == [0x66, 0xea]).unwrap();
        let target = u32::from_le_bytes(rom[jump + 2..jump + 6].try_into().unwrap());
        assert_eq!(target as usize, 0xf0000 + jump + 8);
        let table = u32::from_le_bytes(rom[0x7a..0x7e].try_into().unwrap()) as usize - 0xf0000;
        assert_eq!(rom[table..table + 8], [0; 8]);
        assert_eq!(rom[table + 13], 0x9a, "present, code");
    }
}
