//! `coracle run`: an image in QEMU, its console on the terminal.
//!
//! | module | knows |
//! |---|---|
//! | [`machine`] | the machine as a value and as QEMU's command line |
//! | [`probe`] | whether hardware acceleration works |
//! | `direct` | the files that a build leaves for a boot without firmware |
//! | [`values`] | ports and sizes |
//!
//! The image stays as it is unless that is asked for, and so do the firmware's variables.

mod direct;
pub mod machine;
pub mod probe;
pub mod values;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tempfile::NamedTempFile;

use crate::inspect::{self, Form};
use machine::{Accelerator, Boot, Disk, Machine, QEMU, Writes};
use values::{Forward, Memory};

/// The firmware and its empty variables, where Debian's package puts them; older releases have the second pair only.
const FIRMWARE: [(&str, &str); 2] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
];

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image, of any form.
    pub image: PathBuf,
    /// The folder with the direct-boot set; `None` boots through UEFI firmware.
    pub direct: Option<PathBuf>,
    /// Ports that lead in.
    pub forwards: Vec<Forward>,
    /// Its memory.
    pub memory: Memory,
    /// Its processors.
    pub processors: u32,
    /// What runs its instructions; `None` finds out.
    pub accelerator: Option<Accelerator>,
    /// The socket at which its update agent is reached.
    pub control: Option<PathBuf>,
    /// What becomes of writes.
    pub writes: Writes,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that is needed cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image is not one.
    #[error(transparent)]
    Image(#[from] inspect::Error),
    /// Writes into a form that QEMU cannot write.
    #[error("{}: QEMU cannot write into {form}; --no-snapshot takes raw, qcow2 or vhd", path.display())]
    Unwritable {
        /// The image.
        path: PathBuf,
        /// Its form.
        form: &'static str,
    },
    /// No firmware.
    #[error("no UEFI firmware in /usr/share/OVMF: install the package ovmf, or use --direct DIR")]
    NoFirmware,
    /// No direct-boot set, or several of which none has the image's name.
    #[error("no kernel for {} in {}: build with the format \"direct\"", image.display(), folder.display())]
    NoDirectSet {
        /// Where it was looked for.
        folder: PathBuf,
        /// The image.
        image: PathBuf,
    },
    /// Two rules for one port.
    #[error("port {port} of this host is forwarded twice")]
    PortTwice {
        /// The port.
        port: u16,
    },
    /// No room for the firmware's variables.
    #[error("copy the firmware's variables to {}", path.display())]
    Variables {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// QEMU does not start.
    #[error("start {QEMU}: install the package qemu-system-x86")]
    Qemu(#[source] io::Error),
}

/// A machine that can be started, and the files that live as long as it.
#[derive(Debug)]
pub struct Ready {
    /// The machine.
    pub machine: Machine,
    _temporary: Vec<NamedTempFile>,
}

/// Finds everything that the machine needs.
///
/// # Errors
/// Whatever [`Error`] says, but for the last.
pub fn prepare(request: &Request) -> Result<Ready, Error> {
    let mut ports: Vec<u16> = request.forwards.iter().map(|rule| rule.host()).collect();
    ports.sort_unstable();
    if let Some(pair) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::PortTwice { port: pair[0] });
    }
    let mut temporary = Vec::new();
    let disk = disk(request, &mut temporary)?;
    let boot = match &request.direct {
        Some(folder) => direct::find(folder, &request.image)?,
        None => uefi(request, &mut temporary)?,
    };
    let accelerator = match request.accelerator {
        Some(accelerator) => accelerator,
        None => probe::accelerator().map_err(Error::Qemu)?,
    };
    let machine = Machine {
        accelerator,
        memory: request.memory,
        processors: request.processors,
        boot,
        disk,
        forwards: request.forwards.clone(),
        control: request.control.clone(),
    };
    Ok(Ready { machine, _temporary: temporary })
}

impl Ready {
    /// Runs QEMU until it ends.
    ///
    /// # Errors
    /// [`Error::Qemu`].
    pub fn run(self) -> Result<ExitStatus, Error> {
        Command::new(QEMU).args(self.machine.arguments()).status().map_err(Error::Qemu)
    }
}

fn disk(request: &Request, temporary: &mut Vec<NamedTempFile>) -> Result<Disk, Error> {
    let path = &request.image;
    let form = inspect::form(path)?;
    let driver = match form {
        Form::Raw | Form::RawZst => "raw",
        Form::Qcow2 => "qcow2",
        Form::Vmdk => "vmdk",
        Form::Vhd => "vpc",
    };
    if request.writes == Writes::Stay && matches!(form, Form::RawZst | Form::Vmdk) {
        return Err(Error::Unwritable { path: path.clone(), form: form.name() });
    }
    let path = match form {
        Form::RawZst => {
            let raw = inspect::decompress(path)?;
            let path = raw.path().to_owned();
            temporary.push(raw);
            path
        }
        _ => absolute(path)?,
    };
    Ok(Disk { path, driver, writes: request.writes })
}

/// A path that QEMU cannot take for an address, as it does where a colon stands before the first slash.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The firmware, and variables of the machine's own: kept beside the image if its writes are, else gone with it.
fn uefi(request: &Request, temporary: &mut Vec<NamedTempFile>) -> Result<Boot, Error> {
    let there = |path: &&str| Path::new(*path).exists();
    let pair = FIRMWARE.iter().find(|(code, variables)| there(code) && there(variables));
    let (code, empty) = pair.ok_or(Error::NoFirmware)?;
    let copy =
        |to: &Path| fs::copy(empty, to).map_err(|source| Error::Variables { path: to.to_owned(), source });
    let variables = match request.writes {
        Writes::Vanish => {
            let failed = |source| Error::Variables { path: std::env::temp_dir(), source };
            let file = NamedTempFile::with_prefix("coracle-variables-").map_err(failed)?;
            copy(file.path())?;
            let path = file.path().to_owned();
            temporary.push(file);
            path
        }
        Writes::Stay => {
            let path = absolute(&request.image)?.with_added_extension("variables");
            if !path.exists() {
                copy(&path)?;
            }
            path
        }
    };
    Ok(Boot::Uefi { code: code.into(), variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(image: &Path) -> Request {
        Request {
            control: None,
            image: image.to_owned(),
            direct: None,
            forwards: Vec::new(),
            memory: "128M".parse().unwrap(),
            processors: 1,
            accelerator: Some(Accelerator::Tcg),
            writes: Writes::Vanish,
        }
    }

    #[test]
    fn a_compressed_image_is_unpacked_for_the_machine_and_removed_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.raw.zst");
        fs::write(&image, zstd::bulk::compress(&[7; 100_000], 1).unwrap()).unwrap();
        let ready = prepare(&request(&image)).unwrap();
        let raw = ready.machine.disk.path.clone();
        assert!(fs::read(&raw).unwrap() == [7; 100_000]);
        let Boot::Uefi { variables, .. } = ready.machine.boot.clone() else {
            panic!("{:?}", ready.machine.boot)
        };
        assert!(variables.exists());
        drop(ready);
        assert!(!raw.exists() && !variables.exists());
        let kept = Request { writes: Writes::Stay, ..request(&image) };
        assert!(matches!(prepare(&kept), Err(Error::Unwritable { form: "raw.zst", .. })));
    }

    #[test]
    fn kept_writes_keep_the_variables_beside_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.raw");
        fs::write(&image, [0; 4096]).unwrap();
        let kept = Request { writes: Writes::Stay, ..request(&image) };
        drop(prepare(&kept).unwrap());
        let variables = folder.path().join("disk.raw.variables");
        fs::write(&variables, b"changed by a guest").unwrap();
        drop(prepare(&kept).unwrap());
        assert_eq!(fs::read(&variables).unwrap(), b"changed by a guest");
    }

    #[test]
    fn what_cannot_be_is_said_before_anything_starts() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.raw");
        assert!(matches!(prepare(&request(&image)), Err(Error::Image(_))));
        fs::write(&image, [0; 4096]).unwrap();
        let forwards = ["80:1", "81:1", "80:2"].map(|rule| rule.parse().unwrap()).to_vec();
        let twice = Request { forwards, ..request(&image) };
        assert!(matches!(prepare(&twice), Err(Error::PortTwice { port: 80 })));
        let direct = Request { direct: Some(folder.path().to_owned()), ..request(&image) };
        assert!(matches!(prepare(&direct), Err(Error::NoDirectSet { .. })));
    }
}
