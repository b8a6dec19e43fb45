//! How much an image may cost.

/// The bounds of one pull. Memory is bounded by `parallel` alone: layers pass through it in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest index, manifest or config, in bytes.
    pub document: u64,
    /// The longest layer, in bytes.
    pub layer: u64,
    /// The most layers of one image.
    pub layers: usize,
    /// The most blobs that are on their way at once.
    pub parallel: usize,
}

impl Default for Limits {
    /// What `coracle-layers` takes.
    fn default() -> Self {
        Self { document: 4 << 20, layer: 4 << 30, layers: 128, parallel: 3 }
    }
}
