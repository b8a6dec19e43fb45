//! The runtime's own tests, with the kernel that ships and every cgroup controller: what no build host promises to have.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_qemu_tests::image::{kernel, repository, static_program};
use coracle_qemu_tests::{Config, Deadline, Exit, Machine};
use coracle_uki::initramfs::Archive;

const STATIC: &str = "target-feature=+crt-static";
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[test]
fn containers_start_and_stay_within_their_limits() {
    let mut archive = Archive::new();
    for folder in ["dev", "proc", "sys", "run"] {
        archive.directory(folder, 0o755).unwrap();
    }
    archive.char_device("dev/console", 0o600, 5, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let programs = [
        ("init", static_program("coracle-qemu-tests", "guest-suite").unwrap()),
        ("suite", suite()),
        ("probe", probe(folder.path())),
    ];
    for (name, path) in programs {
        archive.file(name, 0o755, &std::fs::read(path).unwrap()).unwrap();
    }
    let mut initramfs = tempfile::NamedTempFile::new().unwrap();
    initramfs.write_all(&archive.finish()).unwrap();

    let config = Config::direct(kernel().unwrap(), initramfs.path(), "").memory(512).without_network();
    let mut machine = Machine::start(config).unwrap();
    let ending = machine.wait_for("guest: suite", Deadline::seconds(400)).unwrap();
    assert_eq!(machine.wait_exit(Deadline::seconds(60)).unwrap(), Exit::PowerOff);
    let console = machine.console().text();
    assert!(ending.contains("exit status: 0"), "{console}");
    for word in ["oom-kill:constraint=CONSTRAINT_MEMCG", "fork rejected by pids controller"] {
        assert!(console.contains(word), "the kernel limited nothing, it says no {word:?}: {console}");
    }
}

/// The runtime's test of starting containers, as one static file.
fn suite() -> PathBuf {
    let done = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["test", "--no-run", "--locked", "--package", "coracle-runtime", "--test", "start"])
        .args(["--target", TARGET, "--message-format", "json-render-diagnostics"])
        .env("RUSTFLAGS", format!("-C {STATIC} -C strip=symbols"))
        .env("CARGO_TARGET_DIR", repository().join("build/test/suite"))
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let messages = String::from_utf8(done.stdout).unwrap();
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    programs.next_back().expect("cargo names the test program")
}

/// The program that the containers run.
fn probe(folder: &Path) -> PathBuf {
    let program = folder.join("probe");
    let done = Command::new("rustc")
        .args(["--edition=2024", "-Copt-level=1", "-Cpanic=abort", &format!("-C{STATIC}"), "-o"])
        .args([&program, &repository().join("runtime/tests/start/probe.rs")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program
}
