//! From a layout to one merged tree and the part of the config that a runtime needs.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use oci_spec::image::{
    Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, OciLayout, Os, Platform,
};

use crate::budget::Budget;
use crate::error::Error;
use crate::layer::{self, Identity};
use crate::layout::{Layout, parse};
use crate::limits::{Limits, SpecialFiles};
use crate::rootfs::{Kind, RootFs};

/// Nested indexes below `index.json`.
const INDEX_DEPTH: usize = 4;
/// Items of one config list.
const CONFIG_ITEMS: usize = 1024;
/// Longest config string, as in `MAX_ARG_STRLEN` of Linux.
const CONFIG_STRING: usize = 128 << 10;
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// What to load and what it may cost.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Value of `org.opencontainers.image.ref.name` in `index.json`; needed if several images fit.
    pub reference: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// Device nodes and fifos.
    pub special: SpecialFiles,
}

/// A verified and merged image for linux/amd64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of the manifest: the image's identity.
    pub manifest_digest: String,
    /// Its name in `index.json`, if it has one.
    pub reference: Option<String>,
    /// The file tree; its contents lie in the spool.
    pub rootfs: RootFs,
    /// How to run it.
    pub config: Config,
    /// What deserves a look before the image is trusted.
    pub notes: Notes,
}

/// The image config's part for the runtime, spelled as in the OCI image specification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `Entrypoint`
    pub entrypoint: Vec<String>,
    /// `Cmd`
    pub cmd: Vec<String>,
    /// `Env`: each `NAME=value`
    pub env: Vec<String>,
    /// `WorkingDir`: absolute, or empty
    pub working_dir: String,
    /// `User`, unresolved; empty means root
    pub user: String,
    /// `StopSignal`
    pub stop_signal: Option<String>,
    /// `ExposedPorts`
    pub exposed_ports: Vec<String>,
    /// `Labels`
    pub labels: BTreeMap<String, String>,
}

/// Counts over the merged tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// Regular files with the setuid or setgid bit.
    pub set_id: u64,
    /// Regular files with `security.capability`.
    pub file_capabilities: u64,
    /// Special files left out under [`SpecialFiles::Omit`].
    pub omitted: u64,
}

/// Loads the linux/amd64 image of a layout. File contents are appended to `spool`; after an error the spool
/// holds bytes that nothing refers to.
///
/// # Errors
/// Whatever is not exactly what descriptors, config and limits promise; see [`Error`].
pub fn load<S: Write + Seek>(layout: &Layout, request: &Request, spool: &mut S) -> Result<Image, Error> {
    let limits = request.limits;
    let name = "oci-layout";
    let version: OciLayout = parse(name, &layout.read(name, limits.json_bytes)?)?;
    if version.image_layout_version() != "1.0.0" {
        return Err(document(name, "imageLayoutVersion is not 1.0.0"));
    }
    let (chosen, reference) = choose(layout, request)?;
    let manifest_digest = chosen.digest().to_string();
    let manifest: ImageManifest = layout.document(&chosen, limits.json_bytes)?;
    let wrong = |reason| document(&manifest_digest, reason);
    if manifest.schema_version() != 2 {
        return Err(wrong("schemaVersion is not 2"));
    }
    if manifest.media_type().as_ref().is_some_and(|t| *t != MediaType::ImageManifest) {
        return Err(wrong("mediaType contradicts the descriptor"));
    }
    if *manifest.config().media_type() != MediaType::ImageConfig {
        return Err(wrong("config is not an image config"));
    }
    let config: ImageConfiguration = layout.document(manifest.config(), limits.json_bytes)?;
    if *config.os() != Os::Linux || *config.architecture() != Arch::Amd64 {
        return Err(wrong("config is not for linux/amd64"));
    }
    let diff_ids = config.rootfs().diff_ids();
    if config.rootfs().typ() != "layers" || diff_ids.len() != manifest.layers().len() {
        return Err(wrong("rootfs does not list one diff ID per layer"));
    }
    if diff_ids.len() > limits.layers {
        return Err(wrong("too many layers"));
    }
    let runtime = runtime_config(&config).map_err(wrong)?;

    let mut rootfs = RootFs::default();
    let mut notes = Notes::default();
    let mut budget = Budget::new(limits);
    for (descriptor, diff_id) in manifest.layers().iter().zip(diff_ids) {
        let digest = descriptor.digest().to_string();
        if descriptor.size() > limits.layer_compressed {
            let reason = crate::Refusal::Limit("layer_compressed");
            return Err(Error::Layer { layer: digest, reason });
        }
        let blob = layout.blob(descriptor)?;
        let id = Identity { digest: &digest, media_type: descriptor.media_type(), diff_id };
        layer::apply(&mut rootfs, blob, &id, &mut budget, request.special, spool, &mut notes.omitted)?;
    }
    for (_, entry) in rootfs.iter().filter(|(_, entry)| matches!(entry.kind, Kind::Regular { .. })) {
        notes.set_id += u64::from(entry.mode & 0o6000 != 0);
        notes.file_capabilities +=
            u64::from(entry.xattrs.iter().any(|(name, _)| name == b"security.capability"));
    }
    Ok(Image { manifest_digest, reference, rootfs, config: runtime, notes })
}

fn document(name: &str, reason: &'static str) -> Error {
    Error::Document { name: name.to_owned(), reason }
}

/// The manifest to use, with its name. `index.json` must leave one choice; in a nested index the first that fits counts, as the
/// specification says.
fn choose(layout: &Layout, request: &Request) -> Result<(Descriptor, Option<String>), Error> {
    let name = "index.json";
    let index: ImageIndex = parse(name, &layout.read(name, request.limits.json_bytes)?)?;
    check_index(name, &index)?;
    let mut seen = 0;
    let mut found: Vec<(Descriptor, Option<String>)> = Vec::new();
    for descriptor in index.manifests() {
        let named = descriptor.annotations().as_ref().and_then(|a| a.get(REFERENCE));
        if request.reference.is_some() && request.reference.as_ref() != named {
            continue;
        }
        if let Some(fit) = descend(layout, request, descriptor, INDEX_DEPTH, &mut seen)?
            && !found.iter().any(|(one, _)| one.digest() == fit.digest())
        {
            found.push((fit, named.cloned()));
        }
    }
    match found.len() {
        0 | 1 => found.pop().ok_or(Error::NoManifest),
        count => Err(Error::Ambiguous { count }),
    }
}

fn descend(
    layout: &Layout,
    request: &Request,
    descriptor: &Descriptor,
    depth: usize,
    seen: &mut usize,
) -> Result<Option<Descriptor>, Error> {
    *seen += 1;
    let name = descriptor.digest().to_string();
    if *seen > request.limits.documents || depth == 0 {
        return Err(document(&name, "too many manifests or too deeply nested"));
    }
    if !descriptor.platform().as_ref().is_none_or(is_ours) {
        return Ok(None);
    }
    match descriptor.media_type() {
        MediaType::ImageManifest => Ok(Some(descriptor.clone())),
        MediaType::ImageIndex => {
            let index: ImageIndex = layout.document(descriptor, request.limits.json_bytes)?;
            check_index(&name, &index)?;
            for inner in index.manifests() {
                if let Some(fit) = descend(layout, request, inner, depth - 1, seen)? {
                    return Ok(Some(fit));
                }
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn check_index(name: &str, index: &ImageIndex) -> Result<(), Error> {
    if index.schema_version() != 2 {
        return Err(document(name, "schemaVersion is not 2"));
    }
    if index.media_type().as_ref().is_some_and(|t| *t != MediaType::ImageIndex) {
        return Err(document(name, "mediaType is not that of an index"));
    }
    Ok(())
}

/// linux/amd64 that runs on every such processor: variants above `v1` do not.
fn is_ours(platform: &Platform) -> bool {
    let variant = platform.variant().as_deref().unwrap_or("");
    *platform.os() == Os::Linux && *platform.architecture() == Arch::Amd64 && matches!(variant, "" | "v1")
}

fn runtime_config(config: &ImageConfiguration) -> Result<Config, &'static str> {
    let Some(inner) = config.config() else { return Ok(Config::default()) };
    let mut labels = BTreeMap::new();
    labels.extend(inner.labels().clone().unwrap_or_default());
    let mut exposed_ports = inner.exposed_ports().clone().unwrap_or_default();
    exposed_ports.sort();
    let made = Config {
        entrypoint: inner.entrypoint().clone().unwrap_or_default(),
        cmd: inner.cmd().clone().unwrap_or_default(),
        env: inner.env().clone().unwrap_or_default(),
        working_dir: inner.working_dir().clone().unwrap_or_default(),
        user: inner.user().clone().unwrap_or_default(),
        stop_signal: inner.stop_signal().clone(),
        exposed_ports,
        labels,
    };
    let lists =
        [made.entrypoint.len(), made.cmd.len(), made.env.len(), made.exposed_ports.len(), made.labels.len()];
    if lists.iter().any(|len| *len > CONFIG_ITEMS) {
        return Err("config list too long");
    }
    let lists = made.entrypoint.iter().chain(&made.cmd).chain(&made.env).chain(&made.exposed_ports);
    let all = lists.chain([&made.working_dir, &made.user]).chain(&made.stop_signal);
    if all
        .chain(made.labels.iter().flat_map(|(k, v)| [k, v]))
        .any(|s| s.len() >= CONFIG_STRING || s.contains('\0'))
    {
        return Err("config string too long or with NUL");
    }
    if made.env.iter().any(|pair| pair.find('=').is_none_or(|at| at == 0)) {
        return Err("Env item is not NAME=value");
    }
    if !made.working_dir.is_empty() && !made.working_dir.starts_with('/') {
        return Err("WorkingDir is not absolute");
    }
    Ok(made)
}
