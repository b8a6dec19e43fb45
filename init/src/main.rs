//! The program in the UKI's initramfs.

use std::process::ExitCode;

fn main() -> ExitCode {
    coracle_init::main()
}
