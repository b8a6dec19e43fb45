//! Releases of the recipe `images/updated`, and the repository that machines get them from.
//!
//! A repository's keys, its port and the images made for it are kept under `build/test/releases/NAME`, with a number behind it for
//! those beside the first, because an image has the first root, the server's certificate and its address in it. What it offers
//! begins anew with each [`Repository`].

mod changes;
mod server;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Error;
use crate::image::{Image, builder, failed, files, kernel_of, key, output, repository, static_programs};
pub use changes::Changes;
use server::Server;

/// The packages whose programs are in such an image, and the programs.
const PACKAGES: [&str; 4] = ["coracle-init", "coracle-netd", "coracle-updater", "coracle-payload"];
const PROGRAMS: [&str; 3] = ["init", "netd", "updater"];
/// The channel that the machines follow.
const CHANNEL: &str = "stable";
/// What the recipe says where the harness says something else.
const VERSION: &str = "version = \"1.0.0\"";
const ADDRESS: &str = "https://10.0.2.2:8443/";

/// A repository with its keys, served by TLS on the loopback interface: see [`Config::reach_host`](crate::Config::reach_host).
#[derive(Debug)]
pub struct Repository {
    /// Keys, certificate and port: kept.
    kept: PathBuf,
    /// The images of these programs.
    images: PathBuf,
    /// What is served, and what the server says: gone with it.
    folder: TempDir,
    server: Option<Server>,
    programs: PathBuf,
    builder: PathBuf,
    port: u16,
    _alone: File,
}

impl Repository {
    /// The repository of this name, which offers nothing yet; while another case has that, one beside it.
    ///
    /// # Errors
    /// Those of compiling, of `coracle keys init`, `openssl` and `coracle serve`.
    pub fn new(name: &str) -> Result<Self, Error> {
        let (kept, alone) = claim(&repository().join("build/test/releases"), name)?;
        let (programs, builder) = (static_programs(&PACKAGES)?, builder()?);
        prepare(&kept, &builder)?;
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("coracle-releases-").tempdir_in(&temporary);
        let folder = folder.map_err(failed("create a folder in", &temporary))?;
        copy(&kept.join("repo"), &folder.path().join("repo"))?;
        let (server, port) = Server::start(&builder, &kept, folder.path())?;
        let mut inputs = PROGRAMS.map(|program| programs.join(program)).to_vec();
        inputs.extend([programs.join("coracle-payload"), builder.clone(), kernel_of("virtio")?]);
        inputs.extend([kept.join("server.pem"), kept.join("port"), kept.join("repo/metadata/1.root.json")]);
        let images = kept.join("images").join(key(&inputs)?);
        forget_others(&images)?;
        Ok(Self { kept, images, folder, server: Some(server), programs, builder, port, _alone: alone })
    }

    /// Where machines find it.
    pub fn address(&self) -> String {
        format!("https://10.0.2.2:{}/", self.port)
    }

    /// The image of a version, built if there is none of these bytes yet. Nobody is offered it.
    ///
    /// # Errors
    /// Those of the build, and of files.
    ///
    /// # Panics
    /// When a change is not of something that the recipe says.
    pub fn release(&self, version: &str, changes: &Changes) -> Result<Image, Error> {
        let folder = tempfile::tempdir().map_err(failed("create a folder in", &std::env::temp_dir()))?;
        let (work, programs) = (folder.path().join("recipe"), folder.path().join("programs"));
        self.write_recipe(version, changes, &work)?;
        make(&programs)?;
        for name in PROGRAMS {
            let changed = changes.programs.iter().rev().find(|(of, _)| of == name);
            let program = changed.map_or_else(|| self.programs.join(name), |(_, path)| path.clone());
            put(&program, &programs.join(name))?;
        }
        let inputs = [files(&work)?, files(&programs)?, changes.kernel.iter().cloned().collect()].concat();
        let out = self.images.join(format!("{version}-{}", key(&inputs)?));
        if !out.join("release.json").exists() {
            // What is there was not made to the end.
            remove(&out)?;
            let mut pack = Command::new(&self.builder);
            pack.arg("pack").arg(self.programs.join("coracle-payload")).args(["--name", "payload:1"]);
            output(pack.arg("--out").arg(work.join("payload")))?;
            let packages = ["init=coracle-init", "netd=coracle-netd", "updater=coracle-updater"];
            let components = output(Command::new(&self.builder).arg("components").args(packages))?;
            let path = programs.join("components.json");
            fs::write(&path, components).map_err(failed("write", &path))?;
            let mut build = Command::new(&self.builder);
            build.arg("build").arg(work.join("coracle.toml")).arg("--update-lock");
            if let Some(cache) = changes.kernel.as_deref().and_then(|path| path.ancestors().nth(2)) {
                build.arg("--kernel-cache").arg(cache);
            }
            output(build.arg("--out").arg(&out).arg("--programs").arg(&programs))?;
        }
        Image::open(&out)
    }

    /// Offers an image to every machine at once.
    ///
    /// # Errors
    /// Those of `coracle publish`.
    pub fn publish(&self, image: &Image) -> Result<(), Error> {
        self.publish_with(image, &["--at-once"])
    }

    /// The same with these options of `coracle publish`, and none besides.
    ///
    /// # Errors
    /// Those of `coracle publish`.
    pub fn publish_with(&self, image: &Image, options: &[&str]) -> Result<(), Error> {
        let folder = image.folder().to_string_lossy();
        let words: Vec<_> =
            ["publish", &folder, "--channel", CHANNEL].into_iter().chain(options.iter().copied()).collect();
        self.run(&words).map(drop)
    }

    /// Runs a command of `coracle` that takes `--repo` and `--keys`, as `withdraw`; returns what it prints.
    ///
    /// # Errors
    /// Those of the command.
    pub fn run(&self, words: &[&str]) -> Result<String, Error> {
        run(&self.builder, &self.kept, &self.folder(), words)
    }

    /// The folder that is served.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// What the server was asked since it started: a line a request, `PEER "GET /PATH HTTP/1.1" STATUS BYTES`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn requests(&self) -> Result<Vec<String>, Error> {
        let path = self.folder.path().join(server::LOG);
        let log = fs::read_to_string(&path).map_err(failed("read", &path))?;
        Ok(log.lines().skip(1).map(str::to_owned).collect())
    }

    /// Stops the server: nobody listens at the address.
    pub fn silence(&mut self) {
        self.server = None;
    }

    /// Starts it again.
    ///
    /// # Errors
    /// Those of `coracle serve`.
    pub fn speak(&mut self) -> Result<(), Error> {
        self.silence();
        self.server = Some(Server::at(&self.builder, &self.kept, self.folder.path(), self.port)?);
        Ok(())
    }

    fn write_recipe(&self, version: &str, changes: &Changes, work: &Path) -> Result<(), Error> {
        let recipe = repository().join("qemu-tests/images/updated");
        let read = |name: &str| {
            let path = recipe.join(name);
            fs::read_to_string(&path).map_err(failed("read", &path))
        };
        let mut text = read("coracle.toml")?;
        let own =
            [(VERSION.to_owned(), format!("version = \"{version}\"")), (ADDRESS.to_owned(), self.address())];
        for (from, to) in own.iter().chain(&changes.recipe) {
            assert!(text.contains(from), "the recipe has no {from}:\n{text}");
            text = text.replacen(from, to, 1);
        }
        let pod = changes.pod.clone().map_or_else(|| read("pod.yaml"), Ok)?;
        make(work)?;
        for (name, text) in [("coracle.toml", text), ("pod.yaml", pod)] {
            let path = work.join(name);
            fs::write(&path, text).map_err(failed("write", &path))?;
        }
        put(&self.kept.join("repo/metadata/1.root.json"), &work.join("root.json"))?;
        put(&self.kept.join("server.pem"), &work.join("server.pem"))
    }
}

/// The folder of this name, or one with a number behind it, that nobody else holds.
fn claim(folder: &Path, name: &str) -> Result<(PathBuf, File), Error> {
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let mut number = 1;
    loop {
        let kept = folder.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        let path = kept.with_extension("lock");
        let file = File::create(&path).map_err(failed("create", &path))?;
        match file.try_lock() {
            Ok(()) => return Ok((kept, file)),
            Err(TryLockError::WouldBlock) => number += 1,
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
    }
}

/// Makes keys, an empty repository and the server's certificate where there are none.
fn prepare(kept: &Path, builder: &Path) -> Result<(), Error> {
    if kept.join("server.pem").exists() {
        return Ok(());
    }
    remove(kept)?;
    make(kept)?;
    let passphrase = kept.join("passphrase");
    fs::write(&passphrase, "not secret\n").map_err(failed("write", &passphrase))?;
    run(builder, kept, &kept.join("repo"), &["keys", "init"])?;
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=repository \
                 -addext subjectAltName=IP:10.0.2.2,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let mut openssl = Command::new("openssl");
    openssl.args(words.split_whitespace()).arg("-keyout").arg(kept.join("server.key"));
    // Last, so that all is there when it is.
    output(openssl.arg("-out").arg(kept.join("server.pem"))).map(drop)
}

fn run(builder: &Path, kept: &Path, repo: &Path, words: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(builder);
    command.args(words).arg("--repo").arg(repo).arg("--keys").arg(kept.join("keys"));
    output(command.arg("--passphrase-file").arg(kept.join("passphrase")))
}

/// Images of other programs are not asked for again.
fn forget_others(images: &Path) -> Result<(), Error> {
    let parent = images.parent().unwrap_or(images);
    if !images.exists() {
        remove(parent)?;
    }
    make(images)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    output(Command::new("cp").arg("-r").arg("--").arg(from).arg(to)).map(drop)
}

fn put(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(failed("copy", from))
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(failed("make", folder))
}

fn remove(folder: &Path) -> Result<(), Error> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).map_err(failed("remove", folder)),
        false => Ok(()),
    }
}
