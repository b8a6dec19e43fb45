//! `spec`: an example to begin with.

use std::{fs::File, io::Write, path::Path};

use anyhow::{Context, Result};

/// What it is: a shell in the bundle's `rootfs`, confined as container engines confine it.
const EXAMPLE: &str = include_str!("example.json");

/// Writes it, where nothing is in its place.
pub fn write(bundle: Option<&Path>) -> Result<()> {
    let path = bundle.unwrap_or(Path::new(".")).join("config.json");
    let written = File::create_new(&path).and_then(|mut file| file.write_all(EXAMPLE.as_bytes()));
    written.with_context(|| format!("write {}", path.display()))
}
