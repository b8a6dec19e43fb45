//! Ops files, made and applied by processes of this program.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use coracle_ops::{Applier, Header, Prologue, ReadAt, build};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::image::{Image, Pair};
use crate::process::{self, Cost};
use crate::slot;

/// The first word of the command line of a process that does one thing.
pub const TASK: &str = "task";

/// Two ops files for one image.
#[derive(Debug, Clone)]
pub struct Made {
    pub delta: PathBuf,
    pub full: PathBuf,
}

/// Does what the words say.
pub fn task(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["full", new, hash, ops] => {
            let new = Image::from_words(new, hash)?.open()?;
            write(ops, |bodies| build::full(&new, bodies))
        }
        ["delta", old, old_hash, new, new_hash, ops] => {
            let (old, new) =
                (Image::from_words(old, old_hash)?.open()?, Image::from_words(new, new_hash)?.open()?);
            write(ops, |bodies| build::delta(&old, &new, bodies))
        }
        ["apply", ops, out] => apply_file(ops, out, &[][..]),
        ["apply", ops, out, source] => apply_file(ops, out, File::open(source)?),
        ["unpack", uki, form] => {
            coracle_bzimage::unpack(&mut reader(uki)?, &mut BufWriter::new(File::create(form)?))?;
            Ok(())
        }
        ["pack", form, uki] => {
            coracle_bzimage::pack(&mut reader(form)?, &mut BufWriter::new(File::create(uki)?))?;
            Ok(())
        }
        ["install", ops, folder, root, running] => {
            slot::install(Path::new(ops), Path::new(folder), root, running)
        }
        ["floor", source, target, times] => {
            slot::floor(Path::new(source), Path::new(target), Path::new(times))
        }
        _ => Err(format!("no task {words:?}").into()),
    }
}

fn reader(path: &str) -> Result<BufReader<File>> {
    Ok(BufReader::with_capacity(256 << 10, File::open(path)?))
}

/// What a machine does besides, where a delta leads from one unpacked form of a kernel image to another.
#[derive(Debug)]
pub struct Forms {
    pub pair: Pair,
    pub unpack: Cost,
    pub pack: Cost,
}

/// Unpacks both images, and packs the new one again.
pub fn forms(ukis: &Pair, scratch: &Path) -> Result<Forms> {
    let [old, new, again] = ["old.form", "new.form", "again"].map(|name| scratch.join(name));
    let words = |path: &Path| path.display().to_string();
    run(&["unpack", &words(ukis.new.path()), &words(&new)], scratch)?;
    let unpack = run(&["unpack", &words(ukis.old.path()), &words(&old)], scratch)?;
    let pack = run(&["pack", &words(&new), &words(&again)], scratch)?;
    same(&again, ukis.new.path())?;
    Ok(Forms { pair: Pair { old: Image::form(old), new: Image::form(new) }, unpack, pack })
}

/// Runs a task as a process that is measured.
pub fn run(words: &[&str], folder: &Path) -> Result<Cost> {
    process::run(std::env::current_exe()?, &[&[TASK], words].concat(), folder)
}

/// Makes the delta and the full file.
pub fn make(pair: &Pair, scratch: &Path) -> Result<(Made, [Cost; 2])> {
    let made = Made { delta: scratch.join("delta.ops"), full: scratch.join("full.ops") };
    let ([old, old_hash], [new, new_hash]) = (pair.old.words(), pair.new.words());
    let (delta, full) = (made.delta.display().to_string(), made.full.display().to_string());
    let costs = [
        run(&["delta", &old, &old_hash, &new, &new_hash, &delta], scratch)?,
        run(&["full", &new, &new_hash, &full], scratch)?,
    ];
    Ok((made, costs))
}

/// Applies both, and compares what comes out with what should.
pub fn apply(pair: &Pair, made: &Made, scratch: &Path) -> Result<[Cost; 2]> {
    let (out, old) = (scratch.join("out"), pair.old.path().display().to_string());
    let (delta, full) = (made.delta.display().to_string(), made.full.display().to_string());
    let out_word = out.display().to_string();
    let mut costs = Vec::new();
    for words in [&["apply", &delta, &out_word, &old][..], &["apply", &full, &out_word]] {
        costs.push(run(words, scratch)?);
        same(&out, pair.new.path())?;
        fs::remove_file(&out)?;
    }
    costs.try_into().map_err(|_| "two files".into())
}

/// Whether two files have the same bytes; anything else is an error.
pub fn same(a: &Path, b: &Path) -> Result<()> {
    let (mut a_file, mut b_file) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut rest = a_file.metadata()?.len();
    let mut equal = rest == b_file.metadata()?.len();
    while equal && rest > 0 {
        let count = rest.min(left.len() as u64) as usize;
        a_file.read_exact(&mut left[..count])?;
        b_file.read_exact(&mut right[..count])?;
        equal = left[..count] == right[..count];
        rest -= count as u64;
    }
    if equal { Ok(()) } else { Err(format!("{} and {} differ", a.display(), b.display()).into()) }
}

fn write(
    path: &str,
    make: impl FnOnce(&mut BufWriter<File>) -> std::result::Result<build::Made, coracle_ops::Error>,
) -> Result<()> {
    let spool = format!("{path}.bodies");
    let mut bodies = BufWriter::new(File::create(&spool)?);
    let made = make(&mut bodies)?;
    bodies.flush()?;
    let mut out = File::create(path)?;
    out.write_all(&made.head)?;
    std::io::copy(&mut File::open(&spool)?, &mut out)?;
    fs::remove_file(spool)?;
    Ok(())
}

/// The header of an ops file, taken for the trusted one.
pub fn header(file: &File) -> Result<Header> {
    let mut head = vec![0; Prologue::LEN];
    FileExt::read_exact_at(file, &mut head, 0)?;
    head.resize(Prologue::parse(&head)?.header_len(), 0);
    FileExt::read_exact_at(file, &mut head, 0)?;
    Ok(Header::parse(&head, &Sha256::digest(&head).into())?)
}

fn apply_file(ops: &str, out: &str, source: impl ReadAt) -> Result<()> {
    let file = File::open(ops)?;
    let header = header(&file)?;
    let out = File::options().read(true).write(true).create(true).truncate(true).open(out)?;
    let mut applier = Applier::new(&header, source);
    let mut body = Vec::new();
    for (index, op) in header.ops().iter().enumerate() {
        body.resize(op.body_len as usize, 0);
        FileExt::read_exact_at(&file, &mut body, op.body_at)?;
        let output = applier.apply(index, &body, &out)?;
        out.write_all_at(output.bytes, output.at)?;
    }
    Ok(())
}
