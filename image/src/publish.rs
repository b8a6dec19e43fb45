//! `coracle publish`, `withdraw`, `pause` and `resume`: what a channel offers.
//!
//! | step | from | to |
//! |---|---|---|
//! | release | a build's output folder | root and UKI, the root held against its root hash |
//! | full | these | files of operations that need nothing |
//! | deltas | the releases before, put together again from their full files | files of operations from each of them; between the kernel images' unpacked forms where that is shorter |
//! | manifest | the channel's manifest, or a new one | the same with this release |
//! | metadata | the list of files | signed, looked at, in place |
//!
//! Everything before the last step adds files that nothing refers to. *Power lost there: the repository is what it was; run again,
//! the same files come to the same names.*

mod forms;
mod manifest;
mod ops;
mod release;

use std::io;
use std::path::{Path, PathBuf};

use coracle_layout::OsVersion;
use coracle_rollout::manifest::{Delta, Manifest};
use coracle_rollout::{Epoch, Line, Time, label::Label, waves::Waves};
use coracle_trust::Versions;

use crate::keys::Keyring;
use crate::repository::{self, Change, Lifetimes, Repo};
use crate::steps::{Event, Steps};

/// What to publish, and for whom.
#[derive(Debug, Clone)]
pub struct Request {
    /// A build's output folder.
    pub release: PathBuf,
    /// The repository.
    pub repo: PathBuf,
    /// How eager its machines are.
    pub channel: Label,
    /// From how many releases before it there are deltas; from stepping stones there always are.
    pub deltas: usize,
    /// What the manifest says of it.
    pub terms: Terms,
    /// What time it is.
    pub now: Time,
}

/// What a manifest says of a release beyond what it is.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The counter of times that going back was closed; absent: that of the release before.
    pub epoch: Option<Epoch>,
    /// Whether no machine goes past it without having run it.
    pub barrier: bool,
    /// The oldest version that may come here in one step.
    pub min_from: Option<OsVersion>,
    /// The lowest version that may still be installed; absent: as it was.
    pub security_floor: Option<OsVersion>,
    /// Where people read about it.
    pub notes: Option<String>,
    /// Who gets it when; absent: everybody at once.
    pub waves: Option<Waves>,
}

/// Whether a channel is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Nothing is begun, and no machine reboots for an update.
    On,
    /// All goes on.
    Off,
}

/// What can go wrong.
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
    /// The folder has no report of a build, or one that cannot be read.
    #[error("read {}", path.display())]
    Report {
        /// The report.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The hash tree cannot be read or made.
    #[error("verify the root filesystem")]
    Verity(#[from] coracle_verity::Error),
    /// The root filesystem is another than the report says.
    #[error("{} has root hash {got}, the report says {want}", path.display())]
    RootHash {
        /// The root filesystem.
        path: PathBuf,
        /// What the report says.
        want: String,
        /// What it is.
        got: String,
    },
    /// An ops file cannot be made, or not be read again.
    #[error("{name}")]
    Ops {
        /// Its name.
        name: String,
        /// Why.
        source: coracle_ops::Error,
    },
    /// The unpacked form of a kernel image cannot be written or read.
    #[error("unpack a kernel image")]
    Form(#[source] coracle_bzimage::Error),
    /// A manifest in the repository is damaged, or what is to be published does not make a valid one.
    #[error("the manifest {name}")]
    Manifest {
        /// Its name.
        name: String,
        /// Why.
        source: coracle_rollout::manifest::Error,
    },
    /// The name that a manifest would have is that of another line's.
    #[error("{name} is the manifest of {got} already")]
    OtherLine {
        /// The name.
        name: String,
        /// Whose.
        got: Box<Line>,
    },
    /// The version is published already, and is something else.
    #[error("version {version} is published with root hash {root}: a version is built once")]
    Published {
        /// The version.
        version: OsVersion,
        /// Its root hash.
        root: String,
    },
    /// No channel of that name has the version.
    #[error("channel {channel} has no version {version}")]
    NotThere {
        /// The channel.
        channel: Label,
        /// The version.
        version: OsVersion,
    },
    /// There is no channel of that name.
    #[error("there is no channel {channel}")]
    NoChannel {
        /// The name.
        channel: Label,
    },
    /// A name that cannot be used.
    #[error("{name:?} cannot be the name of a file in a repository")]
    Name {
        /// The name.
        name: String,
    },
    /// The repository does not have a file that it lists.
    #[error("the repository lists no {name}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The repository cannot be changed.
    #[error(transparent)]
    Repository(#[from] repository::Error),
}

impl Error {
    fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }

    fn ops(name: &str) -> impl FnOnce(coracle_ops::Error) -> Self {
        move |source| Self::Ops { name: name.to_owned(), source }
    }
}

/// Publishes a release.
pub fn publish(
    request: &Request,
    keyring: &mut Keyring,
    report: &mut dyn FnMut(Event),
) -> Result<Versions, Error> {
    let mut steps = Steps::new(report);
    let mut repo = Repo::open(&request.repo)?;
    let scratch = repo.scratch()?;
    let release = steps.run(
        "release",
        |_| release::read(&request.release, scratch.path()),
        |release| format!("{} {} {}", release.product, release.version, release.root_hash),
    )?;
    let line = Line {
        channel: request.channel.clone(),
        arch: release.arch.clone(),
        product: release.product.clone(),
    };
    let mut targets = repo.targets();
    let mut manifest = manifest::of(&repo, &line)?;
    if let Some(there) = manifest.releases.iter().find(|there| there.version == release.version)
        && there.root.hash != release.root_hash
    {
        let root = there.root.hash.to_string();
        return Err(Error::Published { version: release.version, root });
    }
    let work =
        ops::Work { repo: &repo, scratch: scratch.path(), release: &release, forms: forms::Forms::default() };
    let full = steps.run("full", |_| work.full(&mut targets), ops::describe)?;
    let sources = manifest::sources(&manifest, release.version, request.deltas);
    let deltas: Vec<Delta> = steps.run(
        "deltas",
        |note| {
            let mut deltas = Vec::new();
            for source in &sources {
                note(format!("from {}", source.version));
                deltas.push(work.delta(source, &full, &mut targets)?);
            }
            Ok::<_, Error>(deltas)
        },
        |deltas| {
            deltas
                .iter()
                .map(|delta| format!("{} {}", delta.from, ops::describe(&delta.files)))
                .collect::<Vec<_>>()
                .join("; ")
        },
    )?;
    manifest::add(&mut manifest, &release, full, deltas, &request.terms);
    manifest::put(&repo, scratch.path(), &manifest, &mut targets)?;
    manifest::forget(&repo, &manifest, &mut targets)?;
    drop(scratch);
    let change = Change { root: None, targets: Some(targets) };
    let lifetimes = Lifetimes::default();
    steps.run(
        "metadata",
        |_| Ok(repo.commit(change, keyring, lifetimes, request.now)?),
        |versions| format!("root {} timestamp {}", versions.root, versions.timestamp),
    )
}

/// Recalls a version in every manifest of a channel that has it: no machine installs it any more, none boots it where it is staged.
pub fn withdraw(
    repo: &Path,
    channel: &Label,
    version: OsVersion,
    keyring: &mut Keyring,
    now: Time,
) -> Result<Versions, Error> {
    let missing = || Error::NotThere { channel: channel.clone(), version };
    change(repo, channel, keyring, now, missing, |manifest| {
        let has_it = manifest.releases.iter().any(|release| release.version == version);
        if has_it && !manifest.recalled.contains(&version) {
            manifest.recalled.push(version);
        }
        has_it
    })
}

/// Whether machines may begin with a release of a channel, or reboot for one.
pub fn pause(
    repo: &Path,
    channel: &Label,
    pause: Pause,
    keyring: &mut Keyring,
    now: Time,
) -> Result<Versions, Error> {
    let missing = || Error::NoChannel { channel: channel.clone() };
    change(repo, channel, keyring, now, missing, |manifest| {
        manifest.paused = pause == Pause::On;
        true
    })
}

/// Changes every manifest of a channel that `apply` says it is about.
fn change(
    repo: &Path,
    channel: &Label,
    keyring: &mut Keyring,
    now: Time,
    missing: impl FnOnce() -> Error,
    apply: impl Fn(&mut Manifest) -> bool,
) -> Result<Versions, Error> {
    let mut repo = Repo::open(repo)?;
    let scratch = repo.scratch()?;
    let mut targets = repo.targets();
    let mut found = false;
    for mut manifest in manifest::all(&repo)? {
        if manifest.channel == *channel && apply(&mut manifest) {
            found = true;
            manifest::put(&repo, scratch.path(), &manifest, &mut targets)?;
        }
    }
    if !found {
        return Err(missing());
    }
    drop(scratch);
    Ok(repo.commit(Change { root: None, targets: Some(targets) }, keyring, Lifetimes::default(), now)?)
}
