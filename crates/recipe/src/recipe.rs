//! The checked recipe, as the builder uses it.

pub use crate::root_path::RootPath;
pub use crate::update::Update;
use coracle_layout::OsVersion;

use crate::values::{ByteLen, ConsoleDevice, Deadline, LogLevel, Mode, Name, Sha256, SourcePath};
use crate::{Findings, check, findings::Report, read};

/// Everything that one image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the image.
    pub name: Name,
    /// Version of the image.
    pub version: OsVersion,
    /// Processor architecture.
    pub arch: Arch,
    /// The kernel to build.
    pub kernel: Kernel,
    /// Sizes, formats and the size budget.
    pub image: Image,
    /// OCI images embedded in the root.
    pub images: Vec<EmbeddedImage>,
    /// Pod manifests started at boot, relative to the recipe.
    pub pods: Vec<SourcePath>,
    /// Extra read-only files in the root.
    pub files: Vec<File>,
    /// Where the machine talks.
    pub console: Console,
    /// What happens when the state partition cannot be mounted.
    pub on_state_failure: OnStateFailure,
    /// Time until a boot must be good.
    pub boot_deadline: Deadline,
    /// How the machine is kept up to date, if it is.
    pub update: Option<Update>,
}

impl Recipe {
    /// Reads a recipe. `file_name` only names the file in findings; nothing is opened.
    ///
    /// # Errors
    ///
    /// Syntax errors alone, otherwise every fault of the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Findings> {
        let mut report = Report::new(text);
        let recipe = read::read(text, &mut report).and_then(|document| check::check(document, &mut report));
        match (report.finish(file_name), recipe) {
            (None, Some(recipe)) => Ok(recipe),
            (Some(findings), _) => Err(findings),
            // Cannot be reached: whoever gives no recipe has reported why. An empty list still refuses the file.
            (None, None) => Err(Findings { file: file_name.to_owned(), findings: Vec::new() }),
        }
    }
}

/// Processor architectures that images can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
}

/// The kernel to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// What it drives.
    pub profile: KernelProfile,
    /// Where its source comes from.
    pub source: KernelSource,
    /// Extra configuration fragments, in order.
    pub fragments: Vec<SourcePath>,
}

/// What the kernel drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelProfile {
    /// Virtual machines.
    Virtio,
    /// Virtual machines and hardware.
    Full,
}

impl KernelProfile {
    /// What a compressed image with this kernel may have, unless the recipe says otherwise.
    pub const fn budget(self) -> ByteLen {
        match self {
            Self::Virtio => ByteLen::mib(12),
            Self::Full => ByteLen::mib(16),
        }
    }
}

/// Where the kernel's source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// The building distribution's source package.
    Package,
    /// An archive on the building machine.
    Path {
        /// Where it is.
        path: SourcePath,
        /// What it must be, when the recipe says so.
        sha256: Option<Sha256>,
    },
    /// An archive to fetch.
    Url {
        /// An `https://` address.
        url: String,
        /// What it must be.
        sha256: Sha256,
    },
}

/// Sizes, formats and the size budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// EFI system partition.
    pub esp: ByteLen,
    /// Each root slot.
    pub slot: ByteLen,
    /// Each slot's hash partition.
    pub verity: ByteLen,
    /// What to write, each at most once.
    pub formats: Vec<Format>,
    /// Largest compressed image that still passes.
    pub budget: ByteLen,
}

/// A form in which an image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// The disk, sparse.
    Raw,
    /// The disk, compressed with Zstandard.
    RawZst,
    /// QEMU.
    Qcow2,
    /// VMware, stream-optimised.
    Vmdk,
    /// Azure and Hyper-V, fixed.
    Vhd,
    /// Kernel, initramfs and root as files, for a monitor that loads the kernel itself.
    Direct,
}

/// An OCI image embedded in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedImage {
    /// Image layout folder or archive.
    pub path: SourcePath,
    /// The reference by which pods name it, when not the one in the layout.
    pub name: Option<String>,
    /// Manifest digest that must match.
    pub digest: Option<Sha256>,
}

/// An extra read-only file in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// File to copy.
    pub source: SourcePath,
    /// Where it goes.
    pub path: RootPath,
    /// Its permissions.
    pub mode: Mode,
}

/// Where the machine talks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Kernel consoles; the last one is `/dev/console`.
    pub devices: Vec<ConsoleDevice>,
    /// What is shown there.
    pub loglevel: LogLevel,
}

/// What happens when the state partition cannot be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStateFailure {
    /// Stop with nothing started and wait for an operator.
    Recover,
    /// Go on with state in memory.
    Volatile,
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
