//! What can go wrong between a recipe and an image.

use std::io;
use std::path::PathBuf;

use coracle_recipe::Findings;

use crate::accounts::Unknown;

/// Why there is no image.
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
    /// The recipe has faults; shown by themselves.
    #[error("{0}")]
    Recipe(Findings),
    /// A pod's manifest was refused.
    #[error("pod manifest {}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<coracle_pods::Error>,
    },
    /// There are more pods than a machine starts.
    #[error(
        "the recipe has {count} pods, a machine starts at most {}: remove some",
        coracle_layout::paths::MAX_PLANS
    )]
    Pods {
        /// How many there are.
        count: usize,
    },
    /// Two pods have one name.
    #[error("two pods are named {name}: rename one of them")]
    PodTwice {
        /// The name.
        name: String,
    },
    /// A pod names an image that is not embedded.
    #[error("pod {pod} wants image \"{reference}\", which is not embedded; there are: {}", known.join(", "))]
    PodImage {
        /// The pod.
        pod: String,
        /// What it names.
        reference: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A pod asks for something that cannot be given.
    #[error("pod {pod}: {field}: {reason}")]
    Pod {
        /// The pod.
        pod: String,
        /// The field, as the manifest spells it.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A pod's user is not in its image.
    #[error("pod {pod}: cannot find the user to run as")]
    PodUser {
        /// The pod.
        pod: String,
        /// Who is missing.
        source: Unknown,
    },
    /// There is no updater for a recipe with `[update]`.
    #[error(
        "the recipe has `[update]`, and there is no program updater in {}: build it (package coracle-updater), name its folder \
         with --programs, or remove the section",
        folder.display()
    )]
    NoUpdater {
        /// The folder of programs.
        folder: PathBuf,
    },
    /// A file that `[update]` names is not what it should be.
    #[error("{}, which `[update]` names, cannot be used", path.display())]
    Update {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<crate::update::Error>,
    },
    /// The settings of updates cannot be written.
    #[error("write the settings of `[update]`")]
    Settings(#[from] coracle_rollout::settings::BadSettings),
    /// A gate waits for a pod that there is not.
    #[error("a gate in `update.health` waits for pod {pod}, which the recipe does not have; there are: {}", known.join(", "))]
    GatePod {
        /// What it names.
        pod: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A start plan was refused.
    #[error("start plan of {name}")]
    Plan {
        /// The pod or service.
        name: String,
        /// Why.
        source: coracle_runtime::Error,
    },
    /// An image layout was refused.
    #[error("embedded image {}", image.display())]
    Image {
        /// As the recipe names it.
        image: PathBuf,
        /// Why.
        source: Box<coracle_layers::Error>,
    },
    /// An image is not the one that was pinned.
    #[error("embedded image {} has digest {got}, the recipe wants {want}", image.display())]
    ImageDigest {
        /// As the recipe names it.
        image: PathBuf,
        /// The pin.
        want: String,
        /// What it is.
        got: String,
    },
    /// Neither the recipe nor the layout gives the image a name.
    #[error("embedded image {} has no name: add `name = \"...\"` below its path", image.display())]
    ImageUnnamed {
        /// As the recipe names it.
        image: PathBuf,
    },
    /// Two images have one name.
    #[error("two embedded images are named \"{reference}\": give one another `name`")]
    ImageTwice {
        /// The name.
        reference: String,
    },
    /// A mount point of an image is a file or a link.
    #[error("embedded image {} has a /{place} that is not a folder", image.display())]
    MountPoint {
        /// As the recipe names it.
        image: PathBuf,
        /// The mount point.
        place: &'static str,
    },
    /// The root tree cannot be made.
    #[error("put the root tree together")]
    Tree(#[from] coracle_tree::Error),
    /// The root filesystem cannot be written.
    #[error("write the root filesystem")]
    Erofs(#[from] coracle_erofs::Error),
    /// The hash tree cannot be made.
    #[error("build the verity tree")]
    Verity(#[from] coracle_verity::Error),
    /// A part does not fit its partition.
    #[error("{part} takes {len} bytes, its partition has {room}: raise `{key}` in the recipe")]
    NoRoom {
        /// Which part.
        part: &'static str,
        /// Its length.
        len: u64,
        /// The partition's.
        room: u64,
        /// The recipe's key.
        key: &'static str,
    },
    /// Stage 1 cannot be packed.
    #[error("pack stage 1")]
    Initramfs(#[from] coracle_uki::initramfs::Error),
    /// The boot file cannot be put together.
    #[error("assemble the unified kernel image")]
    Uki(#[from] coracle_uki::Error),
    /// The boot entry has no name.
    #[error("name the boot entry")]
    EntryName(#[from] coracle_uki::entry::BadEntryName),
    /// The EFI system partition cannot be written.
    #[error("write the EFI system partition")]
    Fat(#[from] coracle_fat::Error),
    /// The partition table cannot be made.
    #[error("lay out the disk")]
    Gpt(#[from] coracle_gpt::Error),
    /// A disk format cannot be written.
    #[error("write the disk as {format}")]
    Format {
        /// The format.
        format: &'static str,
        /// Why.
        source: coracle_formats::Error,
    },
    /// There is no kernel.
    #[error("find or build the kernel")]
    Kernel(#[from] coracle_kernel::Error),
    /// There is no place for kernels.
    #[error("no home folder to keep kernels in: name one with --kernel-cache")]
    NoCache,
    /// A program could not be run.
    #[error("run {program}: {hint}")]
    Run {
        /// The program.
        program: String,
        /// What to do when it is missing.
        hint: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program ended in failure.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        output: String,
    },
    /// An archive was not fetched.
    #[error("fetch {url} (bounds: {bounds}): {said}")]
    Download {
        /// Its address.
        url: String,
        /// What it may take.
        bounds: String,
        /// What curl said.
        said: String,
    },
    /// The lock file is not one.
    #[error("read the lock {}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// The lock file cannot be written as text.
    #[error("write the lock")]
    LockText(#[from] toml::ser::Error),
    /// Inputs are not those of the lock.
    #[error(
        "inputs differ from {}; if that is meant, run again with --update-lock\n{}", path.display(), lines(differences)
    )]
    Locked {
        /// The lock.
        path: PathBuf,
        /// One line a difference.
        differences: Vec<String>,
    },
    /// Something is larger than it may be.
    #[error("{file} has {len} bytes, its budget is {budget}: {cure}")]
    OverBudget {
        /// What: the file's name, or that of a part of files.
        file: String,
        /// Its length.
        len: u64,
        /// The budget.
        budget: u64,
        /// What to do.
        cure: String,
    },
    /// `SOURCE_DATE_EPOCH` is not a number of seconds.
    #[error("SOURCE_DATE_EPOCH is \"{text}\", which is not a number of seconds since 1970")]
    Epoch {
        /// What it is.
        text: String,
    },
    /// A report could not be written as JSON.
    #[error("write a report as JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}

fn lines(differences: &[String]) -> String {
    differences.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
