//! A repository copied from somewhere else: verified as a machine verifies it, targets first, `timestamp.json` last.
//!
//! 1. Follow the repository as a machine does, from a root that is trusted; the memory for that is in the copy, so that it never goes
//!    back. *Power lost here or in the next step: the copy is the one before, with some files too many.*
//! 2. Fetch what is not there with the right digest, each file under another name until it is whole.
//! 3. Write the list of targets, then the snapshot, then the roots.
//! 4. Replace the timestamp. *After that it is the new one.* Files of before are kept: machines may be fetching them.

mod error;
mod source;

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coracle_rollout::Time;
use coracle_trust::store::Store;
use coracle_trust::transport::Fault;
use coracle_trust::{Client, Clock, Embedded, Limits, Repository, Target, Transport, Versions};
use sha2::{Digest as _, Sha256};
use tough::schema::{Signed, Timestamp};

use super::bundle::{self, Bundle};
use super::files::{UNFINISHED, remove_unfinished, replace, sync_folder, write_new};
use super::seen::Seen;
use super::{METADATA, TARGETS, TIMESTAMP, roots};
use crate::digest;
use source::read;

pub use error::Error;
pub(super) use source::{runtime, source};

/// The memory of what was verified, in the copy; begins with a dot, so that no server of ours gives it away.
const KEPT: &str = ".mirror";

/// What to copy, from where to where.
#[derive(Debug, Clone)]
pub struct Request {
    /// An `http` or `https` address, a folder, or a bundle.
    pub from: String,
    /// Root metadata to begin with; without it, the first root of the copy.
    pub root: Option<PathBuf>,
    /// Where the copy is, or is to be.
    pub repo: PathBuf,
    /// Certificates of authorities in PEM; without it, those of this machine.
    pub authorities: Option<PathBuf>,
    /// The time.
    pub now: Time,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirrored {
    /// The versions of the metadata.
    pub versions: Versions,
    /// Targets that were fetched.
    pub fetched: usize,
    /// Targets that were there.
    pub kept: usize,
    /// Targets that a bundle was made without.
    pub left_out: usize,
    /// Bytes of those that were fetched.
    pub bytes: u64,
}

/// Copies. `note` gets a line for each file that is fetched.
pub fn mirror(request: &Request, note: &mut dyn FnMut(&str)) -> Result<Mirrored, Error> {
    let repo = &request.repo;
    for folder in [METADATA, TARGETS] {
        fs::create_dir_all(repo.join(folder)).map_err(super::Error::file("make", repo.join(folder)))?;
    }
    let _held = hold(repo)?;
    for folder in [METADATA, TARGETS] {
        remove_unfinished(&repo.join(folder))?;
    }
    forget(repo)?;
    let runtime = runtime(repo)?;
    let bundle = Bundle::open(Path::new(&request.from))?;
    let wanted = bundle.as_ref().map(|bundle| bundle.content.clone());
    let from = match bundle {
        Some(bundle) => Arc::new(bundle),
        None => source(&request.from, request.authorities.as_deref())?,
    };
    runtime.block_on(async {
        let verified = verify(request, &repo.join(KEPT), from.clone()).await?;
        let repository = &verified.repository;
        let targets: Vec<_> = match &wanted {
            None => repository.targets().map(|target| (*target).clone()).collect(),
            Some(content) => bundle::needed(repository, &*from, content).await?,
        };
        let versions = repository.versions();
        not_older(repo, versions)?;
        let left_out = repository.targets().count().saturating_sub(targets.len());
        let mut done = Mirrored { versions, fetched: 0, kept: 0, left_out, bytes: 0 };
        for target in &targets {
            let path = repo.join(TARGETS).join(file_name(target));
            if is_there(&path, target) {
                done.kept += 1;
                continue;
            }
            note(&format!("fetch {} ({} bytes)", target.name(), target.bytes()));
            fetch(&*from, target, &path).await?;
            (done.fetched, done.bytes) = (done.fetched + 1, done.bytes + target.bytes());
        }
        sync_folder(&repo.join(TARGETS))?;
        for (name, bytes) in &verified.metadata {
            let path = repo.join(METADATA).join(name);
            if name == TIMESTAMP { replace(&path, bytes)? } else { write_new(&path, bytes)? }
        }
        Ok(done)
    })
}

/// A repository that a machine would believe, and its metadata in the order in which it is written.
pub(super) struct Verified {
    pub repository: Repository,
    pub metadata: Vec<(String, Vec<u8>)>,
}

/// Follows the repository as a machine that keeps its memory in that folder.
pub(super) async fn verify(
    request: &Request,
    kept: &Path,
    from: Arc<dyn Transport>,
) -> Result<Verified, Error> {
    let root = match &request.root {
        Some(path) => read(path)?,
        None => {
            let path = request.repo.join(METADATA).join("1.root.json");
            if !path.exists() {
                return Err(Error::NoRoot);
            }
            read(&path)?
        }
    };
    let embedded = Embedded { root: root.clone(), versions: Versions::default(), built: request.now };
    let client = Client::new(Store::new(kept), kept.join("scratch"), embedded, Limits::default());
    let seen = Arc::new(Seen::new(from.clone()));
    let refreshed = client.refresh(seen.clone(), Clock::Set(request.now)).await;
    let refused = |source| Error::Refused { from: request.from.clone(), source: Box::new(source) };
    let repository = refreshed.map_err(refused)?.repository;
    let versions = repository.versions();
    let taken = |name: String| {
        let bytes = seen.take(&name);
        bytes.map(|bytes| (name.clone(), bytes)).ok_or(Error::Fetch { file: name, source: Fault::Missing })
    };
    let mut metadata = vec![
        taken(format!("{}.targets.json", versions.targets))?,
        taken(format!("{}.snapshot.json", versions.snapshot))?,
    ];
    metadata.extend(roots::all(&*from, &root, versions.root).await?);
    metadata.push(taken(TIMESTAMP.to_owned())?);
    Ok(Verified { repository, metadata })
}

/// Fetches a target into a file of its own, which is in its place when it is whole.
pub(super) async fn fetch(from: &dyn Transport, target: &Target, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Fetch { file: target.name().to_string(), source };
    let on_disk = |operation| super::Error::file(operation, path);
    let content = || Error::Content { name: target.name().clone() };
    let folder = path.parent().unwrap_or(Path::new("."));
    let new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder);
    let mut new = new.map_err(on_disk("make a file beside"))?;
    let (mut sum, mut left) = (Sha256::new(), target.bytes());
    let mut body = from.whole(&target.path().ok_or_else(content)?).await.map_err(failed)?;
    while let Some(chunk) = body.chunk().await.map_err(failed)? {
        left = left.checked_sub(chunk.len() as u64).ok_or_else(content)?;
        sum.update(&chunk);
        new.write_all(&chunk).map_err(on_disk("write"))?;
    }
    if left > 0 || sum.finalize()[..] != target.sha256().as_bytes()[..] {
        return Err(content());
    }
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(readable).map_err(on_disk("set the permissions of"))?;
    new.as_file().sync_all().map_err(on_disk("sync"))?;
    new.persist(path).map_err(|error| on_disk("put in place")(error.error))?;
    Ok(())
}

/// Its name in the folder of targets.
pub(super) fn file_name(target: &Target) -> String {
    format!("{}.{}", target.sha256(), target.name())
}

fn hold(folder: &Path) -> Result<File, Error> {
    let held = File::open(folder).map_err(super::Error::file("open", folder))?;
    match held.try_lock() {
        Ok(()) => Ok(held),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(super::Error::file("lock", folder)(error).into()),
    }
}

/// A memory without a copy is that of a beginning that failed, perhaps with the wrong root.
fn forget(repo: &Path) -> Result<(), Error> {
    let kept = repo.join(KEPT);
    if kept.exists() && !repo.join(METADATA).join(TIMESTAMP).exists() {
        fs::remove_dir_all(&kept).map_err(super::Error::file("remove", kept))?;
    }
    Ok(())
}

/// The memory says so too, of what was copied; this is for what was published here.
fn not_older(repo: &Path, versions: Versions) -> Result<(), Error> {
    let path = repo.join(METADATA).join(TIMESTAMP);
    if !path.exists() {
        return Ok(());
    }
    let (there, _) = super::files::read::<Signed<Timestamp>>(&path)?;
    let there = there.signed.version.get();
    if there > versions.timestamp { Err(Error::Older { there, got: versions.timestamp }) } else { Ok(()) }
}

/// Whether it is there, whole; what cannot be read is not.
fn is_there(path: &Path, target: &Target) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() == target.bytes());
    is_file && digest::of_file(path).is_ok_and(|(_, sum)| sum == target.sha256().to_string())
}
