//! The program as it is on the image: linked statically, and without the C library's name service switch, which would load
//! libraries that are not there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{env, fs, path::Path, process::Command};

/// Target of the device programs; without `--target` the flags would reach build scripts too.
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[test]
fn it_needs_no_library_at_run_time() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let built = Command::new(env::var("CARGO").unwrap())
        .args(["build", "--quiet", "--locked", "--package", "coracle-netd", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=debuginfo")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let path = folder.join(TARGET).join("debug/netd");
    let bytes = fs::read(&path).unwrap();
    for word in ["nsswitch", "libnss_"] {
        let there = bytes.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!there, "{word} is in {}", path.display());
    }
    let headers = Command::new("objdump").arg("-p").arg(&path).output().unwrap();
    let headers = String::from_utf8(headers.stdout).unwrap();
    assert!(
        headers.contains("LOAD") && !headers.contains("NEEDED") && !headers.contains("INTERP"),
        "{headers}"
    );
}
