//! A channel's manifest: read from the repository, changed, put back.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use coracle_layout::OsVersion;
use coracle_ops::Hash;
use coracle_rollout::manifest::{Delta, Files, Release as Published, RootImage, UkiImage};
use coracle_rollout::{Epoch, Line, Manifest, digest::Digest};
use tough::TargetName;
use tough::schema::Target;

use super::release::Release;
use super::{Error, Terms};
use crate::repository::Repo;

/// So many releases are offered, and stepping stones besides; older ones leave the manifest, not the repository.
const KEPT: usize = 16;

/// The manifest of a line; a new one if there is none.
pub(super) fn of(repo: &Repo, line: &Line) -> Result<Manifest, Error> {
    let name = line.manifest_name().to_string();
    let Some(manifest) = read(repo, &name)? else {
        return Ok(Manifest {
            channel: line.channel.clone(),
            arch: line.arch.clone(),
            product: line.product.clone(),
            paused: false,
            recalled: Vec::new(),
            security_floor: "0.0.0".parse().map_err(|_| Error::Name { name })?,
            releases: Vec::new(),
        });
    };
    if manifest.line() != *line {
        return Err(Error::OtherLine { name, got: Box::new(manifest.line()) });
    }
    Ok(manifest)
}

/// Every manifest of a repository.
pub(super) fn all(repo: &Repo) -> Result<Vec<Manifest>, Error> {
    let mut manifests = Vec::new();
    for name in repo.targets().keys().filter(|name| name.raw().ends_with(".json")) {
        manifests.extend(read(repo, name.raw())?);
    }
    Ok(manifests)
}

fn read(repo: &Repo, name: &str) -> Result<Option<Manifest>, Error> {
    let Some(path) = repo.path_of(name) else { return Ok(None) };
    let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
    let manifest = Manifest::parse(&bytes);
    manifest.map(Some).map_err(|source| Error::Manifest { name: name.to_owned(), source })
}

/// The releases that there are deltas from: the last ones below the version, and every stepping stone.
pub(super) fn sources(manifest: &Manifest, version: OsVersion, last: usize) -> Vec<Published> {
    let below: Vec<_> = manifest.releases.iter().filter(|release| release.version < version).collect();
    let first = below.len().saturating_sub(last);
    let chosen = below.iter().enumerate().filter(|(index, release)| *index >= first || release.barrier);
    let most = coracle_rollout::manifest::MAX_DELTAS;
    let chosen: Vec<_> = chosen.map(|(_, release)| (*release).clone()).collect();
    chosen[chosen.len().saturating_sub(most)..].to_vec()
}

/// Adds a release, or puts it in the place of the same one.
pub(super) fn add(
    manifest: &mut Manifest,
    release: &Release,
    full: Files,
    deltas: Vec<Delta>,
    terms: &Terms,
) {
    let (Hash::Sha256(uki) | Hash::Verity(uki) | Hash::Unpacked(uki)) = release.uki.identity.hash;
    let bytes = release.root.identity.len;
    let there = manifest.releases.iter().find(|there| there.version == release.version);
    // Published once more it does not start its way through the fleet again.
    let waves = match (&terms.waves, there.and_then(|there| there.waves.clone())) {
        (Some(_), Some(begun)) => Some(begun),
        (new, _) => new.clone(),
    };
    manifest.releases.retain(|there| there.version != release.version);
    let at = manifest.releases.partition_point(|there| there.version < release.version);
    let before = manifest.releases[..at].last().map_or(Epoch(0), |there| there.epoch);
    manifest.releases.insert(
        at,
        Published {
            version: release.version,
            epoch: terms.epoch.unwrap_or(before),
            barrier: terms.barrier,
            min_from: terms.min_from,
            notes: terms.notes.clone(),
            root: RootImage { hash: release.root_hash, bytes, min_slot_bytes: bytes },
            uki: UkiImage { sha256: Digest::new(uki), bytes: release.uki.identity.len },
            full,
            deltas,
            waves,
        },
    );
    if let Some(floor) = terms.security_floor {
        manifest.security_floor = floor;
    }
    while manifest.releases.len() > KEPT {
        let Some(oldest) = manifest.releases.iter().position(|release| !release.barrier) else { break };
        manifest.releases.remove(oldest);
    }
}

/// Leaves files of operations that no manifest names out of the list; they stay in the folder, for machines that fetch them now.
pub(super) fn forget(
    repo: &Repo,
    manifest: &Manifest,
    targets: &mut HashMap<TargetName, Target>,
) -> Result<(), Error> {
    let line = manifest.line();
    let others = all(repo)?.into_iter().filter(|other| other.line() != line);
    let mut named = HashSet::new();
    for release in others.chain([manifest.clone()]).flat_map(|manifest| manifest.releases) {
        let deltas = release.deltas.into_iter().map(|delta| delta.files);
        for files in deltas.chain([release.full]) {
            named.extend([files.root.target.to_string(), files.uki.target.to_string()]);
        }
    }
    targets.retain(|name, _| !name.raw().ends_with(".ops") || named.contains(name.raw()));
    Ok(())
}

/// Writes a manifest among the files of the repository.
pub(super) fn put(
    repo: &Repo,
    scratch: &Path,
    manifest: &Manifest,
    targets: &mut HashMap<TargetName, Target>,
) -> Result<(), Error> {
    let name = manifest.line().manifest_name().to_string();
    let bytes = manifest.to_bytes().map_err(|source| Error::Manifest { name: name.clone(), source })?;
    let path = scratch.join("manifest");
    fs::write(&path, bytes).map_err(Error::file("write", &path))?;
    let listed = TargetName::new(&name).map_err(|_| Error::Name { name: name.clone() })?;
    targets.insert(listed, repo.add_target(&name, &path)?);
    Ok(())
}
