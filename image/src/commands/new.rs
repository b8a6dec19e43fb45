//! `coracle new`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

/// Arguments of `coracle new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coracle new edge && coracle check edge/coracle.toml")]
pub struct Args {
    /// The folder to make; one that exists must not have a recipe in it.
    dir: PathBuf,
}

/// Writes the recipe.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(&args.dir).with_context(|| format!("make {}", args.dir.display()))?;
    let path = args.dir.join("coracle.toml");
    let mut file = File::create_new(&path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(coracle_recipe::template().as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(ExitCode::SUCCESS)
}
