//! What a registry says that an image is: indexes and manifests, read once their digest has held.

use std::cmp::Reverse;

use serde::Deserialize;

use crate::digest::Digest;
use crate::limits::Limits;
use crate::media::{Kind, MediaType, is_schema_1};
use crate::platform::{Offered, Platform};

/// What stands for bytes that are somewhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// What they are.
    pub media_type: MediaType,
    /// What they are called.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

/// An index or a manifest, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which of them.
    pub media_type: MediaType,
    /// What its bytes are called.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// How it is run.
    pub config: Descriptor,
    /// The lowest first. One may be there more than once.
    pub layers: Vec<Descriptor>,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadDocument {
    /// Not JSON of this form.
    #[error("read the document")]
    Json(#[from] serde_json::Error),
    /// The form that Docker has left behind: what is in it cannot be verified.
    #[error("it is a manifest of schema 1, which is no longer used: the image has to be pushed anew")]
    Schema1,
    /// Another version.
    #[error("its schemaVersion is {0}, not 2")]
    Version(u64),
    /// It says of itself that it is something else.
    #[error("it says that it is {0:?}")]
    OtherType(String),
    /// Something that no image has in this place.
    #[error("its {part} is {media_type:?}")]
    Part {
        /// Where.
        part: &'static str,
        /// What is there.
        media_type: String,
    },
    /// More layers, or longer ones, than anybody wants.
    #[error("its {part} is above the limit of {limit}")]
    Limit {
        /// What is.
        part: &'static str,
        /// What may be.
        limit: u64,
    },
    /// One digest with two sizes.
    #[error("it has two sizes for {0}")]
    Sizes(Digest),
}

/// A descriptor as it stands there. What else it says is not looked at: annotations, other places of the blob, the blob itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Offered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: u64,
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct IndexBody {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct ManifestBody {
    config: Entry,
    layers: Vec<Entry>,
}

impl Entry {
    /// Unless it is of a type or digest that is not known here.
    fn descriptor(&self) -> Option<Descriptor> {
        let (media_type, digest) = (MediaType::new(&self.media_type)?, self.digest.parse().ok()?);
        Some(Descriptor { media_type, digest, size: self.size })
    }
}

impl Document {
    /// What of an index this machine runs, the best first. What is unknown here is not for it.
    pub fn candidates(&self, platform: Platform) -> Result<Vec<Descriptor>, BadDocument> {
        self.head()?;
        let IndexBody { manifests } = serde_json::from_slice(&self.bytes)?;
        let fitting = manifests.iter().filter_map(|entry| {
            let fit = platform.fit(entry.platform.as_ref())?;
            let descriptor = entry.descriptor()?;
            matches!(descriptor.media_type.kind, Kind::Index | Kind::Manifest).then_some((fit, descriptor))
        });
        let mut fitting: Vec<_> = fitting.collect();
        // Of equals, the first.
        fitting.sort_by_key(|(fit, _)| Reverse(*fit));
        Ok(fitting.into_iter().map(|(_, descriptor)| descriptor).collect())
    }

    /// What a manifest says.
    pub fn manifest(&self, limits: &Limits) -> Result<Manifest, BadDocument> {
        self.head()?;
        let ManifestBody { config, layers } = serde_json::from_slice(&self.bytes)?;
        if layers.len() > limits.layers {
            return Err(BadDocument::Limit { part: "number of layers", limit: limits.layers as u64 });
        }
        let config = part("config", &config, limits.document, |kind| kind == Kind::Config)?;
        let layers = layers.iter().map(|layer| part("layer", layer, limits.layer, Kind::is_layer));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let manifest = Manifest { config, layers };
        for (at, blob) in manifest.parts().enumerate() {
            if manifest
                .parts()
                .skip(at + 1)
                .any(|other| other.digest == blob.digest && other.size != blob.size)
            {
                return Err(BadDocument::Sizes(blob.digest));
            }
        }
        Ok(manifest)
    }

    fn head(&self) -> Result<(), BadDocument> {
        let Head { schema_version, media_type } = serde_json::from_slice(&self.bytes)?;
        match (schema_version, media_type) {
            (1, _) => Err(BadDocument::Schema1),
            (_, Some(name)) if is_schema_1(&name) => Err(BadDocument::Schema1),
            (2, Some(name)) if name != self.media_type.as_str() => Err(BadDocument::OtherType(name)),
            (2, _) => Ok(()),
            (other, _) => Err(BadDocument::Version(other)),
        }
    }
}

impl Manifest {
    /// Config and layers.
    fn parts(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// Config and layers, each of them once.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut blobs: Vec<Descriptor> = Vec::new();
        for blob in self.parts() {
            if !blobs.iter().any(|other| other.digest == blob.digest) {
                blobs.push(*blob);
            }
        }
        blobs
    }
}

fn part(
    part: &'static str,
    entry: &Entry,
    limit: u64,
    is_good: impl Fn(Kind) -> bool,
) -> Result<Descriptor, BadDocument> {
    let descriptor = entry.descriptor().filter(|descriptor| is_good(descriptor.media_type.kind));
    let descriptor =
        descriptor.ok_or_else(|| BadDocument::Part { part, media_type: brief(&entry.media_type) })?;
    if descriptor.size > limit {
        return Err(BadDocument::Limit { part, limit });
    }
    Ok(descriptor)
}

/// What others say is shown, but not at any length.
pub(crate) fn brief(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const OCI: &str = "application/vnd.oci.image.";
    const DOCKER: &str = "application/vnd.docker.";

    fn document(media_type: &str, value: &Value) -> Document {
        let bytes = serde_json::to_vec(value).unwrap();
        let media_type = MediaType::new(media_type).unwrap();
        Document { media_type, digest: Digest::sha256(&bytes), bytes }
    }

    fn entry(media_type: &str, digest: u8, size: u64) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::Sha256([digest; 32]).to_string(), "size": size })
    }

    fn manifest(config: Value, layers: &[Value]) -> Document {
        let value =
            json!({ "schemaVersion": 2, "config": config, "layers": layers, "annotations": { "a": "b" } });
        document(&format!("{OCI}manifest.v1+json"), &value)
    }

    fn config() -> Value {
        entry(&format!("{OCI}config.v1+json"), 0, 7)
    }

    fn layer(digest: u8, size: u64) -> Value {
        entry(&format!("{OCI}layer.v1.tar+gzip"), digest, size)
    }

    #[test]
    fn both_families() {
        let [oci, docker] = [
            ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip", OCI),
            ("distribution.manifest.v2+json", "container.image.v1+json", "image.rootfs.diff.tar.gzip", DOCKER),
        ]
        .map(|(manifest, config, layer, family)| {
            let name = format!("{family}{manifest}");
            let layers = [1, 2, 1].map(|digest| entry(&format!("{family}{layer}"), digest, 9));
            let value = json!({
                "schemaVersion": 2, "mediaType": name, "config": entry(&format!("{family}{config}"), 0, 7), "layers": layers,
            });
            document(&name, &value).manifest(&Limits::default()).unwrap()
        });
        for manifest in [oci, docker] {
            let digests: Vec<_> = manifest.layers.iter().map(|layer| layer.digest).collect();
            assert_eq!(digests, [1, 2, 1].map(|digest| Digest::Sha256([digest; 32])));
            assert!(
                manifest.layers.iter().all(|layer| layer.media_type.kind == Kind::Gzip && layer.size == 9)
            );
            assert_eq!(manifest.blobs().len(), 3);
        }
    }

    #[test]
    fn what_is_no_image() {
        let limits = Limits { layers: 2, layer: 100, ..Limits::default() };
        let refused = |document: Document| format!("{:?}", document.manifest(&limits).unwrap_err());
        let with = |value: Value| document(&format!("{OCI}manifest.v1+json"), &value);
        for (document, want) in [
            (with(json!({ "schemaVersion": 1, "fsLayers": [] })), "Schema1"),
            (
                with(json!({
                    "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v1+json",
                })),
                "Schema1",
            ),
            (with(json!({ "schemaVersion": 3 })), "Version(3)"),
            (with(json!({ "schemaVersion": 2, "mediaType": "a/b" })), "OtherType(\"a/b\")"),
            (with(json!({ "schemaVersion": 2 })), "Json"),
            (with(json!([])), "Json"),
            (manifest(layer(0, 1), &[]), "part: \"config\""),
            (manifest(config(), &[config()]), "part: \"layer\""),
            (manifest(config(), &[entry("a/b", 1, 1)]), "media_type: \"a/b\""),
            (manifest(config(), &[layer(1, 1), layer(2, 1), layer(3, 1)]), "number of layers"),
            (manifest(config(), &[layer(1, 101)]), "limit: 100"),
            (manifest(config(), &[layer(1, 1), layer(1, 2)]), "Sizes"),
            (manifest(config(), &[layer(0, 1)]), "Sizes"),
            (manifest(entry(&format!("{OCI}config.v1+json"), 0, 5 << 20), &[]), "limit: 4194304"),
        ] {
            let refused = refused(document);
            assert!(refused.contains(want), "{want}: {refused}");
        }
    }

    #[test]
    fn the_best_of_an_index() {
        let offer = |digest: u8, kind: &str, platform: Option<&str>| {
            let mut entry = entry(&format!("{OCI}{kind}.v1+json"), digest, 5);
            if let Some((os, rest)) = platform.and_then(|text| text.split_once('/')) {
                let (architecture, variant) = rest.split_once('/').unwrap_or((rest, ""));
                entry["platform"] = json!({ "os": os, "architecture": architecture, "variant": variant });
            }
            entry
        };
        let mut unknown = offer(9, "manifest", Some("linux/amd64"));
        unknown["digest"] = json!("sha384:00");
        let entries = [
            offer(1, "manifest", None),
            offer(2, "manifest", Some("linux/arm64")),
            offer(3, "manifest", Some("linux/amd64")),
            offer(4, "index", Some("linux/amd64/v2")),
            offer(5, "config", Some("linux/amd64")),
            offer(6, "manifest", Some("linux/amd64/v3")),
            offer(7, "manifest", Some("linux/amd64/v1")),
            offer(8, "new", Some("linux/amd64")),
            unknown,
        ];
        let index =
            document(&format!("{OCI}index.v1+json"), &json!({ "schemaVersion": 2, "manifests": entries }));
        for (platform, want) in [
            (Platform::V1, vec![3, 7, 1]),
            (Platform::V2, vec![4, 3, 7, 1]),
            (Platform::V4, vec![6, 4, 3, 7, 1]),
        ] {
            let found = index.candidates(platform).unwrap();
            let want: Vec<_> = want.into_iter().map(|digest| Digest::Sha256([digest; 32])).collect();
            assert_eq!(found.iter().map(|found| found.digest).collect::<Vec<_>>(), want);
        }
        let old = document(&format!("{OCI}index.v1+json"), &json!({ "schemaVersion": 1 }));
        assert!(matches!(old.candidates(Platform::V1), Err(BadDocument::Schema1)));
    }

    proptest! {
        /// Whatever a registry sends: no panic, and no image beyond the limits.
        #[test]
        fn any_document(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "\\{\"schemaVersion\":2,\"(config|layers|manifests)\":[\\[\\]{}0-9\",:a-z]{0,40}\\}".prop_map(String::into_bytes),
            ],
        ) {
            let limits = Limits { layers: 1, ..Limits::default() };
            for known in ["manifest", "index"] {
                let media_type = MediaType::new(&format!("{OCI}{known}.v1+json")).unwrap();
                let document = Document { media_type, digest: Digest::sha256(&bytes), bytes: bytes.clone() };
                if let Ok(manifest) = document.manifest(&limits) {
                    prop_assert!(manifest.layers.len() <= 1);
                }
                let _ = document.candidates(Platform::V1);
            }
        }
    }
}
