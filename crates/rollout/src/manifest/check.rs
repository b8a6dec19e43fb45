//! What types alone do not say about a manifest.

use super::{
    Error, MAX_DELTAS, MAX_HEADER_BYTES, MAX_NOTES, MAX_POINTS, MAX_RECALLED, MAX_RELEASES, MAX_UKI_BYTES,
    Manifest,
    release::{Delta, Files, OpsFile, Release},
};
use crate::waves::{ALL, Waves};

const BLOCK: u64 = 4096;

pub(super) fn manifest(manifest: &Manifest) -> Result<(), Error> {
    at_most("releases", manifest.releases.len(), MAX_RELEASES)?;
    at_most("recalled", manifest.recalled.len(), MAX_RECALLED)?;
    for (index, release) in manifest.releases.iter().enumerate() {
        let path = format!("releases[{index}]");
        let earlier = &manifest.releases[..index];
        if earlier.last().is_some_and(|before| before.version >= release.version) {
            return Err(Error::Order { field: format!("{path}.version") });
        }
        if earlier.last().is_some_and(|before| before.epoch > release.epoch) {
            return Err(Error::Order { field: format!("{path}.epoch") });
        }
        if earlier.iter().any(|before| before.root.hash == release.root.hash) {
            return Err(Error::Twice { field: format!("{path}.root.hash") });
        }
        self::release(&path, release)?;
    }
    Ok(())
}

fn release(path: &str, release: &Release) -> Result<(), Error> {
    if release.min_from.is_some_and(|from| from >= release.version) {
        return Err(rule(format!("{path}.min_from"), "lower than the release's version"));
    }
    if let Some(notes) = &release.notes {
        at_most(&format!("{path}.notes"), notes.len(), MAX_NOTES)?;
        if !notes.starts_with("https://") || !notes.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(rule(format!("{path}.notes"), "an https address"));
        }
    }
    let root = release.root;
    at_least(&format!("{path}.root.bytes"), root.bytes, BLOCK)?;
    if !root.bytes.is_multiple_of(BLOCK) {
        return Err(rule(format!("{path}.root.bytes"), "whole blocks of 4096 bytes"));
    }
    at_least(&format!("{path}.root.min_slot_bytes"), root.min_slot_bytes, root.bytes)?;
    within(&format!("{path}.uki.bytes"), release.uki.bytes, MAX_UKI_BYTES)?;
    files(&format!("{path}.full"), &release.full)?;
    at_most(&format!("{path}.deltas"), release.deltas.len(), MAX_DELTAS)?;
    for (index, delta) in release.deltas.iter().enumerate() {
        let path = format!("{path}.deltas[{index}]");
        if release.deltas[..index].iter().any(|before: &Delta| before.from_root == delta.from_root) {
            return Err(Error::Twice { field: format!("{path}.from_root") });
        }
        if delta.from_root == root.hash {
            return Err(rule(format!("{path}.from_root"), "another root than the release's"));
        }
        files(&format!("{path}.files"), &delta.files)?;
    }
    release.waves.as_ref().map_or(Ok(()), |waves| self::waves(&format!("{path}.waves.points"), waves))
}

fn files(path: &str, files: &Files) -> Result<(), Error> {
    ops(&format!("{path}.root"), &files.root)?;
    ops(&format!("{path}.uki"), &files.uki)
}

fn ops(path: &str, ops: &OpsFile) -> Result<(), Error> {
    within(&format!("{path}.header_bytes"), ops.header_bytes, MAX_HEADER_BYTES)?;
    at_least(&format!("{path}.bytes"), ops.bytes, ops.header_bytes)
}

fn waves(path: &str, waves: &Waves) -> Result<(), Error> {
    at_most(path, waves.points.len(), MAX_POINTS)?;
    for (index, pair) in waves.points.windows(2).enumerate() {
        let path = format!("{path}[{}]", index + 1);
        if pair[0].after_seconds >= pair[1].after_seconds {
            return Err(Error::Order { field: format!("{path}.after_seconds") });
        }
        if pair[0].permille > pair[1].permille {
            return Err(Error::Order { field: format!("{path}.permille") });
        }
    }
    match waves.points.last() {
        Some(last) if last.permille == ALL => Ok(()),
        _ => Err(rule(path.to_owned(), "a ramp whose last point has 1000 permille")),
    }
}

fn rule(field: String, rule: &'static str) -> Error {
    Error::Rule { field, rule }
}

fn at_most(field: &str, got: usize, limit: usize) -> Result<(), Error> {
    if got <= limit {
        return Ok(());
    }
    Err(Error::TooMuch { field: field.to_owned(), got: got as u64, limit: limit as u64 })
}

fn at_least(field: &str, got: u64, least: u64) -> Result<(), Error> {
    if got >= least {
        return Ok(());
    }
    Err(Error::TooLittle { field: field.to_owned(), got, least })
}

fn within(field: &str, got: u64, limit: u64) -> Result<(), Error> {
    at_least(field, got, 1)?;
    if got <= limit {
        return Ok(());
    }
    Err(Error::TooMuch { field: field.to_owned(), got, limit })
}
