//! What is booted, and where it comes from.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coracle_uki::initramfs::Archive;
use tempfile::NamedTempFile;

use crate::Error;

/// The only target whose programs can be linked without a dynamic linker.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The top folder of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The kernel of the virtio profile, built if the cache has none.
///
/// # Errors
/// [`Error::Run`] or [`Error::Program`] of `./dev kernel`.
pub fn kernel() -> Result<PathBuf, Error> {
    let mut command = Command::new("./dev");
    command.args(["kernel", "--profile", "virtio"]);
    Ok(PathBuf::from(printed(&mut command)?.trim()))
}

/// Builds a program of this workspace that runs without any library, as a guest has none; returns its path.
///
/// # Errors
/// [`Error::Run`] or [`Error::Program`] of cargo.
pub fn static_program(package: &str, program: &str) -> Result<PathBuf, Error> {
    let folder = repository().join("build/test/programs");
    let mut command = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    command
        .args(["build", "--quiet", "--locked", "--package", package, "--bin", program, "--target", TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &folder);
    printed(&mut command)?;
    Ok(folder.join(TARGET).join("debug").join(program))
}

/// An initramfs with this program as `/init`, a console, and empty folders to mount on. Lives as long as the value.
///
/// # Errors
/// [`Error::File`].
pub fn initramfs(init: &[u8]) -> Result<NamedTempFile, Error> {
    let mut archive = Archive::new();
    let packed = ["dev", "proc", "sys", "run"]
        .iter()
        .try_for_each(|folder| archive.directory(folder, 0o755).map(drop))
        .and_then(|()| archive.char_device("dev/console", 0o600, 5, 1).map(drop))
        .and_then(|()| archive.file("init", 0o755, init).map(drop));
    packed.map_err(|source| Error::Initramfs { source })?;
    let failed =
        |source| Error::File { operation: "write an initramfs in", path: std::env::temp_dir(), source };
    let mut file = NamedTempFile::with_prefix("coracle-initramfs-").map_err(failed)?;
    file.write_all(&archive.finish()).map_err(failed)?;
    Ok(file)
}

/// An initramfs around a program of this workspace, see [`static_program`].
///
/// # Errors
/// Those of [`static_program`] and [`initramfs`].
pub fn initramfs_with(package: &str, program: &str) -> Result<NamedTempFile, Error> {
    let path = static_program(package, program)?;
    let init = fs::read(&path).map_err(|source| Error::File { operation: "read", path, source })?;
    initramfs(&init)
}

/// Runs a command in the repository and returns what it prints; what it has to say goes to standard error.
fn printed(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(repository())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(Error::Program { program, status: output.status, output: text })
    }
}
