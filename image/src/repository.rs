//! The files of a repository: what its metadata says now, and how that changes.
//!
//! ```text
//! metadata/N.root.json  N.snapshot.json  N.targets.json     each written once
//! metadata/timestamp.json                                   the only file that changes
//! targets/SHA256.NAME                                       each written once
//! ```
//!
//! A change writes what is new under names that nothing refers to, looks at the result as a machine would, and then replaces
//! `timestamp.json`. *Power lost before that: the repository is the one before, with some files too many. After: the new one.* The
//! one exception is a new root, which machines look for by its number: it comes right before the timestamp.
//! Whoever copies the folder to a server keeps that order: `timestamp.json` last.

pub mod bundle;
mod files;
mod look;
pub mod mirror;
mod roots;
mod seen;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_rollout::Time;
use coracle_trust::Versions;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tough::TargetName;
use tough::schema::{Hashes, Metafile, Role, Root, Signed, Snapshot, Target, Targets, Timestamp};

use crate::digest;
use crate::keys::{self, Keyring, root::SPEC};
use files::{json, read, replace, sync_folder, write_new};

const METADATA: &str = "metadata";
const TARGETS: &str = "targets";
const TIMESTAMP: &str = "timestamp.json";
const DAY: u64 = 24 * 3600;

/// How long signatures are good for.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// A root's.
    pub root: u64,
    /// That of a list of targets.
    pub targets: u64,
    /// A snapshot's.
    pub snapshot: u64,
    /// A timestamp's.
    pub timestamp: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { root: 365 * DAY, targets: 90 * DAY, snapshot: 14 * DAY, timestamp: 2 * DAY }
    }
}

/// What ends within this is told of, in seconds: whoever has the keys may be on holiday.
const SOON: u64 = 30 * DAY;

/// A repository in a folder.
#[derive(Debug)]
pub struct Repo {
    folder: PathBuf,
    /// The folder, held so that nobody else changes the repository at the same time.
    _held: File,
    /// Oldest first; at least one.
    roots: Vec<Signed<Root>>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    timestamp: Part<Timestamp>,
    snapshot: Part<Snapshot>,
    targets: Part<Targets>,
}

/// Metadata and the very bytes that it is in: written anew, it would have other ones.
#[derive(Debug, Clone)]
struct Part<T> {
    signed: Signed<T>,
    bytes: Vec<u8>,
}

impl<T: Role> Part<T> {
    fn new(signed: Signed<T>) -> Result<Self, Error> {
        let bytes = json(&signed)?;
        Ok(Self { signed, bytes })
    }

    fn role(&self) -> &T {
        &self.signed.signed
    }

    /// Its name in the repository.
    fn name(&self) -> String {
        self.role().filename(true)
    }

    /// What other metadata says of it.
    fn about(&self) -> Metafile {
        Metafile {
            length: Some(self.bytes.len() as u64),
            hashes: Some(hashes(Sha256::digest(&self.bytes).to_vec())),
            version: self.role().version(),
            _extra: HashMap::new(),
        }
    }
}

/// What changes.
#[derive(Debug, Default)]
pub struct Change {
    /// The next root.
    pub root: Option<Signed<Root>>,
    /// The next list of targets; without it the list is kept, and not signed anew.
    pub targets: Option<HashMap<TargetName, Target>>,
}

impl Repo {
    /// Makes a repository with its first root and nothing else. The root, and the keys for it, are made if there is none yet.
    pub fn create(
        folder: &Path,
        root: impl FnOnce() -> Result<Signed<Root>, keys::Error>,
    ) -> Result<(), Error> {
        let path = folder.join(METADATA).join("1.root.json");
        if path.exists() {
            return Err(Error::Exists { path });
        }
        for name in [METADATA, TARGETS] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(Error::file("make", path))?;
        }
        write_new(&path, &json(&root()?)?)
    }

    /// Reads what is there and checks it; nobody else may change it while this value lives. What a command that was killed has
    /// left unfinished is removed.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let held = File::open(folder).map_err(|_| Error::NoRepository { folder: folder.to_owned() })?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { folder: folder.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", folder)(error)),
        }
        let mut repo = Self { folder: folder.to_owned(), _held: held, roots: Vec::new(), current: None };
        for number in 1.. {
            let path = repo.metadata(&format!("{number}.root.json"));
            if !path.exists() {
                break;
            }
            let (root, _) = read::<Signed<Root>>(&path)?;
            root.signed.verify_role(&root).map_err(|error| Error::metadata(path, error))?;
            repo.roots.push(root);
        }
        if repo.roots.is_empty() {
            return Err(Error::NoRepository { folder: folder.to_owned() });
        }
        files::remove_unfinished(folder)?;
        files::remove_unfinished(&folder.join(METADATA))?;
        if repo.metadata(TIMESTAMP).exists() {
            repo.current = Some(repo.read_current()?);
        }
        Ok(repo)
    }

    /// Every root so far, the oldest first.
    pub fn roots(&self) -> &[Signed<Root>] {
        &self.roots
    }

    /// The newest root.
    pub fn root(&self) -> Result<&Signed<Root>, Error> {
        self.roots.last().ok_or_else(|| Error::NoRepository { folder: self.folder.clone() })
    }

    /// The files that it offers.
    pub fn targets(&self) -> HashMap<TargetName, Target> {
        self.current.as_ref().map(|current| current.targets.role().targets.clone()).unwrap_or_default()
    }

    /// What a machine will no longer believe soon, unless somebody with keys that are offline signs it anew: a role, and its end.
    pub fn ends_soon(&self, now: Time) -> Vec<(&'static str, jiff::Timestamp)> {
        let root = self.roots.last().map(|root| ("root", root.signed.expires));
        let targets = self.current.as_ref().map(|current| ("targets", current.targets.role().expires));
        let soon = expires(now, SOON);
        root.into_iter().chain(targets).filter(|(_, end)| *end <= soon).collect()
    }

    /// Where a file is that it offers.
    pub fn path_of(&self, name: &str) -> Option<PathBuf> {
        let targets = &self.current.as_ref()?.targets.role().targets;
        let (_, target) = targets.iter().find(|(listed, _)| listed.raw() == name)?;
        Some(self.place(name, target))
    }

    /// Moves a finished file to its place, where nothing refers to it yet; gives what the list is to say of it.
    pub fn add_target(&self, name: &str, from: &Path) -> Result<Target, Error> {
        let failed = |operation| Error::file(operation, from);
        let mut file = File::open(from).map_err(failed("open"))?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        let mut length = 0;
        loop {
            let count = file.read(&mut buffer).map_err(failed("read"))?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            length += count as u64;
        }
        file.sync_all().map_err(failed("sync"))?;
        let hashes = hashes(hash.finalize().to_vec());
        let target = Target { length, hashes, custom: HashMap::new(), _extra: HashMap::new() };
        let to = self.place(name, &target);
        fs::rename(from, &to).map_err(Error::file("move into place", &to))?;
        sync_folder(&self.folder.join(TARGETS))?;
        Ok(target)
    }

    /// A folder inside for what is being made.
    pub fn scratch(&self) -> Result<tempfile::TempDir, Error> {
        let made = tempfile::Builder::new().prefix(files::UNFINISHED).tempdir_in(&self.folder);
        made.map_err(Error::file("make a folder in", &self.folder))
    }

    fn place(&self, name: &str, target: &Target) -> PathBuf {
        self.folder.join(TARGETS).join(format!("{}.{name}", digest::hex(&target.hashes.sha256)))
    }

    /// Signs and writes a change; without one, what is close to its end is signed anew.
    pub fn commit(
        &mut self,
        change: Change,
        keyring: &mut Keyring,
        lifetimes: Lifetimes,
        now: Time,
    ) -> Result<Versions, Error> {
        let newest = match &change.root {
            Some(root) => root.signed.clone(),
            None => self.root()?.signed.clone(),
        };
        let targets = self.next_targets(change.targets, &newest, keyring, expires(now, lifetimes.targets))?;
        // Who signs roots need not have the keys that are online: what still holds under the new root stays as it is.
        let oldest =
            if change.root.is_some() { now } else { now.after(Duration::from_secs(lifetimes.snapshot / 2)) };
        let snapshot =
            self.next_snapshot(&targets, &newest, keyring, oldest, expires(now, lifetimes.snapshot))?;
        let oldest = if change.root.is_some() { now } else { Time::MAX };
        let timestamp =
            self.next_timestamp(&snapshot, &newest, keyring, oldest, expires(now, lifetimes.timestamp))?;

        write_new(&self.metadata(&targets.name()), &targets.bytes)?;
        write_new(&self.metadata(&snapshot.name()), &snapshot.bytes)?;
        let mut pending = vec![(TIMESTAMP.to_owned(), timestamp.bytes.clone())];
        if let Some(root) = &change.root {
            pending.insert(0, (root.signed.filename(true), json(root)?));
        }
        let versions = look::look(&self.folder, &pending, now)?;
        for (name, bytes) in &pending {
            replace(&self.metadata(name), bytes)?;
        }
        self.roots.extend(change.root);
        self.current = Some(Current { timestamp, snapshot, targets });
        Ok(versions)
    }

    /// The list as it is, if it is not to change and the newest root still has its keys.
    fn next_targets(
        &self,
        changed: Option<HashMap<TargetName, Target>>,
        root: &Root,
        keyring: &mut Keyring,
        end: jiff::Timestamp,
    ) -> Result<Part<Targets>, Error> {
        if let (None, Some(current)) = (&changed, &self.current)
            && root.verify_role(&current.targets.signed).is_ok()
        {
            return Ok(current.targets.clone());
        }
        let mut part = Targets::new(SPEC.to_owned(), self.next(TARGETS)?, end);
        part.delegations = None;
        part.targets = changed.unwrap_or_else(|| self.targets());
        Part::new(keyring.sign(root, part)?)
    }

    /// The snapshot as it is, if it names this list, is good beyond `oldest`, and the newest root still has its keys.
    fn next_snapshot(
        &self,
        targets: &Part<Targets>,
        root: &Root,
        keyring: &mut Keyring,
        oldest: Time,
        end: jiff::Timestamp,
    ) -> Result<Part<Snapshot>, Error> {
        let list = targets.about();
        if let Some(Current { snapshot, .. }) = &self.current
            && snapshot.role().meta.get("targets.json") == Some(&list)
            && snapshot.role().expires > expires(oldest, 0)
            && root.verify_role(&snapshot.signed).is_ok()
        {
            return Ok(snapshot.clone());
        }
        let mut part = Snapshot::new(SPEC.to_owned(), self.next("snapshot")?, end);
        part.meta.insert("targets.json".to_owned(), list);
        Part::new(keyring.sign(root, part)?)
    }

    /// The same for the timestamp.
    fn next_timestamp(
        &self,
        snapshot: &Part<Snapshot>,
        root: &Root,
        keyring: &mut Keyring,
        oldest: Time,
        end: jiff::Timestamp,
    ) -> Result<Part<Timestamp>, Error> {
        let about = snapshot.about();
        if let Some(Current { timestamp, .. }) = &self.current
            && timestamp.role().meta.get("snapshot.json") == Some(&about)
            && timestamp.role().expires > expires(oldest, 0)
            && root.verify_role(&timestamp.signed).is_ok()
        {
            return Ok(timestamp.clone());
        }
        let before = self.current.as_ref().map_or(0, |current| current.timestamp.role().version.get());
        let mut part = Timestamp::new(SPEC.to_owned(), NonZeroU64::MIN.saturating_add(before), end);
        part.meta.insert("snapshot.json".to_owned(), about);
        Part::new(keyring.sign(root, part)?)
    }

    fn read_current(&self) -> Result<Current, Error> {
        let listed = |meta: &HashMap<String, Metafile>, name: &str, of: &str| {
            let broken = || Error::Broken { path: self.metadata(of) };
            meta.get(name).map(|meta| meta.version).ok_or_else(broken)
        };
        let timestamp: Part<Timestamp> = self.verified(TIMESTAMP)?;
        let version = listed(&timestamp.role().meta, "snapshot.json", TIMESTAMP)?;
        let name = format!("{version}.snapshot.json");
        let snapshot: Part<Snapshot> = self.verified(&name)?;
        let version = listed(&snapshot.role().meta, "targets.json", &name)?;
        let targets = self.verified(&format!("{version}.targets.json"))?;
        Ok(Current { timestamp, snapshot, targets })
    }

    /// Metadata that some root of this repository has keys for: after a rotation that was cut short, not the newest.
    fn verified<T: Role + DeserializeOwned>(&self, name: &str) -> Result<Part<T>, Error> {
        let path = self.metadata(name);
        let (signed, bytes) = read::<Signed<T>>(&path)?;
        let mut roots = self.roots.iter().rev().map(|root| root.signed.verify_role(&signed));
        match roots.next() {
            Some(Err(error)) if !roots.any(|result| result.is_ok()) => Err(Error::metadata(path, error)),
            _ => Ok(Part { signed, bytes }),
        }
    }

    /// A number that no file of that kind has had, not even one of a change that was cut short.
    fn next(&self, kind: &str) -> Result<NonZeroU64, Error> {
        let folder = self.folder.join(METADATA);
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let end = format!(".{kind}.json");
        let last = entries
            .map_err(Error::file("list", &folder))?
            .iter()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(&end)?.parse::<u64>().ok())
            .max();
        Ok(NonZeroU64::MIN.saturating_add(last.unwrap_or(0)))
    }

    fn metadata(&self, name: &str) -> PathBuf {
        self.folder.join(METADATA).join(name)
    }
}

/// What can go wrong with a repository.
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
    /// There is no repository.
    #[error("{} is not a repository: `coracle keys init` makes one", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
    },
    /// Somebody else changes it right now.
    #[error("{} is being changed by another command", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is written once is there, with other content.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Metadata that is not JSON of the right form.
    #[error("read {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Metadata cannot be written.
    #[error("write metadata as JSON")]
    Write(#[from] serde_json::Error),
    /// Metadata that nobody signed who may.
    #[error("{} is not signed by this repository's keys", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// How far its signatures go.
        source: Box<tough::schema::Error>,
    },
    /// Metadata without what it is there for.
    #[error("{} names no next file", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// A key is missing, or does not do what it should.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// What would be published is nothing that a machine believes.
    #[error("the result was not published, as a machine would refuse it")]
    Look(#[source] Box<coracle_trust::Error>),
}

impl Error {
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }

    fn metadata(path: PathBuf, error: tough::schema::Error) -> Self {
        Self::Metadata { path, source: Box::new(error) }
    }
}

fn hashes(sha256: Vec<u8>) -> Hashes {
    Hashes { sha256: sha256.into(), _extra: HashMap::new() }
}

/// Whole seconds: other clients do not read fractions.
pub fn expires(now: Time, lifetime: u64) -> jiff::Timestamp {
    let end = now.after(Duration::from_secs(lifetime));
    i64::try_from(end.unix())
        .ok()
        .and_then(|end| jiff::Timestamp::from_second(end).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}
