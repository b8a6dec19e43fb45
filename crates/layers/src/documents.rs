//! The JSON that `pack` writes. Own structs, because the maps of `oci-spec` have no fixed order.

use std::collections::BTreeMap;

use oci_spec::image::MediaType;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescriptorFile<'a> {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFile>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'a str, &'a str>,
}

impl DescriptorFile<'_> {
    pub(crate) fn new(media_type: MediaType, digest: String, size: u64) -> Self {
        Self {
            media_type: media_type.to_string(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct PlatformFile {
    pub architecture: &'static str,
    pub os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index<'a> {
    pub schema_version: u32,
    pub media_type: String,
    pub manifests: [DescriptorFile<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest<'a> {
    pub schema_version: u32,
    pub media_type: String,
    pub config: DescriptorFile<'a>,
    pub layers: [DescriptorFile<'a>; 1],
}

#[derive(Serialize)]
pub(crate) struct ConfigFile<'a> {
    pub architecture: &'static str,
    pub os: &'static str,
    pub config: RuntimeConfig<'a>,
    pub rootfs: DiffIds<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuntimeConfig<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<&'a str, Nothing>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub env: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub cmd: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    pub working_dir: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<&'a str>,
}

/// The empty object that stands for "present" in a JSON set.
#[derive(Serialize)]
pub(crate) struct Nothing {}

#[derive(Serialize)]
pub(crate) struct DiffIds<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub diff_ids: [&'a str; 1],
}
