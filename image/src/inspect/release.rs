//! The boot files against `release.json`, which the builder leaves beside the image.
//!
//! Until boot entries are signed nothing inside the image vouches for them: their digests have to come from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coracle_uki::EntryName;
use serde::Deserialize;

use super::report::{Faults, chain};

/// The file's name.
pub const RELEASE: &str = "release.json";
/// The folder whose files are renamed as boots are counted.
const ENTRIES: &str = "EFI/Linux/";

/// What is read of it: SHA-256 of each file on the EFI system partition, by path.
#[derive(Debug, Deserialize)]
struct Release {
    boot_files: BTreeMap<String, String>,
}

/// Compares. False if there is no such file, or it says nothing about boot files.
pub(super) fn compare(image: &Path, digests: &BTreeMap<String, String>, faults: &mut Faults<'_>) -> bool {
    let path = image.with_file_name(RELEASE);
    let Ok(text) = fs::read_to_string(&path) else { return false };
    let release: Release = match serde_json::from_str(&text) {
        Ok(release) => release,
        Err(error) => {
            faults.add(format!("{}: {}", path.display(), chain(&error)));
            return false;
        }
    };
    let found: BTreeMap<_, _> = digests.iter().map(|(path, digest)| (settled(path), digest)).collect();
    for (file, want) in &release.boot_files {
        match found.get(&settled(file)) {
            None => faults.add(format!("{file} of {RELEASE} is missing")),
            Some(got) if *got != want => {
                faults.add(format!("{file}: its SHA-256 is {got}, in {RELEASE} {want}"));
            }
            Some(_) => {}
        }
    }
    true
}

/// A boot entry's path without the counter that boots change.
fn settled(path: &str) -> String {
    match path.strip_prefix(ENTRIES).map(str::parse::<EntryName>) {
        Some(Ok(name)) => format!("{ENTRIES}{}", name.blessed()),
        _ => path.to_owned(),
    }
}
