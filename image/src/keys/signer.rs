//! One key: made, kept, read, signing.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use pkcs8::der::pem::LineEnding;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use serde::Deserialize;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};

use super::{Error, Passphrases};

/// The end of the name of a file with a key.
pub const PEM: &str = "pem";
/// The end of the name of a file that says where a key is.
pub const SIGNER: &str = "signer";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// More than any signature has.
const MAX_SIGNATURE: u64 = 1024;

/// A key that can sign.
#[derive(Debug)]
pub struct Signer {
    name: String,
    key: Key,
    id: Decoded<Hex>,
    with: With,
}

#[derive(Debug)]
enum With {
    Here(Ed25519KeyPair),
    There(Vec<String>),
}

/// `NAME.signer`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    command: Vec<String>,
    public: String,
}

impl Signer {
    /// Makes a key and puts it, encrypted, into a file that is not there yet and that only its owner reads.
    pub fn make(folder: &Path, name: &str, passphrases: &mut Passphrases) -> Result<Self, Error> {
        let path = folder.join(format!("{name}.{PEM}"));
        let pair = Ed25519KeyPair::generate().map_err(|_| Error::Kind { path: path.clone() })?;
        let failed = |source| Error::Encrypt { path: path.clone(), source };
        let plain = pair.as_der().map_err(|_| Error::Kind { path: path.clone() })?;
        let plain: &aws_lc_rs::encoding::Pkcs8V1Der<'_> = &plain;
        let info = PrivateKeyInfoRef::try_from(plain.as_ref()).map_err(failed)?;
        let sealed = info.encrypt(passphrases.for_new()?.as_bytes()).map_err(failed)?;
        let pem = sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(|error| failed(error.into()))?;
        let mut file = fs::OpenOptions::new();
        file.write(true).create_new(true).mode(0o600);
        file.open(&path)
            .and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(Error::file("write", &path))?;
        Self::new(name, ed25519(pair.public_key().as_ref()), With::Here(pair))
    }

    /// Reads a key, or where it is.
    pub fn read(path: &Path, passphrases: &mut Passphrases) -> Result<Self, Error> {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        if path.extension().is_some_and(|end| end == SIGNER) {
            return Self::described(path, name, &text);
        }
        let locked = || Error::Locked { path: path.to_owned() };
        let (label, sealed) = SecretDocument::from_pem(&text).map_err(|_| locked())?;
        if label != ENCRYPTED {
            return Err(Error::Naked { path: path.to_owned() });
        }
        let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).map_err(|_| locked())?;
        let plain =
            passphrases.open(name, |passphrase| sealed.decrypt(passphrase).ok())?.ok_or_else(locked)?;
        let pair = Ed25519KeyPair::from_pkcs8(plain.as_bytes());
        let pair = pair.map_err(|_| Error::Kind { path: path.to_owned() })?;
        Self::new(name, ed25519(pair.public_key().as_ref()), With::Here(pair))
    }

    fn described(path: &Path, name: &str, text: &str) -> Result<Self, Error> {
        let description: Description = toml::from_str(text)
            .map_err(|source| Error::Description { path: path.to_owned(), source: Box::new(source) })?;
        let key = description.public.parse::<Key>();
        match key {
            Ok(key @ (Key::Ed25519 { .. } | Key::Ecdsa { .. })) if !description.command.is_empty() => {
                Self::new(name, key, With::There(description.command))
            }
            _ => Err(Error::Described { path: path.to_owned() }),
        }
    }

    fn new(name: &str, key: Key, with: With) -> Result<Self, Error> {
        let id = key.key_id()?;
        Ok(Self { name: name.to_owned(), key, id, with })
    }

    /// Its name: that of its file, without the end.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The ID by which metadata names it.
    pub fn id(&self) -> &Decoded<Hex> {
        &self.id
    }

    /// Signs.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let command = match &self.with {
            With::Here(pair) => return Ok(pair.sign(bytes).as_ref().to_vec()),
            With::There(command) => command,
        };
        let signature = self.run(command, bytes)?;
        if let Key::Ed25519 { keyval, .. } = &self.key
            && UnparsedPublicKey::new(&ED25519, &keyval.public[..]).verify(bytes, &signature).is_err()
        {
            return Err(self.signature(command, "gave a signature that its public key does not verify"));
        }
        Ok(signature)
    }

    fn run(&self, command: &[String], bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::Command { name: self.name.clone(), command: command.join(" "), source };
        let [program, arguments @ ..] = command else {
            return Err(self.signature(command, "is empty"));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        // A command that does not read all of it says so by its exit code or its signature.
        let _ = child.stdin.take().map(|mut input| input.write_all(bytes));
        let mut signature = Vec::new();
        let output =
            child.stdout.take().map(|output| output.take(MAX_SIGNATURE + 1).read_to_end(&mut signature));
        output.transpose().map_err(failed)?;
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(self.signature(command, &format!("failed ({status})")));
        }
        if signature.is_empty() || signature.len() as u64 > MAX_SIGNATURE {
            return Err(self.signature(command, "gave no signature"));
        }
        Ok(signature)
    }

    fn signature(&self, command: &[String], what: &str) -> Error {
        Error::Signature { name: self.name.clone(), command: command.join(" "), what: what.to_owned() }
    }
}

fn ed25519(public: &[u8]) -> Key {
    Key::Ed25519 {
        keyval: Ed25519Key { public: public.to_vec().into(), _extra: HashMap::new() },
        scheme: Ed25519Scheme::Ed25519,
        _extra: HashMap::new(),
    }
}

/// The files of a folder that are keys, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<_> = entries
        .map_err(Error::file("list", folder))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == PEM || end == SIGNER))
        .collect();
    files.sort();
    Ok(files)
}
