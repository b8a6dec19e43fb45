//! `coracle build`: the steps from a recipe to an image, in order.
//!
//! | step | from | to |
//! |---|---|---|
//! | recipe | `coracle.toml` | the checked recipe |
//! | inputs | programs, UEFI programs, kernel source | their bytes and digests |
//! | images | OCI layouts | trees |
//! | pods | manifests and images' configs | start plans |
//! | lock | all of these | nothing: it refuses what is not as it was |
//! | kernel | source and fragments | a kernel, from the cache or built |
//! | root | tree | EROFS |
//! | verity | EROFS | hash tree and root hash |
//! | boot | kernel, stage 1, command line with the root hash | the unified kernel image |
//! | disk | ESP, root, hash tree, state, table | the raw disk |
//! | formats | the raw disk | what the recipe asks for, with digests |
//! | reports | all of these | the list of components, what was built, what was written |
//!
//! Everything is made in a folder of its own inside the output folder and moved out at the end, the reports last: a build
//! that fails leaves what was there before.

mod budget;
mod formats;
mod inputs;
mod kernel;
mod locked;
mod plans;
mod report;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use coracle_erofs as erofs;
use coracle_layout::partition::Partition;
use coracle_layout::{OsVersion, RootHash, Slot, VERITY_SALT};
use coracle_recipe::Recipe;
use coracle_recipe::recipe::Format;
use coracle_rollout::Time;
use coracle_runtime::plan::Plan;
use coracle_uki::EntryName;
use coracle_verity as verity;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::embedded::{self, Embedded};
use crate::identity::Identity;
use crate::lock::{self, Lock};
use crate::release::{Release, Summary};
use crate::steps::{Event, Steps};
use crate::{Error, boot, cmdline, digest, osrelease, root, state};

pub use inputs::Sources;

use plans::Plans;

/// The moment that images say they were made, without `SOURCE_DATE_EPOCH`: 1 January 2026.
pub const EPOCH: u64 = 1_767_225_600;

/// What to build, from what.
#[derive(Debug, Clone)]
pub struct Request {
    /// The recipe.
    pub recipe: PathBuf,
    /// Where the result goes; made if it is not there.
    pub out: PathBuf,
    /// What lies outside the recipe.
    pub sources: Sources,
    /// Where kernels are kept.
    pub kernel_cache: PathBuf,
    /// The program that compresses one: see [`coracle_kernel::Request`].
    pub kernel_packer: PathBuf,
    /// The moment that the image says it was made, in seconds since 1970.
    pub epoch: u64,
    /// When its inputs came to be what they are.
    pub pinned: Pinned,
    /// Whether inputs other than the lock's are taken, and the lock renewed.
    pub update_lock: bool,
}

/// When the inputs of an image came to be what they are: no machine with `[update]` believes a clock that shows less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// Then, whatever the lock says: somebody asked for it.
    At(Time),
    /// The lock says when; one that is new or renewed says this, the present time.
    Now(Time),
}

/// What was built: the content of the two reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// `release.json`
    pub release: Release,
    /// `summary.json`
    pub summary: Summary,
}

/// Everything of one build that a step leaves for the next.
struct Work<'r> {
    request: &'r Request,
    recipe: Recipe,
    identity: Identity,
    /// Unfinished files; inside the output folder, so that a rename brings each to its place.
    scratch: TempDir,
}

/// Builds an image.
///
/// # Errors
/// Any fault of the recipe or of what it names, and any failure of this machine; the output folder is then as it was.
pub fn build(request: &Request, report: &mut dyn FnMut(Event)) -> Result<Built, Error> {
    let mut steps = Steps::new(report);
    let recipe = steps.run(
        "recipe",
        |_| inputs::recipe(&request.recipe),
        |recipe| format!("{} {}", recipe.name.as_str(), recipe.version),
    )?;
    let work = Work::new(request, recipe)?;
    let inputs = steps.run("inputs", |_| inputs::read(&work.recipe, request), inputs::Inputs::describe)?;
    let images = steps.run("images", |_| work.images(), |images| count(images.len(), "embedded image"))?;
    let plans = steps.run("pods", |_| Plans::of(&work, &images, &inputs), Plans::describe)?;
    let lock = steps.run(
        "lock",
        |_| locked::lock(&work, &inputs, &images),
        |_| "inputs are as locked".to_owned(),
    )?;
    let kernel = steps.run(
        "kernel",
        |note| kernel::find(&work.recipe, request, &inputs, note),
        |kernel| kernel.release.clone(),
    )?;
    let root = steps.run("root", |_| work.root(&inputs, &images, &plans, &lock), Root::describe)?;
    let verity = steps.run("verity", |_| work.verity(&root), |verity| verity.hash.to_string())?;
    let boot = steps.run("boot", |_| work.boot(&inputs, &kernel, &verity.hash), Boot::describe)?;
    let disk =
        steps.run("disk", |_| work.disk(&inputs, &root, &verity, &boot), |disk| size(disk.layout.bytes()))?;
    let summary = steps.run(
        "formats",
        |_| work.formats(&boot, &disk),
        |summary| summary.files.keys().cloned().collect::<Vec<_>>().join(" "),
    )?;
    let made = report::Made {
        work: &work,
        inputs: &inputs,
        images: &images,
        plans: &plans,
        kernel: &kernel,
        verity: &verity,
        boot: &boot,
        disk: &disk,
    };
    let built = steps.run("reports", |_| made.publish(summary), |_| "in place".to_owned())?;
    lock.write(&request.recipe.with_file_name(lock::NAME))?;
    Ok(built)
}

struct Root {
    path: PathBuf,
    layout: erofs::Layout,
}

impl Root {
    fn describe(&self) -> String {
        format!("{}, {}", size(self.layout.bytes()), count(self.layout.inodes as usize, "inode"))
    }
}

struct Verity {
    path: PathBuf,
    hash: RootHash,
}

struct Boot {
    entry: EntryName,
    cmdline: String,
    kernel: Vec<u8>,
    /// The program.
    init: Vec<u8>,
    initramfs: Vec<u8>,
    compressed: Vec<u8>,
    uki: Vec<u8>,
    files: BTreeMap<String, String>,
}

impl Boot {
    fn describe(&self) -> String {
        format!(
            "stage 1 {} compressed, UKI {}",
            size(self.compressed.len() as u64),
            size(self.uki.len() as u64)
        )
    }
}

struct RawDisk {
    path: PathBuf,
    layout: Disk,
}

impl<'r> Work<'r> {
    fn new(request: &'r Request, recipe: Recipe) -> Result<Self, Error> {
        let out = &request.out;
        fs::create_dir_all(out).map_err(Error::file("make folder", out))?;
        let scratch = tempfile::Builder::new().prefix(".build-").tempdir_in(out);
        let scratch = scratch.map_err(Error::file("make a folder in", out))?;
        let identity = Identity::new(recipe.name.as_str(), recipe.version);
        Ok(Self { request, recipe, identity, scratch })
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `NAME_VERSION.SUFFIX`
    fn named(&self, suffix: &str) -> String {
        format!("{}_{}.{suffix}", self.recipe.name.as_str(), self.recipe.version)
    }

    fn images(&self) -> Result<Vec<Embedded>, Error> {
        let mut images: Vec<Embedded> = Vec::new();
        for (index, image) in self.recipe.images.iter().enumerate() {
            let path = inputs::beside(&self.request.recipe, image.path.as_path());
            let image = embedded::load(image, &path, &self.scratch(&format!("spool-{index}")))?;
            if images.iter().any(|other| other.reference == image.reference) {
                return Err(Error::ImageTwice { reference: image.reference });
            }
            images.push(image);
        }
        Ok(images)
    }

    fn root(
        &self,
        inputs: &inputs::Inputs,
        images: &[Embedded],
        plans: &Plans,
        lock: &Lock,
    ) -> Result<Root, Error> {
        let pods: Vec<Plan> = plans.pods.iter().map(|(_, plan)| plan.clone()).collect();
        let update = match (&self.recipe.update, &inputs.update) {
            (Some(wanted), Some(update)) => {
                update.files(&wanted.settings(locked::built(self.request, lock)), &inputs.loader)?
            }
            _ => Vec::new(),
        };
        let tree = root::tree(&root::Contents {
            recipe: &self.recipe,
            netd: inputs.netd.as_deref(),
            updater: inputs.update.as_ref().map(|update| update.program.as_path()),
            update: &update,
            images,
            services: &plans.services,
            pods: &pods,
            files: &inputs.files,
        })?;
        let path = self.scratch(&self.named("root"));
        let options = erofs::Options {
            uuid: self.identity.uuid("root filesystem"),
            build_time: self.request.epoch,
            volume_label: erofs::Label::new("root")?,
        };
        let mut file = File::create_new(&path).map_err(Error::file("create", &path))?;
        let layout = erofs::write(&tree, &options, &mut file)?;
        let room = self.recipe.image.slot.get();
        fits("the root filesystem", layout.bytes(), room, "image.slot")?;
        Ok(Root { path, layout })
    }

    fn verity(&self, root: &Root) -> Result<Verity, Error> {
        let superblock = verity::Superblock {
            uuid: self.identity.uuid("verity"),
            data_blocks: verity::DataBlocks::new(root.layout.blocks.into())?,
            salt: verity::Salt::new(&VERITY_SALT)?,
        };
        let path = self.scratch(&self.named("verity"));
        let data = File::open(&root.path).map_err(Error::file("open", &root.path))?;
        let mut out = File::create_new(&path).map_err(Error::file("create", &path))?;
        let hash = verity::build(std::io::BufReader::with_capacity(1 << 20, data), &superblock, &mut out)?;
        let len = out.metadata().map_err(Error::file("look at", &path))?.len();
        fits("the verity tree", len, self.recipe.image.verity.get(), "image.verity")?;
        Ok(Verity { path, hash: RootHash::new(hash) })
    }

    fn boot(&self, inputs: &inputs::Inputs, kernel: &kernel::Kernel, hash: &RootHash) -> Result<Boot, Error> {
        let version: OsVersion = self.recipe.version;
        let entry = EntryName::new(version, None)?;
        let init = fs::read(&inputs.init).map_err(Error::file("read", &inputs.init))?;
        let initramfs = boot::initramfs(&init)?;
        let compressed = boot::compressed(&initramfs)?;
        let cmdline = cmdline::text(&self.recipe, hash);
        let uki = boot::uki(&boot::Parts {
            stub: &inputs.stub,
            osrelease: &osrelease::text(&self.recipe),
            cmdline: &cmdline,
            release: &kernel.release,
            kernel: &kernel.image,
            initramfs: &initramfs,
        })?;
        let files = boot::files(&entry, &uki, &inputs.loader);
        let files = files.into_iter().map(|(path, bytes)| (path, digest::of(bytes))).collect();
        Ok(Boot { entry, cmdline, kernel: kernel.image.clone(), init, initramfs, compressed, uki, files })
    }

    fn disk(
        &self,
        inputs: &inputs::Inputs,
        root: &Root,
        verity: &Verity,
        boot: &Boot,
    ) -> Result<RawDisk, Error> {
        let layout = Disk::new(&self.recipe.image);
        let path = self.scratch(&self.named("raw"));
        let mut file = layout.create(&path)?;
        let (_, len) = layout.place(Partition::Esp);
        let files = boot::files(&boot.entry, &boot.uki, &inputs.loader);
        boot::esp(&mut layout.window(&file, Partition::Esp), len, &self.identity, &files)?;
        layout.put(&file, Partition::Root(Slot::A), &root.path)?;
        layout.put(&file, Partition::Verity(Slot::A), &verity.path)?;
        let state = self.scratch("state");
        state::make(&state, &self.identity, self.request.epoch)?;
        layout.put(&file, Partition::State, &state)?;
        fs::remove_file(&state).map_err(Error::file("remove", &state))?;
        layout.write_table(&mut file, &self.identity, &path)?;
        Ok(RawDisk { path, layout })
    }

    fn formats(&self, boot: &Boot, disk: &RawDisk) -> Result<Summary, Error> {
        let mut files = vec![("uki", self.named("efi"), boot.uki.as_slice())];
        if self.recipe.image.formats.contains(&Format::Direct) {
            files.push(("kernel", self.named("vmlinuz"), &boot.kernel));
            files.push(("initrd", self.named("initrd"), &boot.initramfs));
            files.push(("cmdline", self.named("cmdline"), boot.cmdline.as_bytes()));
        }
        for (_, name, bytes) in &files {
            let path = self.scratch(name);
            fs::write(&path, bytes).map_err(Error::file("write", &path))?;
        }
        formats::all(&formats::Job {
            folder: self.scratch.path(),
            recipe: &self.recipe,
            raw: &disk.path,
            len: disk.layout.bytes(),
            identity: coracle_formats::Identity {
                uuid: self.identity.uuid("disk"),
                timestamp: self.request.epoch,
            },
            parts: [("init", &boot.init), ("stage1.zst", &boot.compressed)],
            named: &|suffix| self.named(suffix),
        })
    }
}

fn fits(part: &'static str, len: u64, room: u64, key: &'static str) -> Result<(), Error> {
    if len > room { Err(Error::NoRoom { part, len, room, key }) } else { Ok(()) }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A length as people read it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.2} MiB", bytes as f64 / 1_048_576.0),
    }
}
