//! Debian, set up once by `peers/build.sh` and kept outside the clone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_qemu_tests::image::{output, repository};
use coracle_qemu_tests::machine::Writes;
use coracle_qemu_tests::{Config, Error};
use sha2::{Digest, Sha256};

/// How it is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By two scripts: the initrd's and the host's.
    Bare,
    /// With the initrd that the distribution makes, and a script as the host's init.
    Stripped,
    /// As the distribution does.
    Systemd,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Bare, Self::Stripped, Self::Systemd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "debian-bare",
            Self::Stripped => "debian-stripped",
            Self::Systemd => "debian-systemd",
        }
    }
}

/// A disk, a kernel, and the initrds.
pub struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Finds what was made from these scripts and this server, or makes it, which takes minutes and asks the mirror.
    pub fn find(server: &Path) -> Result<Self, Error> {
        let scripts = repository().join("qemu-tests/benches/boot/peers");
        let kept = cache();
        let folder = kept.join(key(&scripts, server)?);
        if folder.exists() {
            return Ok(Self { folder });
        }
        // What is there was made from other bytes, or not to the end.
        match fs::remove_dir_all(&kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &kept)(error));
            }
            _ => {}
        }
        let work = folder.with_extension("work");
        fs::create_dir_all(&work).map_err(failed("make", &work))?;
        eprintln!("bench: building the peers in {}", folder.display());
        output(Command::new(scripts.join("build.sh")).arg(&work).arg(server))?;
        fs::rename(&work, &folder).map_err(failed("rename", &work))?;
        Ok(Self { folder })
    }

    /// Boots it; what it writes is forgotten.
    pub fn direct(&self, way: Way) -> Config {
        let file = |name| self.folder.join(name);
        let (initrd, words) = match way {
            Way::Bare => ("bare.initrd", "quiet"),
            Way::Stripped => ("debian.initrd", "quiet root=/dev/vda rw net.ifnames=0 init=/sbin/host"),
            Way::Systemd => ("debian.initrd", "quiet root=/dev/vda rw"),
        };
        Config::direct(file("kernel"), file(initrd), words).disk(file("disk.raw"), Writes::Vanish)
    }
}

fn cache() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_else(std::env::temp_dir);
    home.join(".cache/coracle/bench")
}

/// A name for the bytes of the scripts, by their names, and of the server.
fn key(scripts: &Path, server: &Path) -> Result<String, Error> {
    let entries = fs::read_dir(scripts).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<_> =
        entries.map_err(failed("list", scripts))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    paths.push(server.to_owned());
    let mut digest = Sha256::new();
    for path in &paths {
        let bytes = fs::read(path).map_err(failed("read", path))?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { operation, path, source }
}
