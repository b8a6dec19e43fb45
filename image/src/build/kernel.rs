//! The kernel of a recipe: its source, and the kernel itself from the cache or built.

use std::fs;
use std::path::{Path, PathBuf};
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

/// What a download may take. A server that stalls or never ends must not hold a build for ever or fill its disk.
struct Bounds {
    /// Seconds until there is a connection.
    connect: u32,
    /// Seconds below [`SLOWEST`] until the download is given up.
    stall: u32,
    /// Seconds until all of it is there.
    whole: u32,
    /// Bytes; where the server does not say how many there are, curl before 8.4 leaves it to the seconds.
    len: u64,
}

/// A source archive of Linux has 150 MB, twice that with a weaker compression.
const BOUNDS: Bounds = Bounds { connect: 30, stall: 60, whole: 3600, len: 1 << 30 };
/// Bytes a second.
const SLOWEST: u32 = 4096;

/// Fetches an archive into the kernel cache, where its digest names it. The digest is checked when it is read.
fn fetch(url: &str, sha256: &str, request: &Request) -> Result<PathBuf, Error> {
    let folder = request.kernel_cache.join("sources");
    let path = folder.join(sha256);
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(Error::file("make folder", &folder))?;
    let partial = tempfile::NamedTempFile::new_in(&folder).map_err(Error::file("make a file in", &folder))?;
    download(url, partial.path(), &BOUNDS)?;
    // Under its digest's name only if it has it: a wrong file would be found again for ever.
    Source::Pinned { path: partial.path().to_owned(), sha256: sha256.to_owned() }.digest()?;
    partial.persist(&path).map_err(|error| Error::file("rename", &path)(error.error))?;
    Ok(path)
}

fn download(url: &str, to: &Path, bounds: &Bounds) -> Result<(), Error> {
    let Bounds { connect, stall, whole, len } = bounds;
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https"]);
    curl.args(["--connect-timeout", &connect.to_string(), "--max-time", &whole.to_string()]);
    curl.args(["--speed-limit", &SLOWEST.to_string(), "--speed-time", &stall.to_string()]);
    curl.args(["--max-filesize", &len.to_string(), "--output"]);
    let output = curl.arg(to).arg("--").arg(url).output();
    let hint = "install the package curl";
    let output = output.map_err(|source| Error::Run { program: "curl".to_owned(), hint, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Download {
        url: url.to_owned(),
        bounds: format!("{connect} s to connect, {stall} s of stalling, {whole} s and {len} bytes in all"),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
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
        packer: request.kernel_packer.clone(),
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/linux.tar.xz", silent.local_addr().unwrap());
        let to = tempfile::NamedTempFile::new().unwrap();
        let error = download(&url, to.path(), &Bounds { connect: 1, whole: 20, ..BOUNDS }).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&url) && text.contains("1 s to connect") && text.contains("(28)"), "{text}");
    }
}
