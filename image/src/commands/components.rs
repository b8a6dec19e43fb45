//! `coracle components`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::sbom::Components;

/// Arguments of `coracle components`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coracle components init=coracle-init netd=coracle-netd > programs/components.json

A build finds the file beside the programs and lists their crates in the image's SBOM.")]
pub struct Args {
    /// Programs, each with the package it is built from.
    #[arg(required = true, value_name = "PROGRAM=PACKAGE", value_parser = pair)]
    programs: Vec<(String, String)>,
    /// The workspace that they are built from.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((program, package)) if !program.is_empty() && !package.is_empty() => {
            Ok((program.to_owned(), package.to_owned()))
        }
        _ => Err("a program and a package with = between, as in init=coracle-init".to_owned()),
    }
}

/// Prints what the programs are made of.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let components = Components::find(&args.workspace, &args.programs)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&components)?)?;
    Ok(ExitCode::SUCCESS)
}
