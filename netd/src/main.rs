//! `netd [--root FOLDER] [INTERFACE...]`: the network process of the host.
//!
//! Interfaces named on the command line are looked after though they are virtual. FOLDER stands in for `/`, where
//! `/proc/cmdline` and `/run/netd` are.

mod changes;
mod clock;
mod datagram;
mod error;
mod interface;
mod ip;
mod network;
mod report;
mod session;
mod settings;
mod transport;

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use coracle_layout::{
    cmdline::{self, Cmdline},
    paths,
};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use coracle_log::{Chain, error, warning};
use error::Error;
use ip::Config;
use network::Network;

/// Bytes of a kernel command line that are read; x86 takes 2048.
const MAX_CMDLINE: u64 = 64 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(never) => match never {},
        Err(error) => {
            error!("netd ends error=\"{}\"", Chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Infallible, Error> {
    let arguments = Arguments::read(env::args_os().skip(1))?;
    let folder = below(&arguments.root, paths::RUN_NETD);
    let _only_one = lock(folder.join("lock"))?;
    let config = config(&below(&arguments.root, "/proc/cmdline"));
    Network::open(config, arguments.named, folder)?.run()
}

/// The words after the program's name.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    root: PathBuf,
    named: Vec<String>,
}

impl Arguments {
    fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Error> {
        let mut arguments = Self { root: "/".into(), named: vec![] };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--root") => arguments.root = words.next().ok_or(Error::NoRoot)?.into(),
                Some(name) if ip::is_name(name) && !name.starts_with('-') => {
                    arguments.named.push(name.to_owned());
                }
                _ => return Err(Error::Argument { word: word.to_string_lossy().into_owned() }),
            }
        }
        Ok(arguments)
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Two would take away from each other what they set. The lock goes when the process does.
fn lock(path: PathBuf) -> Result<Flock<File>, Error> {
    let file = match File::create(&path) {
        Ok(file) => file,
        Err(source) => return Err(Error::Open { path, source }),
    };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Error::Held { path },
        source => Error::Lock { path, source },
    })
}

/// What the kernel's command line asks for. A machine that cannot follow it had better be reached by DHCP than not at all.
fn config(path: &Path) -> Config {
    let text = text_of(path).unwrap_or_else(|error| {
        warning!("dhcp everywhere instead of ip= error=\"{}\"", Chain(&error));
        String::new()
    });
    let value = Cmdline::new(&text).value(cmdline::IP).unwrap_or("dhcp");
    Config::parse(value).unwrap_or_else(|error| {
        error!("dhcp everywhere instead of ip={value:?} error=\"{error}\"");
        Config::Dhcp { device: None }
    })
}

fn text_of(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_CMDLINE).read_to_string(&mut text));
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_command_line_is_a_folder_and_names() {
        let read = |words: &[&str]| Arguments::read(words.iter().map(OsString::from));
        let want = Arguments { root: "/r".into(), named: vec!["veth0".to_owned(), "br-1".to_owned()] };
        assert_eq!(read(&["veth0", "--root", "/r", "br-1"]).unwrap(), want);
        assert_eq!(read(&[]).unwrap(), Arguments { root: "/".into(), named: vec![] });
        assert!(matches!(read(&["--root"]), Err(Error::NoRoot)));
        for word in ["--help", "-4", "eth 0", ""] {
            assert!(matches!(read(&[word]), Err(Error::Argument { word: named }) if named == word));
        }
    }

    #[test]
    fn there_is_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(path.clone()).unwrap();
        assert!(matches!(lock(path.clone()), Err(Error::Held { .. })));
        drop(held);
        lock(path).unwrap();
        assert!(matches!(lock(folder.path().join("no/lock")), Err(Error::Open { .. })));
    }

    #[test]
    fn what_cannot_be_followed_becomes_dhcp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cmdline");
        let every = Config::Dhcp { device: None };
        assert_eq!(config(&path), every, "no file");
        for (text, want) in [
            ("roothash=12\n", every.clone()),
            ("ip=10.0.0.1\n", every.clone()),
            ("ip=off ip=dhcp\n", Config::Off),
            ("ip=:::::eth1:dhcp quiet", Config::Dhcp { device: Some("eth1".to_owned()) }),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(config(&path), want, "{text}");
        }
    }
}
