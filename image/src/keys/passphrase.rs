//! Where passphrases come from: files, or the terminal. Never the command line, which everybody on a machine can read.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use pkcs8::der::zeroize::Zeroizing;

use super::Error;

/// The passphrases that were given; each is tried on each key.
#[derive(Default)]
pub struct Passphrases {
    given: Vec<Zeroizing<String>>,
}

impl Passphrases {
    /// The first line of each file; `/dev/fd/N` is one, too.
    ///
    /// # Errors
    /// One cannot be read or is empty.
    pub fn from_files(files: &[PathBuf]) -> Result<Self, Error> {
        let mut given = Vec::new();
        for path in files {
            let text = Zeroizing::new(fs::read_to_string(path).map_err(Error::file("read", path))?);
            let line = text.lines().next().unwrap_or_default();
            if line.is_empty() {
                return Err(Error::Passphrase);
            }
            given.push(Zeroizing::new(line.to_owned()));
        }
        Ok(Self { given })
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// What new keys are encrypted with: the last that was given, or one that is typed twice.
    pub(super) fn for_new(&mut self) -> Result<Zeroizing<String>, Error> {
        if let Some(last) = self.given.last() {
            return Ok(last.clone());
        }
        let (first, second) = (ask("passphrase for new keys: ")?, ask("once more: ")?);
        if *first != *second || first.is_empty() {
            return Err(Error::Passphrase);
        }
        self.given.push(first.clone());
        Ok(first)
    }

    /// Tries each; the last is one that is typed for this key, if nothing was given.
    pub(super) fn open<T>(
        &mut self,
        name: &str,
        open: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        if let Some(opened) = self.given.iter().find_map(|passphrase| open(passphrase)) {
            return Ok(Some(opened));
        }
        if !self.given.is_empty() && !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        let typed = ask(&format!("passphrase of {name}: "))?;
        let opened = open(&typed);
        if opened.is_some() {
            self.given.push(typed);
        }
        Ok(opened)
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::NoPassphrase);
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Error::file("read", "/dev/tty"))
}
