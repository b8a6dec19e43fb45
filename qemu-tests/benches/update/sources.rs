//! Where the images come from: built, found in a cache, or made of packages once and kept.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_qemu_tests::image::{Image as Built, output, repository};
use coracle_uki::{Sections, Stub, Uki, assemble};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::Result;
use crate::image::{Image, Pair, make_root};

/// The stub that the builder takes.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// Where what takes minutes to make is kept, outside the clone.
pub fn cache() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_else(std::env::temp_dir);
    home.join(".cache/coracle/bench-update")
}

/// The sources of images, and a folder on the same disk for what is made of them.
pub struct Sources {
    scratch: TempDir,
}

/// Debian on two dates.
pub struct Trees {
    pub roots: Pair,
    pub kernels: Pair,
}

/// What changes, and what does not, when the kernel is built again.
pub struct Kernels {
    pub root: Pair,
    pub ukis: Pair,
}

/// The same UKI with another kernel in it.
fn with_kernel(uki: &[u8], linux: &[u8]) -> Result<Vec<u8>> {
    let uki = Uki::parse(uki)?;
    let section = |name: &str| uki.section(name).ok_or_else(|| format!("the UKI has no {name}"));
    let sections = Sections {
        osrel: section(".osrel")?,
        cmdline: section(".cmdline")?,
        uname: section(".uname")?,
        sbat: Some(section(".sbat")?),
        linux,
        initrd: uki.section(".initrd"),
    };
    Ok(assemble(&Stub::parse(&fs::read(STUB)?)?, &sections)?)
}

impl Sources {
    pub fn open() -> Result<Self> {
        fs::create_dir_all(cache())?;
        Ok(Self { scratch: tempfile::Builder::new().prefix("work-").tempdir_in(cache())? })
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Root and UKI of the example, and of the same with one program changed: `patched.sh`.
    pub fn patch(&self) -> Result<Vec<Pair>> {
        eprintln!("bench: building the example, and another one with a change in init");
        let old = Built::example("hello")?;
        let bench = repository().join("build/bench");
        let new = bench.join("patched-image");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        let mut patched = Command::new(repository().join("qemu-tests/benches/update/patched.sh"));
        patched.arg(bench.join("patched")).arg(repository().join("target/patched")).arg(&new);
        output(&mut patched)?;
        let new = Built::open(&new)?;
        let root =
            |image: &Built| Ok::<_, Box<dyn Error>>(Image::root(image.file("root")?, image.root_hash()?));
        let uki = |image: &Built| Ok::<_, Box<dyn Error>>(Image::plain(image.file("uki")?));
        Ok(vec![Pair { old: root(&old)?, new: root(&new)? }, Pair { old: uki(&old)?, new: uki(&new)? }])
    }

    /// Two kernels of the cache whose configurations differ by few lines: as when a fragment was changed, or the sources.
    ///
    /// Compiling one takes longer than all the rest, so this is only for who has changed a kernel's configuration before.
    ///
    /// Gives the example's root, which is the same with either, and its UKI with one and the other.
    pub fn kernels(&self) -> Result<Kernels> {
        let folder = cache().with_file_name("kernel");
        let mut kernels = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            // One that was packed by another compressor has no way back from its unpacked form.
            let ours = fs::read_to_string(path.join("packer"))
                .is_ok_and(|number| number.trim() == coracle_bzimage::PARAMETERS.to_string());
            if ours && let Ok(config) = fs::read_to_string(path.join("config")) {
                kernels.push((path.join("bzImage"), config));
            }
        }
        kernels.sort();
        let mut nearest = None;
        for (at, (old, a)) in kernels.iter().enumerate() {
            for (new, b) in &kernels[at + 1..] {
                let lines = difference(a, b);
                if lines <= NEAR && nearest.as_ref().is_none_or(|(least, _, _)| lines < *least) {
                    nearest = Some((lines, old, new));
                }
            }
        }
        let (lines, old, new) =
            nearest.ok_or("the kernel cache has no two kernels of nearly the same configuration")?;
        eprintln!("bench: two kernels whose configurations differ by {lines} lines");
        let example = Built::example("hello")?;
        let root = Image::root(example.file("root")?, example.root_hash()?);
        let file = fs::read(example.file("uki")?)?;
        let [old, new] = [(old, "old.uki"), (new, "new.uki")].map(|(kernel, name)| {
            let path = self.scratch().join(name);
            fs::write(&path, with_kernel(&file, &fs::read(kernel)?)?)?;
            Ok::<_, Box<dyn Error>>(Image::plain(path))
        });
        Ok(Kernels { root: Pair { old: root.clone(), new: root }, ukis: Pair { old: old?, new: new? } })
    }

    /// Roots and kernels of two dates, made once: a minute, some 150 MB from the mirror.
    pub fn trees(&self) -> Result<Trees> {
        let script = repository().join("qemu-tests/benches/update/trees.sh");
        let key: String =
            Sha256::digest(fs::read(&script)?)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = cache().join(format!("trees-{key}"));
        if !kept.exists() {
            let work = kept.with_extension("work");
            if work.exists() {
                fs::remove_dir_all(&work)?;
            }
            fs::create_dir_all(&work)?;
            eprintln!("bench: making roots of packages in {}", kept.display());
            output(Command::new(&script).arg(&work))?;
            fs::rename(&work, &kept)?;
        }
        // Made anew each time: it takes seconds, and what makes them may have changed.
        let root = |name: &str| make_root(&kept.join(name), &self.scratch().join(format!("{name}.root")));
        let kernel = |name: &str| Image::plain(kept.join(format!("{name}.kernel")));
        let trees = Trees {
            roots: Pair { old: root("old")?, new: root("new")? },
            kernels: Pair { old: kernel("old"), new: kernel("new") },
        };
        File::open(self.scratch())?.sync_all()?;
        Ok(trees)
    }
}

/// Most lines by which two configurations may differ.
const NEAR: usize = 12;

/// Lines that only one of them has.
fn difference(a: &str, b: &str) -> usize {
    let only = |a: &str, b: &str| {
        let there: std::collections::HashSet<&str> = b.lines().collect();
        a.lines().filter(|line| !there.contains(line)).count()
    };
    only(a, b) + only(b, a)
}
