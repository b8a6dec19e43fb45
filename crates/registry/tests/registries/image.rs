//! Images as registries have them.

use std::collections::BTreeMap;

use coracle_registry::{Descriptor, Digest, MediaType, Reference};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use crate::listener::response;
use crate::server::Asked;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::Sha256(Sha256::digest(bytes).into())
}

pub fn sha512(bytes: &[u8]) -> Digest {
    Digest::Sha512(Sha512::digest(bytes).into())
}

pub fn entry(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(bytes).to_string(), "size": bytes.len() })
}

pub fn layer(bytes: &[u8]) -> Descriptor {
    let media_type = MediaType::new(GZIP).unwrap();
    Descriptor { media_type, digest: sha256(bytes), size: bytes.len() as u64 }
}

/// Bytes that are nowhere the same.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The repository `app`.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    pub documents: BTreeMap<String, (String, Vec<u8>)>,
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Shelf {
    /// With an image of these layers, whose tag is `v1`.
    pub fn with(layers: &[Vec<u8>]) -> Self {
        let mut shelf = Self::default();
        let manifest = shelf.image(layers);
        shelf.tag("v1", MANIFEST, &manifest);
        shelf
    }

    /// Another image; gives its manifest, which has no tag.
    pub fn image(&mut self, layers: &[Vec<u8>]) -> Vec<u8> {
        let config = br#"{"architecture":"amd64","os":"linux"}"#.to_vec();
        let entries: Vec<_> = layers.iter().map(|layer| entry(GZIP, layer)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(CONFIG, &config), "layers": entries,
        });
        for blob in layers.iter().chain([&config]) {
            self.blob(blob);
        }
        self.document(MANIFEST, &manifest)
    }

    /// A document under its digests; gives its bytes.
    pub fn document(&mut self, media_type: &str, document: &Value) -> Vec<u8> {
        let bytes = serde_json::to_vec(document).unwrap();
        for digest in [sha256(&bytes), sha512(&bytes)] {
            self.documents.insert(digest.to_string(), (media_type.to_owned(), bytes.clone()));
        }
        bytes
    }

    pub fn tag(&mut self, tag: &str, media_type: &str, bytes: &[u8]) {
        self.documents.insert(tag.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }

    pub fn blob(&mut self, bytes: &[u8]) {
        self.blobs.insert(sha256(bytes).to_string(), bytes.to_vec());
    }

    /// What a good registry says.
    pub fn answer(&self, asked: &Asked) -> Vec<u8> {
        let path = asked.path.strip_prefix("/v2/app/").unwrap_or_default();
        if let Some((media_type, bytes)) =
            path.strip_prefix("manifests/").and_then(|name| self.documents.get(name))
        {
            assert!(asked.header("accept").is_some_and(|types| types.contains(media_type.as_str())));
            return response("200 OK", &format!("content-type: {media_type}; charset=utf-8\r\n"), bytes);
        }
        match path.strip_prefix("blobs/").and_then(|name| self.blobs.get(name)) {
            Some(bytes) => ranged(asked, bytes),
            None => response("404 Not Found", "", b"{}"),
        }
    }
}

/// All of it, or the range that is asked for.
pub fn ranged(asked: &Asked, bytes: &[u8]) -> Vec<u8> {
    match asked.header("range") {
        None => response("200 OK", "", bytes),
        Some(range) => {
            let from: usize =
                range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
            let (last, length) = (bytes.len() - 1, bytes.len());
            let header = format!("content-range: bytes {from}-{last}/{length}\r\n");
            response("206 Partial Content", &header, &bytes[from..])
        }
    }
}

/// The image with this tag.
pub fn tagged(host: &str, tag: &str) -> Reference {
    format!("{host}/app:{tag}").parse().unwrap()
}

/// The image with this digest.
pub fn pinned(host: &str, digest: Digest) -> Reference {
    format!("{host}/app@{digest}").parse().unwrap()
}
