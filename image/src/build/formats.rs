//! The forms in which the disk is written, and the digests of everything that was.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use coracle_formats as formats;
use coracle_recipe::Recipe;
use coracle_recipe::recipe::Format;

use super::budget;
use crate::release::{self, Summary};
use crate::{Error, digest};

/// Purpose and suffix of the compressed disk.
const COMPRESSED: &str = "raw.zst";

/// The raw disk, and where its forms go.
pub struct Job<'a> {
    pub folder: &'a Path,
    pub recipe: &'a Recipe,
    pub raw: &'a Path,
    pub len: u64,
    pub identity: formats::Identity,
    /// What is inside the files and has a budget of its own: name, and the bytes.
    pub parts: [(&'static str, &'a [u8]); 2],
    /// The file name with this suffix.
    pub named: &'a (dyn Fn(&str) -> String + Sync),
}

/// What is written for a recipe: purpose and suffix.
pub fn purposes(recipe: &Recipe) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("root", "root"), ("uki", "efi"), ("verity", "verity")];
    for format in &recipe.image.formats {
        match format {
            Format::Raw => all.push(("raw", "raw")),
            Format::RawZst => all.push((COMPRESSED, COMPRESSED)),
            Format::Qcow2 => all.push(("qcow2", "qcow2")),
            Format::Vmdk => all.push(("vmdk", "vmdk")),
            Format::Vhd => all.push(("vhd", "vhd")),
            Format::Direct => {
                all.extend([("kernel", "vmlinuz"), ("initrd", "initrd"), ("cmdline", "cmdline")])
            }
        }
    }
    all
}

/// Writes every form beside the raw disk, each on a thread of its own, and lists all files; none may be over its budget.
///
/// The recipe's budget is the size of the compressed form. Where the recipe does not ask for that, a fast compression bounds it, and
/// only if the bound is over the budget the slow one is made to decide.
pub fn all(job: &Job<'_>) -> Result<Summary, Error> {
    let purposes = purposes(job.recipe);
    let compressed = (job.named)(COMPRESSED);
    let budget = job.recipe.image.budget.get();
    let kept = purposes.iter().any(|(purpose, _)| *purpose == COMPRESSED);
    let wanted = |suffix: &str| purposes.iter().any(|(purpose, _)| *purpose == suffix);
    let decides = !kept && bound(job)? > budget;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for format in formats::Format::ALL {
            let suffix = format.extension();
            if wanted(suffix) || suffix == COMPRESSED && decides {
                threads.push(scope.spawn(move || {
                    let path = job.folder.join((job.named)(suffix));
                    write(job, format, &path)?;
                    Ok::<_, Error>((suffix, digest::of_file(&path)?))
                }));
            }
        }
        let made = |suffix: &str| formats::Format::ALL.iter().any(|format| format.extension() == suffix);
        let mut files = Vec::new();
        for (_, suffix) in purposes.iter().filter(|(_, suffix)| !made(suffix)) {
            files.push((*suffix, digest::of_file(&job.folder.join((job.named)(suffix)))?));
        }
        for thread in threads {
            files.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        let mut summary = Summary::default();
        for (suffix, (bytes, sha256)) in files {
            let file = release::File { bytes, sha256, budget: budget::of(job.recipe, suffix) };
            summary.files.insert((job.named)(suffix), file);
        }
        for (name, bytes) in job.parts {
            let (len, sha256) = (bytes.len() as u64, digest::of(bytes));
            let part = release::File { bytes: len, sha256, budget: budget::of(job.recipe, name) };
            summary.parts.insert(name, part);
        }
        budget::hold(job.recipe, &summary)?;
        if !kept {
            summary.files.remove(&compressed);
        }
        Ok(summary)
    })
}

/// How long the compressed form is at most: slower levels of zstd find what the fastest finds, and more.
fn bound(job: &Job<'_>) -> Result<u64, Error> {
    let mut raw = File::open(job.raw).map_err(Error::file("open", job.raw))?;
    let mut encoder = zstd::Encoder::new(Count(0), 1).map_err(Error::file("compress", job.raw))?;
    io::copy(&mut raw, &mut encoder).map_err(Error::file("compress", job.raw))?;
    Ok(encoder.finish().map_err(Error::file("compress", job.raw))?.0)
}

/// Counts what is written to it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(job: &Job<'_>, format: formats::Format, path: &Path) -> Result<(), Error> {
    let mut input = File::open(job.raw).map_err(Error::file("open", job.raw))?;
    let mut out = File::create_new(path).map_err(Error::file("create", path))?;
    let written = format.write(&mut input, job.len, &mut out, &job.identity);
    written.map(drop).map_err(|source| Error::Format { format: format.extension(), source })
}
