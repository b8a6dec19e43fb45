//! What others make of two images. Each with the settings that suit it best.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::Result;
use crate::image::Pair;
use crate::ours::same;
use crate::process::{self, Cost};
use crate::server::Server;
use crate::sources;

type Apply = fn(&Pair, &Path) -> Result<(Option<u64>, Cost)>;

/// A way to get from one image to another.
pub struct Peer {
    pub name: &'static str,
    /// Makes what is published; returns the bytes of a download, zero if only the client can tell.
    pub make: fn(&Pair, &Path) -> Result<(u64, Cost)>,
    /// Applies it; returns the bytes that were fetched, if that was counted.
    pub apply: Option<Apply>,
}

/// All of them.
pub fn all() -> [Peer; 6] {
    [
        Peer { name: "bsdiff", make: make_bsdiff, apply: Some(apply_bsdiff) },
        Peer { name: "zstd-patch-from", make: make_zstd, apply: Some(apply_zstd) },
        Peer { name: "xdelta3", make: make_xdelta, apply: Some(apply_xdelta) },
        Peer { name: "casync", make: make_casync, apply: Some(apply_casync) },
        Peer { name: "bita", make: make_bita, apply: Some(apply_bita) },
        Peer { name: "block-hashes", make: make_hashes, apply: None },
    ]
}

/// Runs it with the two images and a file `patch` in the folder.
fn make(program: &str, words: &[&str], work: &Path) -> Result<(u64, Cost)> {
    let cost = process::run(program, words, work)?;
    Ok((fs::metadata(work.join("patch"))?.len(), cost))
}

/// Runs what makes the file `out`, which must be the new image.
fn apply(program: impl AsRef<Path>, words: &[&str], pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let cost = process::run(program, words, work)?;
    same(&work.join("out"), pair.new.path())?;
    fs::remove_file(work.join("out"))?;
    Ok((None, cost))
}

fn paths(pair: &Pair) -> [String; 2] {
    [&pair.old, &pair.new].map(|image| image.path().display().to_string())
}

fn make_bsdiff(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let [old, new] = paths(pair);
    make("bsdiff", &[&old, &new, "patch"], work)
}

fn apply_bsdiff(pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let [old, _] = paths(pair);
    apply("bspatch", &[&old, "out", "patch"], pair, work)
}

fn make_zstd(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let [old, new] = paths(pair);
    make("zstd", &["-q", "-19", "--long=28", "--patch-from", &old, &new, "-o", "patch"], work)
}

fn apply_zstd(pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let [old, _] = paths(pair);
    apply("zstd", &["-q", "-d", "--long=28", "--patch-from", &old, "patch", "-o", "out"], pair, work)
}

fn make_xdelta(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let [old, new] = paths(pair);
    make("xdelta3", &["-e", "-9", "-S", "lzma", "-B", "268435456", "-s", &old, &new, "patch"], work)
}

fn apply_xdelta(pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let [old, _] = paths(pair);
    apply("xdelta3", &["-d", "-B", "268435456", "-s", &old, "patch", "out"], pair, work)
}

/// Chunks of 16 KiB on average, the best that was found: smaller ones cost more in the index than they save.
fn make_casync(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let [old, new] = paths(pair);
    let words = |name: &str, image: &str| {
        let store = format!("--store={name}.castr");
        let index = format!("{name}.caibx");
        let words = ["make", "--chunk-size=16384", "--compression=zstd", &store, &index, image];
        words.map(str::to_owned)
    };
    let run = |name: &str, image: &str| {
        let words = words(name, image);
        process::run("casync", &words.each_ref().map(String::as_str), work)
    };
    run("old", &old)?;
    let cost = run("new", &new)?;
    let there: HashSet<PathBuf> =
        chunks(&work.join("old.castr"))?.into_iter().map(|(name, _)| name).collect();
    let new = chunks(&work.join("new.castr"))?;
    let lacking: u64 = new.iter().filter(|(name, _)| !there.contains(name)).map(|(_, bytes)| bytes).sum();
    Ok((lacking + fs::metadata(work.join("new.caibx"))?.len(), cost))
}

/// The chunks of a store by name, and their lengths.
fn chunks(store: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut all = Vec::new();
    for folder in fs::read_dir(store)? {
        for chunk in fs::read_dir(folder?.path())? {
            let chunk = chunk?;
            all.push((chunk.file_name().into(), chunk.metadata()?.len()));
        }
    }
    Ok(all)
}

fn apply_casync(pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let [old, _] = paths(pair);
    let seed = format!("--seed={old}");
    apply("casync", &["extract", "--store=new.castr", &seed, "new.caibx", "out"], pair, work)
}

/// The same chunks; and hashes as short as collisions by chance allow.
fn make_bita(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let [_, new] = paths(pair);
    let words = ["compress", "-i", &new, "--avg-chunk-size", "16KiB", "--min-chunk-size", "4KiB"];
    let words = [&words[..], &["--max-chunk-size", "1MiB", "--hash-length", "16", "new.cba"]].concat();
    Ok((0, process::run(bita()?, &words, work)?))
}

fn apply_bita(pair: &Pair, work: &Path) -> Result<(Option<u64>, Cost)> {
    let [old, _] = paths(pair);
    let server = Server::start(work.join("new.cba"))?;
    let (_, cost) = apply(bita()?, &["clone", "--seed", &old, &server.url(), "out"], pair, work)?;
    Ok((Some(server.sent()), cost))
}

/// The program, compiled once and kept.
fn bita() -> Result<PathBuf> {
    let folder = sources::cache().join("tools");
    let program = folder.join("bin/bita");
    if !program.exists() {
        eprintln!("bench: compiling bita");
        let mut install = Command::new("cargo");
        install
            .args(["install", "--quiet", "--locked", "bita", "--version", "0.15.0", "--root"])
            .arg(&folder);
        coracle_qemu_tests::image::output(&mut install)?;
    }
    Ok(program)
}

/// As RAUC's index: the hash of each block of 4 KiB; what the old image lacks is sent once, compressed as well as zstd can.
fn make_hashes(pair: &Pair, work: &Path) -> Result<(u64, Cost)> {
    let there: HashSet<[u8; 32]> = hashes(pair.old.path(), |_, _| Ok(()))?.into_iter().collect();
    let mut lacking = BufWriter::new(File::create(work.join("lacking"))?);
    let mut sent = HashSet::new();
    let index = hashes(pair.new.path(), |hash, block| {
        if !there.contains(&hash) && sent.insert(hash) {
            lacking.write_all(block)?;
        }
        Ok(())
    })?;
    lacking.flush()?;
    let (bytes, cost) = make("zstd", &["-q", "-19", "--long=27", "lacking", "-o", "patch"], work)?;
    Ok((bytes + 32 * index.len() as u64, cost))
}

fn hashes(path: &Path, mut each: impl FnMut([u8; 32], &[u8]) -> Result<()>) -> Result<Vec<[u8; 32]>> {
    let (mut reader, mut block, mut all) = (BufReader::new(File::open(path)?), [0; 4096], Vec::new());
    for _ in 0..fs::metadata(path)?.len() / 4096 {
        reader.read_exact(&mut block)?;
        let hash = Sha256::digest(block).into();
        each(hash, &block)?;
        all.push(hash);
    }
    Ok(all)
}
