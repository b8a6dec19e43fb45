//! One kernel, from the tarball to the cache.
//!
//! | in the cache | what |
//! |---|---|
//! | `KEY/bzImage`, `KEY/config`, `KEY/release`, `KEY/packer` | a finished kernel, the last one the number of its compressor |
//! | `KEY.lock` | held while somebody builds this key |
//! | `KEY.work/` | the source tree of an unfinished build, which goes on where it stopped |
//! | `KEY.log` | what the last program said |
//!
//! 1. Unpack into `KEY.unpack`, then rename to `KEY.work`. Power lost before the rename means: unpacked again.
//! 2. Configure and check in `KEY.work`. Power lost here means: done again.
//! 3. Compile. Power lost here means: `make` goes on.
//! 4. Copy the results into `KEY.new`, fsync each and the folder, rename to `KEY`, fsync the cache, remove the tree.
//!    Power lost before the rename means: `KEY.new` is thrown away, never mistaken for a kernel.

use crate::key::{Inputs, Key};
use crate::{Error, Profile, Source, config, fragment, kconfig};
use coracle_bzimage::{MAX_CONTENT, PARAMETERS, Payload};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that would differ between two builds of the same inputs is fixed here.
const REPRODUCIBLE: [(&str, &str); 7] = [
    ("LC_ALL", "C"),
    ("ARCH", "x86_64"),
    ("KBUILD_BUILD_TIMESTAMP", "1970-01-01 00:00:00 UTC"),
    ("KBUILD_BUILD_VERSION", "1"),
    ("KBUILD_BUILD_USER", "coracle"),
    ("KBUILD_BUILD_HOST", "coracle"),
    ("LOCALVERSION", ""),
];
/// Variables of the caller that would change what `make` builds.
const FOREIGN: [&str; 7] =
    ["MAKEFLAGS", "KCFLAGS", "KCPPFLAGS", "KBUILD_OUTPUT", "CROSS_COMPILE", "LLVM", "CC"];
/// The kernel in the tree.
const BZIMAGE: &str = "arch/x86/boot/bzImage";
/// What the packer is called there.
const PACKER: &str = "coracle-packer";
/// Lines of a failed program that are shown, and the bytes in which they are looked for.
const TAIL_LINES: usize = 30;
const TAIL_BYTES: u64 = 64 << 10;

/// The first word of a command line that asks for [`pack`].
pub const PACK: &str = "pack-kernel";

/// What to build.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which options.
    pub profile: Profile,
    /// Fragments beyond the profile's, as `(file name, text)`, applied after it.
    pub fragments: Vec<(String, String)>,
    /// From which source.
    pub source: Source,
    /// The cache folder, made if it is not there.
    pub cache: PathBuf,
    /// A program that does [`pack`] when its first word is [`PACK`], whatever comes after it. [`THIS_PROGRAM`], if it is one.
    pub packer: PathBuf,
}

/// A finished kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The kernel image.
    pub bzimage: PathBuf,
    /// Its final configuration.
    pub config: PathBuf,
    /// What `uname -r` will say.
    pub release: String,
    /// Digest of the source tarball, hexadecimal.
    pub source: String,
}

/// What is being done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The tarball is read for its digest.
    Hashing,
    /// The kernel was in the cache.
    Cached,
    /// Another build of this kernel is under way; this one waits for it.
    Waiting,
    /// The tarball is unpacked.
    Unpacking,
    /// The configuration is made and checked.
    Configuring,
    /// The kernel is compiled; minutes.
    Compiling,
    /// The result goes into the cache.
    Storing,
}

/// `$XDG_CACHE_HOME/coracle/kernel`, by default below `~/.cache`. `None` where neither variable says where that is.
pub fn default_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("coracle/kernel"))
}

/// The program that runs, as a packer; even if its file is replaced meanwhile.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Does what the kernel's build asks of `zstd`, with our own parameters: standard input becomes one frame on standard output. So the
/// update agent can make the same frame again.
pub fn pack() -> Result<(), Error> {
    let mut content = Vec::new();
    io::stdin().lock().take(MAX_CONTENT + 1).read_to_end(&mut content).map_err(Error::file("read", "-"))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    coracle_bzimage::compress(&mut &content[..], content.len() as u64, &mut out).map_err(Error::Pack)?;
    out.flush().map_err(Error::file("write", "-"))
}

/// The kernel from the cache, else built and put there.
pub fn build(request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<Built, Error> {
    let place = Place::of(request, progress)?;
    if let Some(built) = place.finished() {
        progress(Progress::Cached);
        return Ok(built);
    }
    let _lock = place.lock(progress)?;
    if let Some(built) = place.finished() {
        progress(Progress::Cached);
        return Ok(built);
    }
    place.configure(request, progress)?;
    progress(Progress::Compiling);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let packer = place.copy_packer(&request.packer)?;
    place.make(&[&format!("-j{jobs}"), &packer, "bzImage"])?;
    place.check()?;
    place.store(progress)
}

/// Unpacks, configures and checks only; the path of the configuration.
pub fn configure(request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, Error> {
    let place = Place::of(request, progress)?;
    if let Some(built) = place.finished() {
        progress(Progress::Cached);
        return Ok(built.config);
    }
    let _lock = place.lock(progress)?;
    place.configure(request, progress)?;
    Ok(place.path("work").join(".config"))
}

/// The cache and the key: where everything of one kernel lies.
struct Place {
    cache: PathBuf,
    key: Key,
    source: String,
}

impl Request {
    /// Every fragment as `(file name, text)`, in order.
    fn all_fragments(&self) -> Vec<(&str, &str)> {
        let own = self.fragments.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        self.profile.fragments().iter().copied().chain(own).collect()
    }
}

impl Place {
    fn of(request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<Place, Error> {
        progress(Progress::Hashing);
        let fragments: String = request.all_fragments().into_iter().map(|(_, text)| text).collect();
        let (source, compiler) = (request.source.digest()?, compiler()?);
        let inputs =
            Inputs { source: &source, fragments: &fragments, compiler: &compiler, packer: PARAMETERS };
        let key = Key::of(&inputs);
        fs::create_dir_all(&request.cache).map_err(Error::file("make folder", &request.cache))?;
        let cache = fs::canonicalize(&request.cache).map_err(Error::file("find folder", &request.cache))?;
        Ok(Place { cache, key, source })
    }

    fn entry(&self) -> PathBuf {
        self.cache.join(self.key.as_str())
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.cache.join(format!("{}.{suffix}", self.key.as_str()))
    }

    fn finished(&self) -> Option<Built> {
        let entry = self.entry();
        let release = fs::read_to_string(entry.join("release")).ok()?.trim().to_string();
        let source = self.source.clone();
        Some(Built { bzimage: entry.join("bzImage"), config: entry.join("config"), release, source })
    }

    fn lock(&self, progress: &mut dyn FnMut(Progress)) -> Result<File, Error> {
        let path = self.path("lock");
        let file = File::create(&path).map_err(Error::file("create", &path))?;
        if file.try_lock().is_err() {
            progress(Progress::Waiting);
            file.lock().map_err(Error::file("lock", &path))?;
        }
        Ok(file)
    }

    fn configure(&self, request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let work = self.path("work");
        if !work.exists() {
            progress(Progress::Unpacking);
            let unpack = self.path("unpack");
            remove(&unpack)?;
            fs::create_dir(&unpack).map_err(Error::file("make folder", &unpack))?;
            let mut tar = Command::new("tar");
            tar.arg("--extract").arg("--strip-components=1").arg("--file").arg(request.source.path());
            self.run(tar.arg("--directory").arg(&unpack))?;
            fs::rename(&unpack, &work).map_err(Error::file("rename", &unpack))?;
        }
        progress(Progress::Configuring);
        let settings = fragment::merge(&request.all_fragments())?;
        let path = work.join(".config");
        self.make(&["tinyconfig"])?;
        let before = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        fs::write(&path, config::apply(&before, &settings)).map_err(Error::file("write", &path))?;
        self.make(&["olddefconfig"])?;
        let after = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        config::check(&settings, &after, &kconfig::Tree::load(&work)).map_err(Error::Config)
    }

    /// The kernel's makefile hands the program to a shell, and remembers its name: in the tree that is always the same plain one.
    fn copy_packer(&self, packer: &Path) -> Result<String, Error> {
        let copy = self.path("work").join(PACKER);
        fs::copy(packer, &copy).map_err(Error::file("copy", packer))?;
        Ok(format!("ZSTD=./{PACKER} {PACK}"))
    }

    /// A makefile that pipes into a program does not see it fail.
    fn check(&self) -> Result<(), Error> {
        let path = self.path("work").join(BZIMAGE);
        let mut kernel = File::open(&path).map_err(Error::file("open", &path))?;
        Payload::check(&mut kernel).map(drop).map_err(|source| Error::Payload { path, source })
    }

    fn store(&self, progress: &mut dyn FnMut(Progress)) -> Result<Built, Error> {
        progress(Progress::Storing);
        let (work, new) = (self.path("work"), self.path("new"));
        remove(&new)?;
        fs::create_dir(&new).map_err(Error::file("make folder", &new))?;
        let files = [
            (work.join(BZIMAGE), "bzImage"),
            (work.join(".config"), "config"),
            (work.join("include/config/kernel.release"), "release"),
        ];
        for (from, name) in files {
            let to = new.join(name);
            fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
            sync(&to)?;
        }
        let packer = new.join("packer");
        fs::write(&packer, format!("{PARAMETERS}\n")).map_err(Error::file("write", &packer))?;
        sync(&packer)?;
        sync(&new)?;
        fs::rename(&new, self.entry()).map_err(Error::file("rename", &new))?;
        sync(&self.cache)?;
        remove(&work)?;
        self.finished()
            .ok_or_else(|| Error::file("read release of", self.entry())(io::ErrorKind::InvalidData.into()))
    }

    /// A build takes every processor for minutes: it yields to whatever else runs.
    fn make(&self, arguments: &[&str]) -> Result<(), Error> {
        let mut make = Command::new("nice");
        make.args(["-n", "10", "make", "-C"])
            .arg(self.path("work"))
            .arg("--no-print-directory")
            .args(arguments);
        FOREIGN.iter().for_each(|name| {
            make.env_remove(name);
        });
        self.run(make.envs(REPRODUCIBLE))
    }

    fn run(&self, command: &mut Command) -> Result<(), Error> {
        let path = self.path("log");
        let log = File::create(&path).map_err(Error::file("create", &path))?;
        let errors = log.try_clone().map_err(Error::file("open", &path))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.stdin(Stdio::null()).stdout(log).stderr(errors).status();
        let status = status.map_err(|source| Error::Run { program, source })?;
        if status.success() {
            return Ok(());
        }
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let command = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let tail = tail(&path).map_err(Error::file("read", &path))?;
        Err(Error::Failed { command, status, tail })
    }
}

/// The first line of `gcc --version`.
fn compiler() -> Result<String, Error> {
    let output = Command::new("gcc").arg("--version").env("LC_ALL", "C").output();
    let output = output.map_err(|source| Error::Run { program: "gcc".into(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_string())
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::file("sync", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests;
