//! What a boot needs: a root, a disk, a machine.

pub mod disk;
pub mod machine;

pub use disk::{Disk, Root};
pub use machine::Machine;

/// The program for the guest, which has no dynamic loader.
pub const PROBE: &str = env!("CARGO_BIN_EXE_stage1-probe");

/// The bytes of a program, if it runs without a dynamic loader.
pub fn program(path: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let headers = &bytes[..bytes.len().min(4096)];
    let wants_loader = headers.windows(8).any(|window| window == b"/lib64/l");
    assert!(
        !wants_loader,
        "{path} is linked dynamically: set RUSTFLAGS='-C target-feature=+crt-static' and --target"
    );
    bytes
}
