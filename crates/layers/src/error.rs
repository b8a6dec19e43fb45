//! Why an image was refused.

use std::io;
use std::path::PathBuf;

/// A refused or unreadable image, or a failed pack.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file outside the image (layout, spool, packed file) could not be used.
    #[error("{operation} {path:?}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The layout is neither a folder nor a readable tar archive of one.
    #[error("read layout archive {path:?}: {reason}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// The layout lacks a file.
    #[error("open {name} in layout: no such regular file")]
    Missing {
        /// The name inside the layout.
        name: String,
    },
    /// A JSON document is larger than the limit.
    #[error("read {name}: {size} bytes, limit {limit}")]
    DocumentTooLarge {
        /// The document.
        name: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A JSON document does not have the shape its media type asks for.
    #[error("parse {name}")]
    Parse {
        /// The document.
        name: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A JSON document is well formed but says something unsupported.
    #[error("check {name}: {reason}")]
    Document {
        /// The document.
        name: String,
        /// What it says.
        reason: &'static str,
    },
    /// A descriptor uses a digest other than sha256.
    #[error("check digest {digest}: only sha256 is accepted")]
    DigestAlgorithm {
        /// The digest as written.
        digest: String,
    },
    /// A blob's length is not what its descriptor says.
    #[error("check size of blob {digest}: want {want}, got {got}")]
    Size {
        /// The descriptor's digest.
        digest: String,
        /// The descriptor's size.
        want: u64,
        /// The blob's size.
        got: u64,
    },
    /// A blob's bytes do not hash to its digest.
    #[error("check digest of blob {want}: got {got}")]
    Digest {
        /// The descriptor's digest.
        want: String,
        /// The digest of the bytes.
        got: String,
    },
    /// No manifest fits linux/amd64 (and the reference, if one was asked for).
    #[error("choose manifest for linux/amd64: none fits")]
    NoManifest,
    /// `index.json` holds several images and no reference says which.
    #[error("choose manifest for linux/amd64: {count} images fit, name one by reference")]
    Ambiguous {
        /// How many fit.
        count: usize,
    },
    /// A layer is refused as a whole.
    #[error("read layer {layer}: {reason}")]
    Layer {
        /// The layer's digest.
        layer: String,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// A layer is refused because of one of its entries.
    #[error("read layer {layer} entry {entry:?}: {reason}")]
    Entry {
        /// The layer's digest.
        layer: String,
        /// The entry's name, lossily decoded.
        entry: String,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// A file handed to `pack` cannot go into an image.
    #[error("pack {path:?}: {reason}")]
    Pack {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What is wrong with a layer or with one of its entries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The stream broke: bad compression, bad checksum, or an early end.
    #[error("damaged stream: {0}")]
    Stream(io::Error),
    /// The spool could not be written.
    #[error("write spool: {0}")]
    Spool(io::Error),
    /// Media type other than tar, tar+gzip, tar+zstd.
    #[error("media type {0} is not supported")]
    MediaType(String),
    /// Bytes of the tar stream do not hash to the config's diff ID.
    #[error("diff ID mismatch: want {want}, got {got}")]
    DiffId {
        /// The config's diff ID.
        want: String,
        /// The digest of the stream.
        got: String,
    },
    /// Something other than zeros after the end of the archive.
    #[error("trailing garbage after the archive")]
    TrailingGarbage,
    /// A limit was exceeded.
    #[error("limit exceeded: {0}")]
    Limit(&'static str),
    /// The path starts at the root of the host.
    #[error("absolute path")]
    AbsolutePath,
    /// The path climbs.
    #[error("`..` in path")]
    DotDot,
    /// A name is longer than 255 bytes.
    #[error("name longer than 255 bytes")]
    NameTooLong,
    /// A path or target is longer than 4095 bytes.
    #[error("path longer than 4095 bytes")]
    PathTooLong,
    /// A NUL byte in a name, target or attribute name.
    #[error("NUL in name")]
    Nul,
    /// Empty where a name or target is needed.
    #[error("empty name")]
    Empty,
    /// A path below something that is not a directory.
    #[error("parent is not a directory but a {0}")]
    Parent(&'static str),
    /// The root of the image is not a directory.
    #[error("root must be a directory")]
    Root,
    /// A name reserved for whiteouts, used as something else.
    #[error("reserved whiteout name")]
    Reserved,
    /// A hard link to nothing in the merged tree.
    #[error("hard link target {0:?} is missing")]
    LinkMissing(String),
    /// A hard link to a directory.
    #[error("hard link target {0:?} is a directory")]
    LinkDirectory(String),
    /// A device node or fifo under [`SpecialFiles::Refuse`](crate::SpecialFiles::Refuse).
    #[error("{0} refused by policy")]
    Special(&'static str),
    /// A tar record of a kind no image needs.
    #[error("tar record type {0:#04x} is not supported")]
    RecordType(u8),
    /// A number in a header is malformed or out of range.
    #[error("bad {0} in header")]
    Number(&'static str),
    /// A PAX header is malformed.
    #[error("malformed PAX header: {0}")]
    Pax(&'static str),
    /// PAX `size` and the header disagree, so two readers would see two archives.
    #[error("PAX size {pax} contradicts header size {header}")]
    PaxSize {
        /// The size in the PAX record.
        pax: u64,
        /// The size in the header.
        header: u64,
    },
    /// Two extension headers describe one entry in contradictory ways.
    #[error("two extension headers for one entry")]
    TwoExtensions,
    /// Extension headers with no entry behind them.
    #[error("extension header without an entry")]
    DanglingExtension,
    /// One name twice in a layout archive.
    #[error("member appears twice")]
    Repeated,
    /// A regular file whose name ends as a directory's does: readers disagree on what it is.
    #[error("regular file with a name ending in `/`")]
    FileNamedAsDirectory,
    /// A record that carries data but must not.
    #[error("unexpected data")]
    Data,
    /// An extended attribute that would steer overlayfs, or of an unknown namespace.
    #[error("extended attribute {0:?} is not allowed")]
    Xattr(String),
}
