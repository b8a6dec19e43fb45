//! The keys of some folders, by role.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use tough::schema::{Role, RoleType, Root, Signature, Signed};

use super::signer::{self, Signer};
use super::{Error, Passphrases};

/// Keys that are opened when they are needed: a role's keys are the files whose names begin with the role's.
pub struct Keyring {
    folders: Vec<PathBuf>,
    passphrases: Passphrases,
}

impl Keyring {
    /// The keys of these folders.
    pub fn new(folders: &[PathBuf], passphrases: Passphrases) -> Self {
        Self { folders: folders.to_vec(), passphrases }
    }

    /// The names of a role's keys that are here, opened or not.
    pub fn names(&self, role: RoleType) -> Result<Vec<String>, Error> {
        let files = self.files(role)?;
        Ok(files.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
    }

    /// The name of a role's next key: its number is higher than that of every other.
    pub fn next_name(&self, role: RoleType) -> Result<String, Error> {
        let number = |name: &String| name.rsplit('-').next()?.parse::<u32>().ok();
        let last = self.names(role)?.iter().filter_map(number).max().unwrap_or(0);
        Ok(format!("{role}-{}", last.saturating_add(1)))
    }

    /// Reads one key.
    pub fn open(&mut self, path: &Path) -> Result<Signer, Error> {
        Signer::read(path, &mut self.passphrases)
    }

    /// Makes one key in the first folder.
    pub fn make(&mut self, name: &str) -> Result<Signer, Error> {
        let folder = self.folders.first().cloned().unwrap_or_default();
        Signer::make(&folder, name, &mut self.passphrases)
    }

    /// Every key of a role that opens, and why others do not.
    pub fn signers(&mut self, role: RoleType) -> Result<(Vec<Signer>, Vec<String>), Error> {
        let (mut signers, mut notes) = (Vec::new(), Vec::new());
        for path in self.files(role)? {
            match self.open(&path) {
                Ok(signer) => signers.push(signer),
                Err(error) => notes.push(error.to_string()),
            }
        }
        Ok((signers, notes))
    }

    /// Signs metadata with the keys that the root lists for it, and holds it against its threshold.
    pub fn sign<T: Role>(&mut self, root: &Root, part: T) -> Result<Signed<T>, Error> {
        let (signers, notes) = self.signers(T::TYPE)?;
        sign(&[root], part, &signers, notes)
    }

    fn files(&self, role: RoleType) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for folder in &self.folders {
            files.extend(signer::files(folder)?.into_iter().filter(|path| role_of(path) == Some(role)));
        }
        Ok(files)
    }
}

/// Signs with each of the signers that one of the roots lists for the role; each root's threshold must be met.
pub(super) fn sign<T: Role>(
    roots: &[&Root],
    part: T,
    signers: &[Signer],
    notes: Vec<String>,
) -> Result<Signed<T>, Error> {
    let bytes = part.canonical_form()?;
    let mut signed = Signed { signed: part, signatures: Vec::new() };
    let listed = |root: &Root, signer: &Signer| {
        root.roles.get(&T::TYPE).is_some_and(|keys| keys.keyids.contains(signer.id()))
    };
    for signer in signers {
        let twice = signed.signatures.iter().any(|signature| signature.keyid == *signer.id());
        if !twice && roots.iter().any(|root| listed(root, signer)) {
            let sig = signer.sign(&bytes)?.into();
            signed.signatures.push(Signature { keyid: signer.id().clone(), sig });
        }
    }
    for root in roots {
        let have = signers.iter().filter(|signer| listed(root, signer)).count();
        let need = root.roles.get(&T::TYPE).map_or(1, |keys| NonZeroU64::get(keys.threshold));
        if (have as u64) < need {
            return Err(Error::TooFew { role: T::TYPE, have, need, notes });
        }
        root.verify_role(&signed)?;
    }
    Ok(signed)
}

/// The role in the name of a key's file: `root-1.pem`.
pub fn role_of(path: &Path) -> Option<RoleType> {
    match path.file_stem()?.to_str()?.split_once('-')?.0 {
        "root" => Some(RoleType::Root),
        "targets" => Some(RoleType::Targets),
        "snapshot" => Some(RoleType::Snapshot),
        "timestamp" => Some(RoleType::Timestamp),
        _ => None,
    }
}
