//! The kernel of a recipe: its source, and the kernel itself from the cache or built.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use coracle_kernel::{self as kernel, Profile, Progress, Source};
use coracle_recipe::Recipe;
use coracle_recipe::recipe::{KernelProfile, KernelSource};

use super::Request;
use super::inputs::{Inputs, beside};
use crate::Error;

/// A finished kernel.
pub struct Kernel {
    pub image: Vec<u8>,
    /// What `uname -r` says.
    pub release: String,
    pub profile: &'static str,
    /// SHA-256 of the source archive.
    pub source: String,
}

/// The source archive with its digest; fetched if the recipe names an address and it is not there yet.
pub fn source(recipe: &Recipe, request: &Request) -> Result<(Source, String), Error> {
    let source = match &recipe.kernel.source {
        KernelSource::Package => Source::Distribution(kernel::source::DISTRIBUTION.into()),
        KernelSource::Path { path, sha256 } => {
            let path = beside(&request.recipe, path.as_path());
            match sha256 {
                Some(sha256) => Source::Pinned { path, sha256: sha256.to_string() },
                None => Source::Distribution(path),
            }
        }
        KernelSource::Url { url, sha256 } => {
            let sha256 = sha256.to_string();
            Source::Pinned { path: fetch(url, &sha256, request)?, sha256 }
        }
    };
    let digest = source.digest()?;
    Ok((source, digest))
}

/// Fetches an archive into the kernel cache, where its digest names it. The digest is checked when it is read.
fn fetch(url: &str, sha256: &str, request: &Request) -> Result<PathBuf, Error> {
    let folder = request.kernel_cache.join("sources");
    let path = folder.join(sha256);
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(Error::file("make folder", &folder))?;
    let partial = tempfile::NamedTempFile::new_in(&folder).map_err(Error::file("make a file in", &folder))?;
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https", "--output"]);
    let output = curl.arg(partial.path()).arg("--").arg(url).output();
    let hint = "install the package curl";
    let output = output.map_err(|source| Error::Run { program: "curl".to_owned(), hint, source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Failed { program: format!("curl {url}"), status: output.status, output: said });
    }
    // Under its digest's name only if it has it: a wrong file would be found again for ever.
    Source::Pinned { path: partial.path().to_owned(), sha256: sha256.to_owned() }.digest()?;
    partial.persist(&path).map_err(|error| Error::file("rename", &path)(error.error))?;
    Ok(path)
}

/// The kernel.
pub fn find(
    recipe: &Recipe,
    request: &Request,
    inputs: &Inputs,
    note: &mut dyn FnMut(String),
) -> Result<Kernel, Error> {
    let profile = match recipe.kernel.profile {
        KernelProfile::Virtio => Profile::Virtio,
        KernelProfile::Full => Profile::Full,
    };
    let fragment = |path: &coracle_recipe::values::SourcePath| {
        let file = beside(&request.recipe, path.as_path());
        let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        Ok((path.as_path().display().to_string(), text))
    };
    let wanted = kernel::Request {
        profile,
        fragments: recipe.kernel.fragments.iter().map(fragment).collect::<Result<_, Error>>()?,
        source: inputs.kernel.clone(),
        cache: request.kernel_cache.clone(),
    };
    let built = kernel::build(&wanted, &mut |progress| match progress {
        Progress::Hashing | Progress::Cached => {}
        Progress::Waiting => note("another build of this kernel is under way".to_owned()),
        Progress::Unpacking => note("unpacking the source".to_owned()),
        Progress::Configuring => note("configuring".to_owned()),
        Progress::Compiling => note("compiling; this takes minutes, once".to_owned()),
        Progress::Storing => note("storing".to_owned()),
    })?;
    let image = fs::read(&built.bzimage).map_err(Error::file("read", &built.bzimage))?;
    Ok(Kernel { image, release: built.release, profile: profile.name(), source: built.source })
}
