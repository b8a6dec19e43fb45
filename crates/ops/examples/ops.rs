//! Makes and applies ops files, to try them on real images.
//!
//! ```text
//! ops full TARGET OPS
//! ops delta SOURCE TARGET OPS
//! ops apply OPS OUT [SOURCE]
//! ops list OPS
//! ops show OPS
//! ```
//!
//! `apply` takes the file's own header for the trusted one, and reads a body at a time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use coracle_ops::build::{Image, Made, delta, full};
use coracle_ops::{Applier, Header, Prologue, ReadAt};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["full", target, ops] => make(ops, |bodies| full(&image(target)?, bodies)),
        ["delta", source, target, ops] => make(ops, |bodies| delta(&image(source)?, &image(target)?, bodies)),
        ["apply", ops, out] => apply(ops, out, &[][..]),
        ["apply", ops, out, source] => apply(ops, out, File::open(source)?),
        ["list", ops] => list(&mut File::open(ops)?),
        ["show", ops] => show(&header(&mut File::open(ops)?)?),
        _ => {
            Err("full TARGET OPS | delta SOURCE TARGET OPS | apply OPS OUT [SOURCE] | list OPS | show OPS"
                .into())
        }
    }
}

fn image(path: &str) -> Result<Image<File>, coracle_ops::Error> {
    let file = File::open(path).map_err(coracle_ops::Error::Write)?;
    let len = file.metadata().map_err(coracle_ops::Error::Write)?.len();
    Image::hashed(file, len)
}

/// Bodies first, as the head is known last; then both in one file.
fn make(
    path: &str,
    make: impl FnOnce(&mut BufWriter<File>) -> Result<Made, coracle_ops::Error>,
) -> Result<(), Box<dyn Error>> {
    let spool = format!("{path}.bodies");
    let mut bodies = BufWriter::new(File::create(&spool)?);
    let made = make(&mut bodies)?;
    bodies.flush()?;
    let mut out = File::create(path)?;
    out.write_all(&made.head)?;
    io::copy(&mut File::open(&spool)?, &mut out)?;
    fs::remove_file(spool)?;
    list(&mut File::open(path)?)
}

fn header(file: &mut File) -> Result<Header, Box<dyn Error>> {
    let mut head = vec![0; Prologue::LEN];
    file.read_exact(&mut head)?;
    head.resize(Prologue::parse(&head)?.header_len(), 0);
    file.rewind()?;
    file.read_exact(&mut head)?;
    let digest = Sha256::digest(&head).into();
    Ok(Header::parse(&head, &digest)?)
}

fn apply(ops: &str, out: &str, source: impl ReadAt) -> Result<(), Box<dyn Error>> {
    let mut file = File::open(ops)?;
    let header = header(&mut file)?;
    let out = File::options().read(true).write(true).create(true).truncate(true).open(out)?;
    let mut applier = Applier::new(&header, source);
    let mut body = Vec::new();
    for (index, op) in header.ops().iter().enumerate() {
        body.resize(op.body_len as usize, 0);
        file.read_exact(&mut body)?;
        let output = applier.apply(index, &body, &out)?;
        out.write_all_at(output.bytes, output.at)?;
    }
    Ok(())
}

/// What a file is made of: for each kind of operation how many, and bytes of outputs and bodies.
fn list(file: &mut File) -> Result<(), Box<dyn Error>> {
    let header = header(file)?;
    let mut kinds: BTreeMap<String, (u64, u64, u64, usize)> = BTreeMap::new();
    for op in header.ops() {
        let sums = kinds.entry(format!("{:?}", op.kind)).or_default();
        sums.0 += 1;
        sums.1 += u64::from(op.len);
        sums.2 += u64::from(op.body_len);
        sums.3 += header.extents(op).len();
    }
    let head = header.ops().first().map_or(0, |op| op.body_at);
    println!("file {} B, header {head} B, target {} B", header.file_len(), header.target().len);
    for (kind, (count, outputs, bodies, extents)) in kinds {
        println!("{kind:8} {count:6} operations {outputs:12} B out {bodies:12} B bodies {extents:6} extents");
    }
    Ok(())
}

/// Every operation on a line of its own.
fn show(header: &Header) -> Result<(), Box<dyn Error>> {
    for op in header.ops() {
        let extents: Vec<_> =
            header.extents(op).iter().map(|extent| format!("{}+{}", extent.block, extent.blocks)).collect();
        println!("{:?} {}+{} body {} from {}", op.kind, op.at / 4096, op.len, op.body_len, extents.join(" "));
    }
    Ok(())
}
