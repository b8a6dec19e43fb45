//! Unpacks a kernel image, or packs one again: `bzimage unpack UKI FORM`, `bzimage pack FORM UKI`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, from, to] = &words[..] else { return Err("unpack UKI FORM, or pack FORM UKI".into()) };
    let (mut from, mut to) = (BufReader::new(File::open(from)?), BufWriter::new(File::create(to)?));
    let header = match what.as_str() {
        "unpack" => coracle_bzimage::unpack(&mut from, &mut to)?,
        "pack" => coracle_bzimage::pack(&mut from, &mut to)?,
        _ => return Err(format!("{what} is neither unpack nor pack").into()),
    };
    to.flush()?;
    println!("{:?}", header.payload);
    Ok(())
}
