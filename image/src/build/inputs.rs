//! What a build is made from, besides embedded images: found and read, before anything is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coracle_kernel::Source;
use coracle_layout::paths;
use coracle_pods::Pod;
use coracle_recipe::Recipe;

use super::{Request, kernel};
use crate::plan::services;
use crate::update::Update;
use crate::{Error, boot, digest};

/// What lies outside the recipe's folder.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Folder with the static program `init` and, optionally, `netd`; with `[update]` also `updater`.
    pub programs: PathBuf,
    /// systemd's UEFI stub.
    pub stub: PathBuf,
    /// systemd's boot manager.
    pub loader: PathBuf,
}

impl Sources {
    /// These programs, and the UEFI programs of the distribution.
    pub fn with_programs(programs: PathBuf) -> Self {
        Self { programs, stub: boot::STUB.into(), loader: boot::LOADER.into() }
    }
}

/// What was found.
pub struct Inputs {
    pub init: PathBuf,
    pub netd: Option<PathBuf>,
    pub update: Option<Update>,
    /// Digest of each program, by its path in the root.
    pub program_digests: BTreeMap<String, String>,
    pub stub: Vec<u8>,
    pub loader: Vec<u8>,
    /// The kernel's source archive.
    pub kernel: Source,
    pub kernel_digest: String,
    /// The recipe's own files, in its order.
    pub files: Vec<PathBuf>,
}

impl Inputs {
    pub fn describe(&self) -> String {
        let netd = if self.netd.is_some() { ", netd" } else { "" };
        let updater = if self.update.is_some() { ", updater" } else { "" };
        format!("init{netd}{updater}, kernel source {}", self.kernel_digest.get(..16).unwrap_or_default())
    }
}

/// Reads and checks the recipe.
pub fn recipe(path: &Path) -> Result<Recipe, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    Recipe::parse(&text, &path.display().to_string()).map_err(Error::Recipe)
}

/// A path of the recipe, seen from here.
pub fn beside(recipe: &Path, path: &Path) -> PathBuf {
    recipe.parent().unwrap_or(Path::new("")).join(path)
}

/// Reads and checks a pod's manifest.
pub fn pod(recipe: &Path, path: &Path) -> Result<Pod, Error> {
    let path = beside(recipe, path);
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    Pod::parse(&text).map_err(|source| Error::Manifest { path, source: Box::new(source) })
}

/// Finds and reads everything.
pub fn read(recipe: &Recipe, request: &Request) -> Result<Inputs, Error> {
    let sources = &request.sources;
    let bytes = |path: &Path| fs::read(path).map_err(Error::file("read", path));
    let init = sources.programs.join("init");
    let netd = Some(sources.programs.join("netd")).filter(|path| path.exists());
    let mut program_digests = BTreeMap::from([(paths::INIT.to_owned(), digest::of_file(&init)?.1)]);
    if let Some(netd) = &netd {
        program_digests.insert(services::NETD.to_owned(), digest::of_file(netd)?.1);
    }
    let at = |path: &Path| beside(&request.recipe, path);
    let update =
        recipe.update.as_ref().map(|wanted| Update::read(wanted, at, &sources.programs)).transpose()?;
    if let Some(update) = &update {
        program_digests.insert(services::UPDATER.to_owned(), digest::of_file(&update.program)?.1);
    }
    let (kernel, kernel_digest) = kernel::source(recipe, request)?;
    let files = recipe.files.iter().map(|file| beside(&request.recipe, file.source.as_path()));
    Ok(Inputs {
        init,
        netd,
        update,
        program_digests,
        stub: bytes(&sources.stub)?,
        loader: bytes(&sources.loader)?,
        kernel,
        kernel_digest,
        files: files.collect(),
    })
}
