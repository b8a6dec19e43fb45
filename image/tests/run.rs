//! QEMU takes the command line: the machine starts, and ends when it is told to on the terminal.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the keys Ctrl-A and X send.
const END: &[u8] = b"\x01x";

/// Runs `coracle` with these keys already typed; nothing may take longer than two minutes.
fn coracle(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["120", env!("CARGO_BIN_EXE_coracle")]).args(arguments).current_dir(folder);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A command that fails at once does not read its keys.
    let _ = child.stdin.take().unwrap().write_all(END);
    child.wait_with_output().unwrap()
}

fn assert_ran(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr).replace("coracle: ", "");
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("QEMU: Terminated"), "{output:?}");
    assert!(!said.contains("qemu-system"), "QEMU has something to say: {said}");
}

/// The header that QEMU wants to see in a kernel, and an endless loop behind it.
fn kernel() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x1f1] = 1;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x200..0x202].copy_from_slice(&[0xeb, 0xfe]);
    image[0x202..0x208].copy_from_slice(b"HdrS\x0c\x02");
    // The highest address of an initramfs.
    image[0x22c..0x230].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    image
}

#[test]
fn a_machine_with_firmware_starts_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("a,b:c.raw")).unwrap().set_len(1 << 20).unwrap();
    assert_ran(&coracle(folder.path(), &["run", "a,b:c.raw", "--accel", "tcg", "--memory", "128M"]));
    let kept = ["run", "a,b:c.raw", "--accel", "tcg", "--no-snapshot", "--cpus", "1"];
    assert_ran(&coracle(folder.path(), &kept));
    assert!(folder.path().join("a,b:c.raw.variables").exists());
}

#[test]
fn a_machine_without_firmware_starts_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("edge_1.0.0.raw")).unwrap().set_len(1 << 20).unwrap();
    for (suffix, content) in
        [("vmlinuz", kernel()), ("initrd", b"070701".to_vec()), ("cmdline", b"a=1".to_vec())]
    {
        fs::write(folder.path().join(format!("edge_1.0.0.{suffix}")), content).unwrap();
    }
    assert_ran(&coracle(folder.path(), &["run", "edge_1.0.0.raw", "--direct", ".", "--accel", "tcg"]));
}

#[test]
fn the_accelerator_is_found_and_the_command_line_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("disk.raw"), [0; 4096]).unwrap();
    let output = coracle(folder.path(), &["run", "disk.raw", "--print", "--forward", "8080:80"]);
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && line.starts_with("qemu-system-x86_64 "), "{line}");
    assert!(line.contains("-accel tcg") || line.contains("-accel kvm"), "{line}");
    assert!(line.contains("hostfwd=tcp:127.0.0.1:8080-:80"), "{line}");
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("disk.raw"), [0; 4096]).unwrap();
    for (arguments, says) in [
        (&["run", "missing.raw"][..], "open missing.raw"),
        (&["run", "disk.raw", "--direct", "."], "build with the format \"direct\""),
        (&["run", "disk.raw", "--forward", "80"], "two ports"),
        (&["run", "disk.raw", "--memory", "12K"], "a number with M or G"),
        (&["run", "disk.raw", "--forward", "80:1", "--forward", "80:2"], "forwarded twice"),
    ] {
        let output = coracle(folder.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
    }
}
