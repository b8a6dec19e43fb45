//! One refresh, step by step.
//!
//! 1. Read what is kept: the newest root, the floor. What cannot be read is noted, and the image's own takes its place.
//! 2. Take the newest root that reads and is signed by its own keys.
//! 3. `tough` walks from it to the newest root and verifies timestamp, snapshot and targets, in a folder of its own that is empty
//!    and thrown away: nothing it stores counts, neither a half-written file nor a time.
//! 4. Keep the newest root, whatever became of the rest. *Power lost before: the way from the root before is walked again.*
//! 5. Hold the versions against the floors, and the expiry of each role against the time that is sure.
//! 6. Keep the floor. *Power lost before: the repository was not given to anybody yet.*
//! 7. Give the repository.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use coracle_rollout::{Time, digest::Digest, label::TargetName};
use tough::schema::key::Key;
use tough::schema::{RoleType, Root, Signed};
use tough::{ExpirationEnforcement, RepositoryLoader};

use crate::clock::{Clock, Judged};
use crate::error::{Error, Role};
use crate::floor::{Floor, OnlineKeys, Versions};
use crate::gauge::{self, Gauge};
use crate::limits::Limits;
use crate::repository::{Repository, Target};
use crate::store::{Kept, Memory, Store};
use crate::transport::Transport;

/// What the image brings: where trust begins on a machine that has kept nothing yet.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// The root metadata of the day it was made.
    pub root: Vec<u8>,
    /// The versions of the repository on that day; zeros if it did not look.
    pub versions: Versions,
    /// When it was made.
    pub built: Time,
}

impl Embedded {
    /// The version of its root, which is signed by its own keys.
    pub fn version(&self) -> Result<u64, Error> {
        Ok(self.trusted()?.version())
    }

    fn trusted(&self) -> Result<TrustedRoot, Error> {
        TrustedRoot::parse(self.root.clone()).map_err(|source| Error::Embedded { source })
    }
}

/// Follows one repository.
#[derive(Debug, Clone)]
pub struct Client {
    store: Store,
    scratch: PathBuf,
    embedded: Embedded,
    limits: Limits,
}

/// What a refresh gives.
#[derive(Debug)]
pub struct Refreshed {
    /// What was verified.
    pub repository: Repository,
    /// What the machine's owner should hear.
    pub notes: Vec<Note>,
}

/// What the machine's owner should hear, although the refresh did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// The root that was kept could not be read: the image's took its place.
    #[error("the root metadata that was kept is damaged")]
    RootDamaged,
    /// The floor that was kept could not be read: the image's took its place.
    #[error("the versions that were kept are damaged")]
    FloorDamaged,
    /// The clock shows an earlier time than it did when it was last sure.
    #[error("the clock was set back below {noted}")]
    ClockSetBack {
        /// What it showed then.
        noted: Time,
    },
}

/// A root that is signed by its own keys.
#[derive(Debug)]
struct TrustedRoot {
    bytes: Vec<u8>,
    signed: Signed<Root>,
}

impl Client {
    /// A client that keeps its memory in `store`, and what is thrown away in the folder `scratch`.
    pub fn new(store: Store, scratch: impl Into<PathBuf>, embedded: Embedded, limits: Limits) -> Self {
        Self { store, scratch: scratch.into(), embedded, limits }
    }

    /// Fetches and verifies the metadata.
    pub async fn refresh(&self, from: Arc<dyn Transport>, clock: Clock) -> Result<Refreshed, Error> {
        let (memory, kept) = (self.store.memory()?, self.store.root()?.and_then(TrustedRoot::read));
        let judged = clock.judge(self.embedded.built, memory.value().and_then(Memory::time));
        let notes = notes(&memory, &kept, &judged);
        let embedded = self.embedded.trusted()?;
        let mut floors = vec![Floor {
            versions: Versions { root: embedded.version(), ..self.embedded.versions },
            online_keys: online_keys(&embedded.signed.signed),
        }];
        floors.extend(memory.value().map(|memory| memory.floor.clone()));
        let kept_version = kept.value().map_or(0, TrustedRoot::version);
        let root = match kept {
            Kept::Value(kept) if kept.version() >= embedded.version() => kept,
            _ => embedded,
        };

        fs::create_dir_all(&self.scratch).map_err(Error::store("make", &self.scratch))?;
        let scratch =
            tempfile::tempdir_in(&self.scratch).map_err(Error::store("make a folder in", &self.scratch))?;
        let loaded = self.load(&root, from, scratch.path()).await;
        self.keep_newest_root(scratch.path(), kept_version, &floors)?;
        let loaded = loaded?;

        supported(&loaded)?;
        let now = Floor { versions: versions(&loaded), online_keys: online_keys(&loaded.root().signed) };
        floors.iter().try_for_each(|floor| floor.check(&now))?;
        let expires = fresh(&loaded, judged.now)?;
        let repository = Repository::new(now.versions, expires, targets(&loaded));
        self.store.keep_memory(&Memory::new(now, judged.noted))?;
        Ok(Refreshed { repository, notes })
    }

    async fn load(
        &self,
        root: &TrustedRoot,
        from: Arc<dyn Transport>,
        scratch: &std::path::Path,
    ) -> Result<tough::Repository, Error> {
        let gauge = Gauge::new(from, self.limits);
        let url = |folder| {
            // Both are constants that parse.
            reqwest::Url::parse(&format!("{}{folder}/", gauge::BASE))
                .map_err(|_| Error::Unsupported { what: "an address that is not one" })
        };
        let load = RepositoryLoader::new(&root.bytes, url("metadata")?, url("targets")?)
            .transport(gauge.clone())
            .limits(tough::Limits {
                max_root_size: self.limits.small,
                max_targets_size: self.limits.targets,
                max_timestamp_size: self.limits.small,
                max_snapshot_size: self.limits.small,
                max_root_updates: self.limits.roots,
            })
            .datastore(scratch)
            // It would ask the machine's clock; step 5 knows better.
            .expiration_enforcement(ExpirationEnforcement::Unsafe)
            .load();
        let limit = self.limits.time;
        let loaded = tokio::time::timeout(limit, load).await.map_err(|_| Error::Late { limit })?;
        loaded.map_err(|error| match (gauge.fault(), error) {
            (Some((file, source)), _) => Error::Fetch { file, source },
            (None, tough::error::Error::VerifyMetadata { role, source, .. }) => {
                Error::Signatures { role: role_of(role), source: Box::new(source) }
            }
            (None, other) => Error::Refused { source: Box::new(other) },
        })
    }

    /// What `tough` left in its folder is a root whose signatures lead from the one it was given to this one.
    fn keep_newest_root(&self, scratch: &std::path::Path, kept: u64, floors: &[Floor]) -> Result<(), Error> {
        let Some(newest) = fs::read(scratch.join("root.json")).ok().and_then(TrustedRoot::read) else {
            // It did not come so far.
            return Ok(());
        };
        let floor = floors.iter().map(|floor| floor.versions.root).max().unwrap_or(0);
        if newest.version() <= kept || newest.version() < floor {
            return Ok(());
        }
        self.store.keep_root(&newest.bytes)
    }
}

impl TrustedRoot {
    fn parse(bytes: Vec<u8>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let signed: Signed<Root> = serde_json::from_slice(&bytes)?;
        signed.signed.verify_role(&signed)?;
        Ok(Self { bytes, signed })
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        Self::parse(bytes).ok()
    }

    fn version(&self) -> u64 {
        self.signed.signed.version.get()
    }
}

fn notes(memory: &Kept<Memory>, root: &Kept<TrustedRoot>, judged: &Judged) -> Vec<Note> {
    let noted = memory.value().and_then(Memory::time).filter(|_| judged.set_back);
    [
        matches!(root, Kept::Damaged).then_some(Note::RootDamaged),
        matches!(memory, Kept::Damaged).then_some(Note::FloorDamaged),
        noted.map(|noted| Note::ClockSetBack { noted }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What others may do in their repositories, and ours never does.
fn supported(loaded: &tough::Repository) -> Result<(), Error> {
    let root = &loaded.root().signed;
    if !root.consistent_snapshot {
        return Err(Error::Unsupported { what: "files that change under one name" });
    }
    if loaded.targets().signed.delegations.is_some() {
        return Err(Error::Unsupported { what: "delegated targets" });
    }
    // An ID is the digest of a key with all that is written beside it: one key can have many.
    let mut seen: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for (id, key) in &root.keys {
        let id = hex(id);
        if let Some(first) = seen.insert(public(key), id.clone()) {
            return Err(Error::KeyTwice { first, second: id });
        }
    }
    Ok(())
}

fn public(key: &Key) -> Vec<u8> {
    match key {
        Key::Ed25519 { keyval, .. } => keyval.public.to_vec(),
        Key::Rsa { keyval, .. } => keyval.public.to_vec(),
        Key::Ecdsa { keyval, .. } | Key::EcdsaOld { keyval, .. } => keyval.public.to_vec(),
    }
}

fn versions(loaded: &tough::Repository) -> Versions {
    Versions {
        root: loaded.root().signed.version.get(),
        timestamp: loaded.timestamp().signed.version.get(),
        snapshot: loaded.snapshot().signed.version.get(),
        targets: loaded.targets().signed.version.get(),
    }
}

fn online_keys(root: &Root) -> OnlineKeys {
    [RoleType::Timestamp, RoleType::Snapshot]
        .into_iter()
        .filter_map(|role| Some((role, root.roles.get(&role)?)))
        .flat_map(|(role, keys)| keys.keyids.iter().map(move |id| format!("{role} {}", hex(id))))
        .collect()
}

/// When the first of the four expires; an error if one has.
fn fresh(loaded: &tough::Repository, now: Time) -> Result<Time, Error> {
    let mut first = Time::MAX;
    for (role, expires) in [
        (Role::Root, loaded.root().signed.expires.as_second()),
        (Role::Timestamp, loaded.timestamp().signed.expires.as_second()),
        (Role::Snapshot, loaded.snapshot().signed.expires.as_second()),
        (Role::Targets, loaded.targets().signed.expires.as_second()),
    ] {
        let expires = Time::from_unix(u64::try_from(expires).unwrap_or(0));
        if expires <= now {
            return Err(Error::Expired { role, expires, now });
        }
        first = first.min(expires);
    }
    Ok(first)
}

/// Only flat names: about others, clients disagree.
fn targets(loaded: &tough::Repository) -> BTreeMap<TargetName, Target> {
    let listed = loaded.targets().signed.targets.iter();
    listed
        .filter_map(|(name, target)| {
            let name: TargetName = name.raw().parse().ok()?;
            let sha256 = Digest::new(target.hashes.sha256.to_vec().try_into().ok()?);
            Some((name.clone(), Target::new(name, target.length, sha256)))
        })
        .collect()
}

fn role_of(role: RoleType) -> Role {
    match role {
        RoleType::Root => Role::Root,
        RoleType::Timestamp => Role::Timestamp,
        RoleType::Snapshot => Role::Snapshot,
        RoleType::Targets | RoleType::DelegatedTargets => Role::Targets,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
