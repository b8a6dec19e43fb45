//! Bounds on everything an image can make us read, store or remember.

/// What a load may cost at most. Exceeding any field is an error that names it, never a truncation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one JSON document: `oci-layout`, an index, a manifest, a config.
    pub json_bytes: u64,
    /// Manifests and indexes looked at on the way from `index.json` to the chosen manifest.
    pub documents: usize,
    /// Layers of one image.
    pub layers: usize,
    /// Bytes of one layer blob as stored.
    pub layer_compressed: u64,
    /// Bytes of one layer's tar stream.
    pub layer_decompressed: u64,
    /// Bytes of file content of all layers together: the most the spool can grow.
    pub content_bytes: u64,
    /// Tar records of all layers together, whiteouts included.
    pub entries: u64,
    /// Bytes of names, link targets and extended attributes of all layers together: the bound on memory.
    pub metadata_bytes: u64,
    /// Components of one path.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 4 << 20,
            documents: 64,
            layers: 128,
            layer_compressed: 4 << 30,
            layer_decompressed: 16 << 30,
            content_bytes: 32 << 30,
            entries: 1 << 20,
            metadata_bytes: 256 << 20,
            depth: 128,
        }
    }
}

/// What to do with device nodes and fifos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpecialFiles {
    /// The image is refused.
    #[default]
    Refuse,
    /// The entry is left out and counted; what a lower layer had at that path is hidden all the same.
    Omit,
}

/// Longest file name, as in `NAME_MAX` of Linux.
pub const NAME_MAX: usize = 255;
/// Longest path or link target: `PATH_MAX` of Linux without its final NUL.
pub const PATH_MAX: usize = 4095;
/// Longest value of an extended attribute, as in `XATTR_SIZE_MAX` of Linux.
pub const XATTR_VALUE_MAX: usize = 65536;
/// Most extended attributes on one entry.
pub const XATTR_COUNT_MAX: usize = 128;
/// Longest PAX header block: room for one attribute of full size beside ordinary ones.
pub(crate) const PAX_MAX: u64 = 256 << 10;
