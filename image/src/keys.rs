//! The keys of a repository: who signs what, and where they are kept.
//!
//! | role | keys | signatures | kept | signs |
//! |---|---|---|---|---|
//! | root | 3 | 2 | offline, each with another person | who signs for all roles |
//! | targets | 1 | 1 | offline | the list of files, and by that what machines install |
//! | snapshot | 1 | 1 | online | which list is the newest |
//! | timestamp | 1 | 1 | online | that this is still so |
//!
//! A folder of keys has one file a key, named for its role and a number:
//!
//! - `root-1.pem`: an Ed25519 key in PKCS#8, encrypted with a passphrase (PBES2: scrypt and AES-256-CBC). `openssl pkey` reads it.
//! - `root-1.signer`: a key that is somewhere else. Its command gets the bytes on its standard input and puts the signature out.
//!
//! | module | what it knows |
//! |---|---|
//! | [`passphrase`] | where passphrases come from |
//! | [`signer`] | one key: made, kept, read, signing |
//! | [`keyring`] | the keys of some folders, by role |
//! | [`root`] | root metadata: the first, and each next one |

pub mod keyring;
pub mod passphrase;
pub mod root;
pub mod signer;

use std::io;
use std::path::PathBuf;

use tough::schema::RoleType;

pub use keyring::Keyring;
pub use passphrase::Passphrases;
pub use signer::Signer;

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder operation failed.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no passphrase.
    #[error("no passphrase: name a file with --passphrase-file, or run this on a terminal")]
    NoPassphrase,
    /// A passphrase was typed differently the second time, or is empty.
    #[error("the passphrases differ, or are empty")]
    Passphrase,
    /// A key could not be encrypted.
    #[error("encrypt {}", path.display())]
    Encrypt {
        /// The key.
        path: PathBuf,
        /// Why.
        source: pkcs8::Error,
    },
    /// A key could not be read.
    #[error("{} is not an encrypted PKCS#8 key in PEM, or none of the passphrases opens it", path.display())]
    Locked {
        /// The key.
        path: PathBuf,
    },
    /// A key of a kind that is not used here.
    #[error("{} is not an Ed25519 key", path.display())]
    Kind {
        /// The key.
        path: PathBuf,
    },
    /// A key that is not encrypted.
    #[error(
        "{} is not encrypted: `openssl pkcs8 -topk8 -scrypt -in {}` encrypts it", path.display(), path.display()
    )]
    Naked {
        /// The key.
        path: PathBuf,
    },
    /// The description of a key that is somewhere else cannot be read.
    #[error("read {}", path.display())]
    Description {
        /// The description.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// It names no command, or a public key of an unknown kind.
    #[error(
        "{}: `command` must be a list of words, `public` 64 hexadecimal digits (Ed25519) or PEM (ECDSA P-256)", path.display()
    )]
    Described {
        /// The description.
        path: PathBuf,
    },
    /// The command that signs did not.
    #[error("{name}: run {command}")]
    Command {
        /// The key.
        name: String,
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The command that signs failed, or gave something else.
    #[error("{name}: {command} {what}")]
    Signature {
        /// The key.
        name: String,
        /// The command.
        command: String,
        /// What it did.
        what: String,
    },
    /// There are not enough keys.
    #[error("{role}: {have} of {need} keys are here{}", because(notes))]
    TooFew {
        /// Whose.
        role: RoleType,
        /// How many are here.
        have: usize,
        /// How many signatures it takes.
        need: u64,
        /// Why others are not.
        notes: Vec<String>,
    },
    /// One key under two names.
    #[error("{first} and {second} are the same key")]
    Twice {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// A key to be replaced is not one of the root's.
    #[error("the root lists no key {name}")]
    NotListed {
        /// Its name.
        name: String,
    },
    /// Metadata that does not hold what it must.
    #[error("check the metadata")]
    Schema(#[source] Box<tough::schema::Error>),
}

impl From<tough::schema::Error> for Error {
    fn from(error: tough::schema::Error) -> Self {
        Self::Schema(Box::new(error))
    }
}

impl Error {
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}

fn because(notes: &[String]) -> String {
    notes.iter().map(|note| format!("; {note}")).collect()
}
