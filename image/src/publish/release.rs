//! What a build left: the root filesystem, held against the root hash that the report names, and the UKI.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::Path;

use coracle_layout::{OsVersion, RootHash};
use coracle_ops::build::Image;
use coracle_ops::{Hash, Identity};
use coracle_rollout::label::Label;
use coracle_verity::{BLOCK, SUPERBLOCK_LEN, Superblock};
use serde::Deserialize;

use super::Error;
use crate::release::RELEASE;

/// A release to be published.
pub(super) struct Release {
    pub product: Label,
    pub version: OsVersion,
    pub arch: Label,
    pub root_hash: RootHash,
    pub root: Image<File>,
    pub uki: Image<File>,
}

#[derive(Deserialize)]
struct Report {
    name: String,
    version: String,
    arch: String,
    root_hash: String,
    files: BTreeMap<String, String>,
}

pub(super) fn read(folder: &Path, scratch: &Path) -> Result<Release, Error> {
    let path = folder.join(RELEASE);
    let text = fs::read(&path).map_err(Error::file("read", &path))?;
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| Error::Report { path: path.clone(), source };
    let report: Report = serde_json::from_slice(&text).map_err(|error| bad(error.into()))?;
    let file = |purpose: &str| {
        let name = report.files.get(purpose).ok_or_else(|| bad(format!("it names no {purpose}").into()))?;
        Ok::<_, Error>(folder.join(name))
    };
    let want: RootHash = report.root_hash.parse().map_err(|error| bad(Box::new(error)))?;
    let root = root(&file("root")?, &file("verity")?, want, scratch)?;
    let path = file("uki")?;
    let uki = File::open(&path).map_err(Error::file("open", &path))?;
    let len = uki.metadata().map_err(Error::file("look at", &path))?.len();
    Ok(Release {
        product: report.name.parse().map_err(|error| bad(Box::new(error)))?,
        version: report.version.parse().map_err(|error| bad(Box::new(error)))?,
        arch: report.arch.parse().map_err(|error| bad(Box::new(error)))?,
        root_hash: want,
        root,
        uki: Image::hashed(uki, len).map_err(Error::ops("the UKI"))?,
    })
}

/// The root filesystem as far as its tree covers it; the tree is made once more, as a machine will.
fn root(path: &Path, verity: &Path, want: RootHash, scratch: &Path) -> Result<Image<File>, Error> {
    let mut superblock = [0; SUPERBLOCK_LEN];
    File::open(verity)
        .and_then(|mut file| file.read_exact(&mut superblock))
        .map_err(Error::file("read", verity))?;
    let superblock = Superblock::parse(&superblock)?;
    let file = File::open(path).map_err(Error::file("open", path))?;
    let tree = scratch.join("tree");
    let mut out = File::create(&tree).map_err(Error::file("create", &tree))?;
    let data = BufReader::with_capacity(1 << 20, &file);
    let got = RootHash::new(coracle_verity::build(data, &superblock, &mut out)?);
    if got != want {
        let (want, got) = (want.to_string(), got.to_string());
        return Err(Error::RootHash { path: path.to_owned(), want, got });
    }
    let len = superblock.data_blocks.get() * BLOCK as u64;
    Ok(Image { bytes: file, identity: Identity { len, hash: Hash::Verity(*got.as_bytes()) } })
}
