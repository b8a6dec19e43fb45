//! Embedded OCI images: loaded, checked against their pins and turned into trees.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use coracle_layers::{self as layers, Config, InodeId, Kind, Layout, Request};
use coracle_recipe::recipe::EmbeddedImage;
use coracle_tree::{Content, Meta, Mode, Tree};

use crate::Error;

/// Folders that are mounted over when a container starts; they must be there and be folders.
const MOUNT_POINTS: [&str; 3] = ["proc", "sys", "dev"];
/// Files that a container's start puts its own over; a read-only root must have them.
const NAMES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// An image that goes into the root.
#[derive(Debug)]
pub struct Embedded {
    /// How the recipe names its layout.
    pub source: PathBuf,
    /// How pods name it.
    pub reference: String,
    /// Digest of its manifest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its files; contents lie in the spool.
    pub tree: Tree,
    /// How to run it.
    pub config: Config,
}

impl Embedded {
    /// The name of its folder in the root: the first 16 hexadecimal digits of the digest.
    pub fn folder(&self) -> &str {
        self.digest.strip_prefix("sha256:").and_then(|hex| hex.get(..16)).unwrap_or(&self.digest)
    }
}

/// Loads one image. `path` is where the layout is, `spool` a new file for its contents.
pub fn load(image: &EmbeddedImage, path: &Path, spool: &Path) -> Result<Embedded, Error> {
    let source = image.path.as_path().to_owned();
    let failed = |error| Error::Image { image: source.clone(), source: Box::new(error) };
    let layout = Layout::open(path).map_err(failed)?;
    let loaded = match choose(&layout, image.name.as_deref(), spool)? {
        Ok(loaded) => loaded,
        Err(error) => return Err(failed(error)),
    };
    if let Some(pin) = image.digest {
        let want = format!("sha256:{pin}");
        if loaded.manifest_digest != want {
            return Err(Error::ImageDigest { image: source, want, got: loaded.manifest_digest });
        }
    }
    let reference = match image.name.clone().or(loaded.reference) {
        Some(reference) => reference,
        None => return Err(Error::ImageUnnamed { image: source }),
    };
    let mut tree = tree_of(&loaded.rootfs, spool)?;
    for name in MOUNT_POINTS {
        mount_point(&mut tree, name).map_err(|place| Error::MountPoint { image: source.clone(), place })?;
    }
    names(&mut tree)?;
    Ok(Embedded { source, reference, digest: loaded.manifest_digest, tree, config: loaded.config })
}

/// A layout with one image needs no reference; in one with several the recipe's name chooses.
fn choose(
    layout: &Layout,
    name: Option<&str>,
    spool: &Path,
) -> Result<Result<layers::Image, layers::Error>, Error> {
    let load = |reference: Option<&str>| {
        let request = Request { reference: reference.map(str::to_owned), ..Request::default() };
        let mut file = File::create(spool).map_err(Error::file("create", spool))?;
        Ok(layers::load(layout, &request, &mut file))
    };
    match load(None)? {
        Err(layers::Error::Ambiguous { .. }) if name.is_some() => load(name),
        other => Ok(other),
    }
}

fn tree_of(rootfs: &layers::RootFs, spool: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
    let mut seen: HashMap<InodeId, Vec<u8>> = HashMap::new();
    for (path, entry) in rootfs.iter() {
        let path = path.to_bytes();
        let meta = Meta {
            mode: Mode::new(entry.mode.into())?,
            uid: entry.uid,
            gid: entry.gid,
            xattrs: entry.xattrs.iter().cloned().collect(),
        };
        match &entry.kind {
            Kind::Directory => {
                tree.dir(&path, meta)?;
                continue;
            }
            _ if seen.contains_key(&entry.inode) => {
                tree.link(&path, &seen[&entry.inode])?;
                continue;
            }
            Kind::Regular { content } => {
                let content = Content::File { path: spool.into(), offset: content.offset, len: content.len };
                tree.file(&path, meta, content)?;
            }
            Kind::Symlink { target } => {
                tree.symlink(&path, meta, target)?;
            }
        }
        seen.insert(entry.inode, path);
    }
    Ok(tree)
}

/// Makes sure that a mount point is a folder. A link there would have the mount land elsewhere.
fn mount_point(tree: &mut Tree, name: &'static str) -> Result<(), &'static str> {
    match tree.get(name).map(|(_, node)| node.kind().clone()) {
        Some(coracle_tree::Kind::Directory(_)) => Ok(()),
        Some(_) => Err(name),
        None => tree.dir(name, Meta::root(Mode::EXECUTABLE)).map(drop).map_err(|_| name),
    }
}

/// Adds the files that are missing. Where `/etc` or one of them is something else, that is the image's own business.
fn names(tree: &mut Tree) -> Result<(), Error> {
    use coracle_tree::Kind;
    if tree.get("etc").is_none() {
        tree.dir("etc", Meta::root(Mode::EXECUTABLE))?;
    }
    if matches!(tree.get("etc").map(|(_, node)| node.kind()), Some(Kind::Directory(_))) {
        for name in NAMES.into_iter().filter(|name| tree.get(name).is_none()).collect::<Vec<_>>() {
            tree.file(name, Meta::root(Mode::READABLE), Content::from(Vec::new()))?;
        }
    }
    Ok(())
}

/// Puts a whole tree below a folder of another one that exists.
pub fn graft(root: &mut Tree, folder: &str, image: &Tree) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for entry in image.walk() {
        let mut path = folder.as_bytes().to_vec();
        if !entry.path.is_empty() {
            path.push(b'/');
            path.extend_from_slice(&entry.path);
        }
        let meta = entry.node.meta().clone();
        use coracle_tree::Kind;
        match entry.node.kind() {
            Kind::Directory(_) => {
                root.dir(&path, meta)?;
                continue;
            }
            _ if seen.contains_key(&entry.ino) => {
                let first: &Vec<u8> = &seen[&entry.ino];
                root.link(&path, first)?;
                continue;
            }
            Kind::Regular(content) => root.file(&path, meta, content.clone())?,
            Kind::Symlink(target) => root.symlink(&path, meta, target.as_bytes())?,
            Kind::CharDevice(device) => root.char_device(&path, meta, *device)?,
            Kind::BlockDevice(device) => root.block_device(&path, meta, *device)?,
            Kind::Fifo => root.fifo(&path, meta)?,
        };
        seen.insert(entry.ino, path);
    }
    Ok(())
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
