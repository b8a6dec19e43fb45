//! Images to be turned into one another.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coracle_erofs as erofs;
use coracle_layout::{RootHash, VERITY_SALT};
use coracle_ops::build;
use coracle_ops::{Hash, Identity};
use coracle_tree::{Content, Meta, Mode, Tree};
use coracle_verity::{BLOCK, DataBlocks, Salt, Superblock};

use crate::Result;

/// A file that is an image.
#[derive(Debug, Clone)]
pub struct Image {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    Root(RootHash),
    /// The unpacked form of a kernel image.
    Form,
}

/// The image that is there, and the one that is to be.
#[derive(Debug, Clone)]
pub struct Pair {
    pub old: Image,
    pub new: Image,
}

impl Image {
    /// An image known by the hash of its bytes.
    pub fn plain(path: PathBuf) -> Self {
        Self { path, kind: Kind::Plain }
    }

    /// The unpacked form of a kernel image.
    pub fn form(path: PathBuf) -> Self {
        Self { path, kind: Kind::Form }
    }

    /// A root with its hash.
    pub fn root(path: PathBuf, hash: RootHash) -> Self {
        Self { path, kind: Kind::Root(hash) }
    }

    /// A root with these words of [`Image::words`].
    pub fn from_words(path: &str, hash: &str) -> Result<Self> {
        let kind = match hash {
            "-" => Kind::Plain,
            "form" => Kind::Form,
            _ => Kind::Root(hash.parse().map_err(|_| format!("{hash} is no root hash"))?),
        };
        Ok(Self { path: path.into(), kind })
    }

    /// How it is handed to another process: its path, and its root hash or what it is.
    pub fn words(&self) -> [String; 2] {
        let kind = match self.kind {
            Kind::Plain => "-".to_owned(),
            Kind::Form => "form".to_owned(),
            Kind::Root(root) => root.to_string(),
        };
        [self.path.display().to_string(), kind]
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn root_hash(&self) -> Result<RootHash> {
        if let Kind::Root(root) = self.kind { Ok(root) } else { Err("not a root".into()) }
    }

    /// As the builder of ops files takes it.
    pub fn open(&self) -> Result<build::Image<File>> {
        let bytes = File::open(&self.path)?;
        let len = bytes.metadata()?.len();
        Ok(match self.kind {
            Kind::Root(root) => {
                build::Image { bytes, identity: Identity { len, hash: Hash::Verity(*root.as_bytes()) } }
            }
            Kind::Plain => build::Image::hashed(bytes, len)?,
            Kind::Form => build::Image::unpacked(bytes, len)?,
        })
    }
}

/// Makes a root of a folder, as the image builder does: our own EROFS, everything root's, one time. Its hash tree lies beside it.
pub fn make_root(folder: &Path, out: &Path) -> Result<Image> {
    let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
    add(&mut tree, folder, folder)?;
    let options =
        erofs::Options { uuid: [7; 16], build_time: 1_700_000_000, volume_label: erofs::Label::new("root")? };
    let mut file = File::create(out)?;
    let layout = erofs::write(&tree, &options, &mut file)?;
    let superblock = Superblock {
        uuid: [8; 16],
        data_blocks: DataBlocks::new(u64::from(layout.blocks))?,
        salt: Salt::new(&VERITY_SALT)?,
    };
    let mut area = std::io::BufWriter::new(File::create(out.with_extension("verity"))?);
    let data = std::io::BufReader::with_capacity(256 * BLOCK, File::open(out)?);
    let hash = RootHash::new(coracle_verity::build(data, &superblock, &mut area)?);
    fs::write(out.with_extension("hash"), hash.to_string())?;
    Ok(Image::root(out.to_owned(), hash))
}

fn add(tree: &mut Tree, top: &Path, folder: &Path) -> Result<()> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        let (about, at) = (path.symlink_metadata()?, path.strip_prefix(top)?.as_os_str().as_bytes().to_vec());
        let meta = Meta::root(Mode::new(about.permissions().mode() & 0o7777)?);
        let kind = about.file_type();
        if kind.is_dir() {
            tree.dir(&at, meta)?;
            add(tree, top, &path)?;
        } else if kind.is_symlink() {
            tree.symlink(&at, Meta::root(Mode::OPEN), fs::read_link(&path)?.as_os_str().as_bytes())?;
        } else if kind.is_file() {
            tree.file(&at, meta, Content::File { path, offset: 0, len: about.len() })?;
        } else {
            return Err(format!("{} is neither file, folder nor link", path.display()).into());
        }
    }
    Ok(())
}
