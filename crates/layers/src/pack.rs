//! Plain files to an OCI image layout, the same bytes for the same input.
//!
//! One gzip layer; every entry belongs to 0:0, has time 0 and mode 0755 (directories, executables) or 0644.
//! Symbolic links are kept as they are. JSON is written from structs with a fixed field order.
//!
//! Order of writing, each step synced with its folder before the next:
//! 1. blobs: power lost here means a folder without `oci-layout`, which no reader takes for a layout
//! 2. `index.json`: the same
//! 3. `oci-layout`: the layout is whole

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use oci_spec::image::MediaType;
use serde::Serialize;

use crate::digest;
use crate::documents::{
    ConfigFile, DescriptorFile, DiffIds, Index, Manifest, Nothing, PlatformFile, RuntimeConfig,
};
use crate::error::Error;
use crate::image::Config;
use crate::path::TreePath;

/// What goes into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// One executable, usually a static binary.
    Binary {
        /// The file on this machine.
        source: PathBuf,
        /// Its place in the image, without leading slash.
        target: String,
    },
    /// A folder that becomes the root of the image.
    Folder(PathBuf),
}

/// An image to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRequest {
    /// Its files.
    pub files: Files,
    /// Its config.
    pub config: Config,
    /// Its name in `index.json`.
    pub reference: Option<String>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Digest of the manifest.
    pub manifest_digest: String,
}

/// Writes a layout into `out`, which must be absent or empty.
///
/// # Errors
/// Unreadable sources, special files, an `out` in use.
pub fn pack(request: &PackRequest, out: &Path) -> Result<Packed, Error> {
    let blobs = out.join("blobs/sha256");
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Pack { path: out.to_owned(), reason: "output folder is not empty" });
    }
    fs::create_dir_all(&blobs).map_err(|source| failed("create", &blobs, source))?;
    let entries = match &request.files {
        Files::Binary { source, target } => binary(source, target)?,
        Files::Folder(folder) => walk(folder)?,
    };
    let (layer, diff_id) = layer(&entries, out, &blobs)?;
    let Config { entrypoint, cmd, env, working_dir, user, stop_signal, exposed_ports, labels } =
        &request.config;
    let config = ConfigFile {
        architecture: "amd64",
        os: "linux",
        config: RuntimeConfig {
            user,
            exposed_ports: exposed_ports.iter().map(|port| (port.as_str(), Nothing {})).collect(),
            env,
            entrypoint,
            cmd,
            working_dir,
            labels,
            stop_signal: stop_signal.as_deref(),
        },
        rootfs: DiffIds { kind: "layers", diff_ids: [&diff_id] },
    };
    let config = write_blob(&blobs, MediaType::ImageConfig, &config)?;
    let media_type = MediaType::ImageManifest.to_string();
    let manifest = Manifest { schema_version: 2, media_type, config, layers: [layer] };
    let mut descriptor: DescriptorFile<'_> = write_blob(&blobs, MediaType::ImageManifest, &manifest)?;
    let manifest_digest = descriptor.digest.clone();
    descriptor.platform = Some(PlatformFile { architecture: "amd64", os: "linux" });
    let reference = request.reference.iter();
    descriptor.annotations =
        reference.map(|name| ("org.opencontainers.image.ref.name", name.as_str())).collect();
    let media_type = MediaType::ImageIndex.to_string();
    let index = Index { schema_version: 2, media_type, manifests: [descriptor] };
    sync_folder(&blobs)?;
    sync_folder(&out.join("blobs"))?;
    write_file(&out.join("index.json"), &json(&index, out)?)?;
    sync_folder(out)?;
    write_file(&out.join("oci-layout"), b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
    sync_folder(out)?;
    Ok(Packed { manifest_digest })
}

/// Name in the image to the file to put there, sorted, parents first. `None` is a directory made up.
type Sources = BTreeMap<TreePath, Option<PathBuf>>;

fn binary(source: &Path, target: &str) -> Result<Sources, Error> {
    let refused = |reason| Error::Pack { path: source.to_owned(), reason };
    let path = TreePath::parse(target.as_bytes(), 128)
        .map_err(|_| refused("target is not a path inside the image"))?;
    if path.is_root() || !fs::metadata(source).map_err(|e| failed("read", source, e))?.is_file() {
        return Err(refused("binary must be a regular file with a name in the image"));
    }
    let real = fs::canonicalize(source).map_err(|e| failed("resolve", source, e))?;
    let mut entries = Sources::from([(path.clone(), Some(real))]);
    let mut at = path.parent();
    while let Some(parent) = at.filter(|parent| !parent.is_root()) {
        at = parent.parent();
        entries.insert(parent, None);
    }
    Ok(entries)
}

fn walk(folder: &Path) -> Result<Sources, Error> {
    let mut entries = Sources::new();
    let mut queue = vec![(folder.to_owned(), TreePath::default())];
    while let Some((dir, at)) = queue.pop() {
        let refused = |reason| Error::Pack { path: dir.clone(), reason };
        for entry in fs::read_dir(&dir).map_err(|e| failed("list", &dir, e))? {
            let entry = entry.map_err(|e| failed("list", &dir, e))?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".wh.") {
                return Err(refused("holds a name reserved for whiteouts"));
            }
            let path = at.clone().join(name.as_bytes());
            if path.len() > crate::PATH_MAX || path.components().count() > 128 {
                return Err(refused("path too long or too deep"));
            }
            if entry.file_type().map_err(|e| failed("inspect", &entry.path(), e))?.is_dir() {
                queue.push((entry.path(), path.clone()));
            }
            entries.insert(path, Some(entry.path()));
        }
    }
    Ok(entries)
}

/// Writes the layer blob: its descriptor and diff ID.
fn layer(entries: &Sources, out: &Path, blobs: &Path) -> Result<(DescriptorFile<'static>, String), Error> {
    let partial = out.join("layer.partial");
    let file = File::create_new(&partial).map_err(|e| failed("create", &partial, e))?;
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::best());
    let mut builder = tar::Builder::new(Hashing::new(gzip));
    for (path, source) in entries {
        append(&mut builder, path, source.as_deref())?;
    }
    let finish = |e| failed("write", &partial, e);
    let (gzip, diff_id) = builder.into_inner().map_err(finish)?.finish();
    gzip.finish().and_then(|file| file.sync_all()).map_err(finish)?;
    let reopened = File::open(&partial).map_err(finish)?;
    let (digest, size) = digest::of_stream(reopened, u64::MAX).map_err(finish)?;
    let hex = digest.trim_start_matches("sha256:");
    fs::rename(&partial, blobs.join(hex)).map_err(finish)?;
    Ok((DescriptorFile::new(MediaType::ImageLayerGzip, digest, size), diff_id))
}

fn append<W: Write>(
    builder: &mut tar::Builder<W>,
    path: &TreePath,
    source: Option<&Path>,
) -> Result<(), Error> {
    let bytes = path.to_bytes();
    let name = Path::new(std::ffi::OsStr::from_bytes(&bytes));
    let mut header = tar::Header::new_gnu();
    let mut set = |kind, mode| {
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
    };
    let Some(source) = source else {
        set(tar::EntryType::Directory, 0o755);
        return builder
            .append_data(&mut header, name, io::empty())
            .map_err(|e| failed("pack folder", name, e));
    };
    let io_failed = |e| failed("pack", source, e);
    let meta = fs::symlink_metadata(source).map_err(io_failed)?;
    if meta.is_dir() {
        set(tar::EntryType::Directory, 0o755);
        builder.append_data(&mut header, name, io::empty()).map_err(io_failed)
    } else if meta.is_symlink() {
        set(tar::EntryType::Symlink, 0o777);
        let target = fs::read_link(source).map_err(io_failed)?;
        builder.append_link(&mut header, name, target).map_err(io_failed)
    } else if meta.is_file() {
        let executable = meta.permissions().mode() & 0o111 != 0;
        set(tar::EntryType::Regular, if executable { 0o755 } else { 0o644 });
        header.set_size(meta.len());
        let mut file = Exact { inner: File::open(source).map_err(io_failed)?, left: meta.len() };
        builder.append_data(&mut header, name, &mut file).map_err(io_failed)
    } else {
        Err(Error::Pack { path: source.to_owned(), reason: "neither file, folder nor symbolic link" })
    }
}

/// A file that must be as long as it was when its header was made.
struct Exact {
    inner: File,
    left: u64,
}

impl io::Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if (count == 0 && !buffer.is_empty() && self.left > 0) || count as u64 > self.left {
            return Err(io::Error::other("file changed while it was packed"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// A writer that hashes what passes.
struct Hashing<W> {
    inner: W,
    hash: sha2::Sha256,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: sha2::Digest::new() }
    }

    fn finish(self) -> (W, String) {
        (self.inner, digest::show(self.hash))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        sha2::Digest::update(&mut self.hash, bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { operation, path: path.to_owned(), source }
}

fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::Parse { name: path.display().to_string(), source })
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(|e| failed("create", path, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| failed("write", path, e))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| failed("sync", path, e))
}

fn write_blob(
    blobs: &Path,
    media_type: MediaType,
    value: &impl Serialize,
) -> Result<DescriptorFile<'static>, Error> {
    let bytes = json(value, blobs)?;
    let digest = digest::of(&bytes);
    write_file(&blobs.join(digest.trim_start_matches("sha256:")), &bytes)?;
    Ok(DescriptorFile::new(media_type, digest, bytes.len() as u64))
}
