//! The programs that images and guests are made of, compiled by cargo.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coracle_uki::initramfs::Archive;
use tempfile::NamedTempFile;

use crate::Error;

/// The top folder of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The kernel of the virtio profile, built if the cache has none.
///
/// # Errors
/// [`Error::Run`] or [`Error::Program`] of `./dev kernel`.
pub fn kernel() -> Result<PathBuf, Error> {
    kernel_of("virtio")
}

/// The same for any profile.
pub(crate) fn kernel_of(profile: &str) -> Result<PathBuf, Error> {
    let printed = output(Command::new("./dev").args(["kernel", "--profile", profile]))?;
    Ok(PathBuf::from(printed.trim()))
}

/// Compiles a program of this workspace as it is for an image: without a need for any library; returns its path.
///
/// # Errors
/// [`Error::Run`] or [`Error::Program`] of `./dev static`.
pub fn static_program(package: &str, program: &str) -> Result<PathBuf, Error> {
    Ok(static_programs(&[package])?.join(program))
}

/// The same for all programs of these packages; returns their folder.
pub(crate) fn static_programs(packages: &[&str]) -> Result<PathBuf, Error> {
    let printed = output(Command::new("./dev").arg("static").args(packages))?;
    Ok(repository().join(printed.trim()))
}

/// Compiles the image builder; returns its path.
pub(crate) fn builder() -> Result<PathBuf, Error> {
    output(Command::new("cargo").args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "coracle",
    ]))?;
    Ok(repository().join("target/release/coracle"))
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

/// Runs a command in the repository and returns what it prints.
///
/// # Errors
/// [`Error::Run`], or [`Error::Program`] with what it said.
pub fn output(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(repository())
        // `./dev` knows where its programs are only in the folder that is nobody's choice.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].concat();
    Err(Error::Program {
        program,
        status: output.status,
        output: String::from_utf8_lossy(&said).into_owned(),
    })
}
