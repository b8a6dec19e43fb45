//! A channel in one file, to be carried: a tar archive with `bundle.json`, the channel's targets, and the repository's metadata.
//!
//! Nothing in it is believed: whoever unpacks it verifies it as if it came from a server. `bundle.json` only says what it should have.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use coracle_layout::OsVersion;
use coracle_rollout::Manifest;
use coracle_rollout::label::Label;
use coracle_rollout::manifest::{Files, MAX_BYTES};
use coracle_trust::transport::{self, Body, Fault};
use coracle_trust::{Repository, Target, Transport};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as TokioRead, AsyncSeekExt as _};

use super::mirror::{self, Error, Request, file_name};
use super::{METADATA, TARGETS, files};

/// The file that says what a bundle has.
const CONTENT: &str = "bundle.json";
/// The longest such file, in bytes.
const MAX_CONTENT: u64 = 4096;
/// The most files in a bundle.
const MOST: usize = 100_000;

/// What a bundle has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The channel.
    pub channel: Label,
    /// The only release; without it, all of them.
    pub version: Option<OsVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    channel: String,
    version: Option<String>,
}

/// A bundle, as a place that has files.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    /// Where each file begins, and its length, by path.
    files: BTreeMap<String, (u64, u64)>,
    /// What it should have.
    pub content: Content,
}

/// Writes a bundle of what `request.from` has; `request.repo` is only asked for the root to begin with.
pub fn write(
    request: &Request,
    content: &Content,
    out: &Path,
    note: &mut dyn FnMut(&str),
) -> Result<usize, Error> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let on_disk = |operation| super::Error::file(operation, out);
    let scratch = tempfile::Builder::new().prefix(files::UNFINISHED).tempdir_in(folder);
    let scratch = scratch.map_err(on_disk("make a folder beside"))?;
    let from = mirror::source(&request.from, request.authorities.as_deref())?;
    let part = scratch.path().join("part");
    let count = mirror::runtime(folder)?.block_on(async {
        let verified = mirror::verify(request, &scratch.path().join("kept"), from.clone()).await?;
        let targets = needed(&verified.repository, &*from, content).await?;
        let new = File::create_new(scratch.path().join("bundle")).map_err(on_disk("make a file beside"))?;
        let mut tar = tar::Builder::new(new);
        let document = Document {
            schema: 1,
            channel: content.channel.to_string(),
            version: content.version.map(|version| version.to_string()),
        };
        let document = serde_json::to_vec_pretty(&document).map_err(super::Error::from)?;
        append(&mut tar, CONTENT, document.len() as u64, &document[..]).map_err(on_disk("write"))?;
        for target in &targets {
            note(&format!("add {} ({} bytes)", target.name(), target.bytes()));
            mirror::fetch(&*from, target, &part).await?;
            let file = File::open(&part).map_err(on_disk("read a part of"))?;
            let name = format!("{TARGETS}/{}", file_name(target));
            append(&mut tar, &name, target.bytes(), file).map_err(on_disk("write"))?;
        }
        for (name, bytes) in &verified.metadata {
            let name = format!("{METADATA}/{name}");
            append(&mut tar, &name, bytes.len() as u64, &bytes[..]).map_err(on_disk("write"))?;
        }
        tar.into_inner().and_then(|file| file.sync_all()).map_err(on_disk("write"))?;
        Ok::<_, Error>(targets.len())
    })?;
    fs::rename(scratch.path().join("bundle"), out).map_err(on_disk("put in place"))?;
    files::sync_folder(folder)?;
    Ok(count)
}

/// The same bytes for the same files, whoever writes them and when.
fn append(
    tar: &mut tar::Builder<File>,
    name: &str,
    len: u64,
    bytes: impl std::io::Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(len);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes)
}

/// The targets that a channel needs: its manifests, and the files of its releases.
pub(super) async fn needed(
    repository: &Repository,
    from: &dyn Transport,
    content: &Content,
) -> Result<Vec<Target>, Error> {
    let refused = |source| Error::Refused { from: "the repository".to_owned(), source: Box::new(source) };
    let (mut found, mut known, mut offered) = (BTreeMap::new(), Vec::new(), false);
    let mut is_there = false;
    for target in repository.targets() {
        let name = target.name().to_string();
        if !name.ends_with(".json") {
            continue;
        }
        known.push(name.clone());
        // Every manifest of the channel has it in its name; what else has is small, and comes along.
        if !name.contains(&format!("-{}-", content.channel)) {
            continue;
        }
        let bytes = target.fetch(from, MAX_BYTES as u64).await.map_err(refused)?;
        let manifest = Manifest::parse(&bytes);
        let name_of = target.name().clone();
        let manifest =
            manifest.map_err(|source| refused(coracle_trust::Error::Manifest { name: name_of, source }))?;
        found.insert(name, (*target).clone());
        if manifest.channel != content.channel {
            continue;
        }
        is_there = true;
        for release in &manifest.releases {
            if content.version.is_some_and(|version| version != release.version) {
                continue;
            }
            offered = true;
            for Files { root, uki } in
                [&release.full].into_iter().chain(release.deltas.iter().map(|delta| &delta.files))
            {
                for file in [root, uki] {
                    let target = repository.ops(file).map_err(refused)?;
                    found.insert(file.target.to_string(), (*target).clone());
                }
            }
        }
    }
    if !is_there {
        return Err(Error::NoChannel { channel: content.channel.clone(), known });
    }
    match content.version {
        Some(version) if !offered => Err(Error::NoRelease { channel: content.channel.clone(), version }),
        _ => Ok(found.into_values().collect()),
    }
}

impl Bundle {
    /// Opens a bundle; `None` if there is no file of that name.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        if !path.is_file() {
            return Ok(None);
        }
        let bad = |why: &str| Error::Bundle { path: path.to_owned(), why: why.to_owned() };
        let unread = |error: std::io::Error| bad(&error.to_string());
        let mut archive = tar::Archive::new(File::open(path).map_err(unread)?);
        let (mut files, mut document) = (BTreeMap::new(), None);
        for entry in archive.entries_with_seek().map_err(unread)?.take(MOST) {
            let mut entry = entry.map_err(unread)?;
            let name = entry.path().map_err(unread)?.to_str().unwrap_or_default().to_owned();
            if !entry.header().entry_type().is_file() {
                return Err(bad("it has something that is no file"));
            }
            if name == CONTENT {
                let mut text = Vec::new();
                Read::by_ref(&mut entry).take(MAX_CONTENT).read_to_end(&mut text).map_err(unread)?;
                document = serde_json::from_slice::<Document>(&text).ok();
            } else if transport::Path::new(&name).is_none() {
                return Err(bad("it has a file that no repository has"));
            } else if files.insert(name, (entry.raw_file_position(), entry.size())).is_some() {
                return Err(bad("it has a file twice"));
            }
        }
        let content = document.filter(|document| document.schema == 1).and_then(|document| {
            let version = document.version.map(|version| version.parse()).transpose().ok()?;
            Some(Content { channel: document.channel.parse().ok()?, version })
        });
        let content = content.ok_or_else(|| bad("it does not say what it has"))?;
        Ok(Some(Self { path: path.to_owned(), files, content }))
    }

    async fn bytes(&self, start: u64, count: u64) -> Result<Body, Fault> {
        let mut file = tokio::fs::File::open(&self.path).await?;
        file.seek(SeekFrom::Start(start)).await?;
        Ok(Body::exactly(TokioRead::take(file, count), count))
    }
}

#[async_trait]
impl Transport for Bundle {
    async fn whole(&self, path: &transport::Path) -> Result<Body, Fault> {
        let (start, len) = *self.files.get(path.as_str()).ok_or(Fault::Missing)?;
        self.bytes(start, len).await
    }

    async fn part(&self, path: &transport::Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        let (start, has) = *self.files.get(path.as_str()).ok_or(Fault::Missing)?;
        if has != len || bytes.end > len || bytes.is_empty() {
            let want = format!("{}-{}/{len}", bytes.start, bytes.end);
            return Err(Fault::OtherPart { want, got: format!("0-{has}/{has}") });
        }
        self.bytes(start + bytes.start, bytes.end - bytes.start).await
    }
}
