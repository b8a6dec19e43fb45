//! Stage 1 and PID 1: the first two programs after the kernel, in one file.

mod clock;
mod disk;
mod log;
mod stage1;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().next() {
        Some(name) if name == "/init" => stage1::main(),
        _ => {
            log::error!("this is no initramfs");
            ExitCode::FAILURE
        }
    }
}
