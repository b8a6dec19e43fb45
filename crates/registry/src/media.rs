//! What documents and blobs are: media types of the OCI image specification and of Docker's registry, which mean the same.

use std::fmt;

/// What is behind a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list of manifests for platforms.
    Index,
    /// An image: its config and layers.
    Manifest,
    /// How an image is run.
    Config,
    /// A layer as it is.
    Tar,
    /// A layer, gzip.
    Gzip,
    /// A layer, zstd.
    Zstd,
}

/// A media type that is known here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MediaType {
    name: &'static str,
    /// What it means.
    pub kind: Kind,
}

/// Every one of them. Layers that may not be distributed are not among them, nor is schema 1.
const KNOWN: &[MediaType] = &[
    known("application/vnd.oci.image.index.v1+json", Kind::Index),
    known("application/vnd.oci.image.manifest.v1+json", Kind::Manifest),
    known("application/vnd.oci.image.config.v1+json", Kind::Config),
    known("application/vnd.oci.image.layer.v1.tar", Kind::Tar),
    known("application/vnd.oci.image.layer.v1.tar+gzip", Kind::Gzip),
    known("application/vnd.oci.image.layer.v1.tar+zstd", Kind::Zstd),
    known("application/vnd.docker.distribution.manifest.list.v2+json", Kind::Index),
    known("application/vnd.docker.distribution.manifest.v2+json", Kind::Manifest),
    known("application/vnd.docker.container.image.v1+json", Kind::Config),
    known("application/vnd.docker.image.rootfs.diff.tar", Kind::Tar),
    known("application/vnd.docker.image.rootfs.diff.tar.gzip", Kind::Gzip),
    known("application/vnd.docker.image.rootfs.diff.tar.zstd", Kind::Zstd),
];

/// What the documents of schema 1 are called.
const SCHEMA_1: &[&str] = &[
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// What a request for a document takes: every index and manifest of the table.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const fn known(name: &'static str, kind: Kind) -> MediaType {
    MediaType { name, kind }
}

impl MediaType {
    /// The type of that name.
    pub fn new(name: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.name == name).copied()
    }

    /// What it is called.
    pub fn as_str(&self) -> &'static str {
        self.name
    }

    /// What a `Content-Type` says, without its parameters.
    pub(crate) fn essence(header: &str) -> &str {
        header.split(';').next().unwrap_or_default().trim()
    }
}

/// Whether a document is of the kind that nobody should use any more.
pub(crate) fn is_schema_1(name: &str) -> bool {
    SCHEMA_1.contains(&name)
}

impl Kind {
    /// Whether it is a layer.
    pub fn is_layer(self) -> bool {
        matches!(self, Self::Tar | Self::Gzip | Self::Zstd)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_every_index_and_manifest() {
        let documents = KNOWN.iter().filter(|known| matches!(known.kind, Kind::Index | Kind::Manifest));
        let names: Vec<_> = documents.map(|known| known.name).collect();
        assert_eq!(ACCEPT.split(", ").collect::<Vec<_>>(), names);
    }

    #[test]
    fn names() {
        for known in KNOWN {
            assert_eq!(MediaType::new(known.name), Some(*known));
            assert_eq!(MediaType::essence(&format!("{known} ; charset=utf-8")), known.name);
            assert!(!is_schema_1(known.name));
        }
        for name in ["", "application/json", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"] {
            assert_eq!(MediaType::new(name), None);
        }
        assert!(SCHEMA_1.iter().all(|name| MediaType::new(name).is_none() && is_schema_1(name)));
    }
}
