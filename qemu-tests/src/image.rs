//! Images of the recipes in `images/`, built when what they are made of has changed.

mod programs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use coracle_layout::RootHash;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) use programs::{builder, kernel_of, static_programs};
pub use programs::{initramfs, initramfs_with, kernel, output, repository, static_program};

use crate::disk::{self, Disk};
use crate::machine::Writes;
use crate::{Config, Error};

/// What [`Image::of`] looks for first: a folder with one folder of artifacts an image.
const PREBUILT: &str = "CORACLE_IMAGES";
/// The report that a build writes last.
const RELEASE: &str = "release.json";
/// The packages whose programs are in an image of the tests, and the programs.
const PACKAGES: [&str; 3] = ["coracle-init", "coracle-netd", "coracle-payload"];
const PROGRAMS: [&str; 3] = ["init", "netd", "coracle-payload"];

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
    release: Value,
}

impl Image {
    /// The image of the recipe `images/NAME`.
    ///
    /// Looked for once in a process. With the environment variable `CORACLE_IMAGES=FOLDER` it is what lies in `FOLDER/NAME`. Otherwise programs are
    /// compiled and the image is built under `build/test/images`, unless the one there was made from the same bytes.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Run`] or [`Error::Program`] of the build, [`Error::Release`].
    pub fn of(name: &str) -> Result<Self, Error> {
        static KNOWN: Mutex<BTreeMap<String, Image>> = Mutex::new(BTreeMap::new());
        // Whoever panicked with the lock has not left half an image in the map.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = known.get(name) {
            return Ok(image.clone());
        }
        let image = match std::env::var_os(PREBUILT) {
            Some(folder) => Self::open(&Path::new(&folder).join(name))?,
            None => Self::open(&build(name)?)?,
        };
        Ok(known.entry(name.to_owned()).or_insert(image).clone())
    }

    /// The image of the recipe `examples/NAME`, built anew under `build/examples`.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub fn example(name: &str) -> Result<Self, Error> {
        let out = repository().join("build/examples").join(name);
        let recipe = format!("examples/{name}/coracle.toml");
        output(Command::new("./dev").args(["build", "--out"]).arg(&out).arg(recipe))?;
        Self::open(&out)
    }

    /// An image that was built into this folder.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Release`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(RELEASE);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        let release =
            serde_json::from_slice(&text).map_err(|_| Error::Release { path, missing: "an object" })?;
        Ok(Self { folder: folder.to_owned(), release })
    }

    /// A file of the image by its purpose: `raw`, `kernel`, `initrd`, `uki`, …
    ///
    /// # Errors
    /// [`Error::Release`] if the image has none.
    pub fn file(&self, purpose: &'static str) -> Result<PathBuf, Error> {
        let name = self.release["files"][purpose].as_str();
        name.map(|name| self.folder.join(name)).ok_or_else(|| self.lacks(purpose))
    }

    /// The folder of its artifacts.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The report of the build.
    pub fn release(&self) -> &Value {
        &self.release
    }

    /// The root hash.
    ///
    /// # Errors
    /// [`Error::Release`].
    pub fn root_hash(&self) -> Result<RootHash, Error> {
        let text = self.release["root_hash"].as_str();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.lacks("root_hash"))
    }

    fn lacks(&self, missing: &'static str) -> Error {
        Error::Release { path: self.folder.join(RELEASE), missing }
    }
}

/// An image on a disk of its own, to be booted, looked at and damaged. Its files go with it.
#[derive(Debug)]
pub struct Specimen {
    image: Image,
    folder: TempDir,
}

impl Specimen {
    /// A fresh copy of the disk of [`Image::of`] this name.
    ///
    /// # Errors
    /// Those of [`Image::of`], and of the copy.
    pub fn new(name: &str) -> Result<Self, Error> {
        Self::of(Image::of(name)?)
    }

    /// A fresh copy of an image's disk.
    ///
    /// # Errors
    /// [`Error::Release`], and those of the copy.
    pub fn of(image: Image) -> Result<Self, Error> {
        Self::copy(&image.file("raw")?, image)
    }

    /// Another disk that is as this one is now.
    ///
    /// # Errors
    /// Those of the copy.
    pub fn duplicate(&self) -> Result<Self, Error> {
        Self::copy(&self.path(), self.image.clone())
    }

    fn copy(disk: &Path, image: Image) -> Result<Self, Error> {
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("coracle-disk-").tempdir_in(&temporary);
        let specimen = Self { image, folder: folder.map_err(failed("create a folder in", &temporary))? };
        disk::copy(disk, &specimen.path())?;
        Ok(specimen)
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The disk's file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    /// The disk, while no machine runs on it.
    ///
    /// # Errors
    /// Those of [`Disk::open`].
    pub fn disk(&self) -> Result<Disk, Error> {
        Disk::open(&self.path())
    }

    /// A machine that boots it without firmware. These words stand before the image's own, so they count.
    ///
    /// # Errors
    /// [`Error::Release`].
    pub fn direct(&self, words: &str) -> Result<Config, Error> {
        let own = self.image.release["cmdline"].as_str().ok_or_else(|| self.image.lacks("cmdline"))?;
        let (kernel, initrd) = (self.image.file("kernel")?, self.image.file("initrd")?);
        Ok(Config::direct(kernel, initrd, &format!("{words} {own}")).disk(self.path(), Writes::Stay))
    }

    /// A machine that boots it through firmware and loader; the firmware's variables are kept with it.
    pub fn uefi(&self) -> Config {
        Config::uefi(self.folder.path().join("variables")).disk(self.path(), Writes::Stay)
    }
}

/// Builds an image if there is none of these bytes yet; returns the folder of its artifacts.
///
/// The recipes are copied together, because one may use another's pods.
fn build(name: &str) -> Result<PathBuf, Error> {
    let recipes = repository().join("qemu-tests/images");
    let recipe = Path::new(name).join("coracle.toml");
    let text = recipes.join(&recipe);
    let text = fs::read_to_string(&text).map_err(failed("read", &text))?;
    let programs = static_programs(&PACKAGES)?;
    let builder = builder()?;
    let mut inputs = files(&recipes)?;
    inputs.extend(PROGRAMS.map(|program| programs.join(program)));
    inputs.extend([builder.clone(), kernel_of(profile(&text))?]);
    let folder = repository().join("build/test/images").join(name);
    // Held until the end: a bench may want the same image as a test.
    let _alone = alone(&folder.with_extension("lock"))?;
    let out = folder.join(key(&inputs)?);
    if out.join(RELEASE).exists() {
        return Ok(out);
    }
    // What is there was made from other bytes, or not to the end.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
    }
    let work = folder.join("recipes");
    for path in files(&recipes)? {
        let copy = work.join(path.strip_prefix(&recipes).unwrap_or(&path));
        let parent = copy.parent().unwrap_or(&work);
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
        fs::copy(&path, &copy).map_err(failed("copy", &path))?;
    }
    let mut pack = Command::new(&builder);
    pack.arg("pack").arg(programs.join("coracle-payload")).args(["--name", "payload:1"]);
    output(pack.arg("--out").arg(work.join(name).join("payload")))?;
    output(Command::new("./dev").arg("build").arg("--out").arg(&out).arg(work.join(recipe)))?;
    Ok(out)
}

/// Waits until nobody else holds this file.
fn alone(path: &Path) -> Result<File, Error> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(failed("make", parent))?;
    let file = File::create(path).map_err(failed("create", path))?;
    file.lock().map_err(failed("lock", path))?;
    Ok(file)
}

/// The profile of the kernel that a recipe of ours asks for.
fn profile(recipe: &str) -> &str {
    recipe.lines().find_map(|line| line.strip_prefix("profile = \"")?.strip_suffix('"')).unwrap_or("virtio")
}

/// The files in a folder and in those below it.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files = Vec::new();
    for path in entries.map_err(failed("list", folder))?.into_iter().map(|entry| entry.path()) {
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

/// A name for these bytes, whatever their age.
pub(crate) fn key(inputs: &[PathBuf]) -> Result<String, Error> {
    let mut digest = Sha256::new();
    for path in inputs {
        let bytes = fs::read(path).map_err(failed("read", path))?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_what_is_booted() {
        let folder = tempfile::tempdir().unwrap();
        let root_hash = "ab".repeat(32);
        let release = serde_json::json!({
            "root_hash": root_hash, "cmdline": "roothash=12", "files": { "raw": "t.raw", "kernel": "t.vmlinuz" },
        });
        fs::write(folder.path().join(RELEASE), release.to_string()).unwrap();
        let image = Image::open(folder.path()).unwrap();
        assert_eq!(image.file("raw").unwrap(), folder.path().join("t.raw"));
        assert_eq!(image.root_hash().unwrap(), RootHash::new([0xab; 32]));
        assert!(matches!(image.file("uki"), Err(Error::Release { missing: "uki", .. })));
        fs::write(folder.path().join(RELEASE), "[").unwrap();
        assert!(matches!(Image::open(folder.path()), Err(Error::Release { .. })));
    }

    #[test]
    fn another_byte_is_another_image() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let named = |contents: [&str; 2]| {
            paths.iter().zip(contents).for_each(|(path, text)| fs::write(path, text).unwrap());
            key(&paths).unwrap()
        };
        let first = named(["one", "two"]);
        assert_eq!(named(["one", "two"]), first);
        assert_ne!(named(["onet", "wo"]), first);
        assert_ne!(named(["one", "twp"]), first);
        assert_eq!(files(folder.path()).unwrap(), paths);
        fs::create_dir(folder.path().join("aa")).unwrap();
        fs::write(folder.path().join("aa/c"), "").unwrap();
        assert_eq!(
            files(folder.path()).unwrap(),
            [&paths[..1], &[folder.path().join("aa/c")], &paths[1..]].concat()
        );
    }

    #[test]
    fn a_recipe_says_which_kernel_it_wants() {
        assert_eq!(profile("[kernel]\nprofile = \"full\"\n"), "full");
        assert_eq!(profile("[kernel]\n"), "virtio");
    }
}
