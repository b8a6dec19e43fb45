//! `coracle pack`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use coracle_layers::{Config, Files, PackRequest, pack};

/// Arguments of `coracle pack`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle pack target/release/app --out images/app --name app:1
  coracle pack rootfs/ --out images/app --entrypoint /bin/app --entrypoint serve --env MODE=edge

The same input gives the same bytes, and so the same digest, which is printed.")]
pub struct Args {
    /// A static program, which becomes /NAME, or a folder, which becomes the root of the image.
    #[arg(value_name = "BINARY|FOLDER")]
    source: PathBuf,
    /// The OCI image layout to make: a folder that is absent or empty.
    #[arg(long, value_name = "LAYOUT")]
    out: PathBuf,
    /// Program and first arguments, one word each [default for a program: itself].
    #[arg(long, value_name = "WORD")]
    entrypoint: Vec<String>,
    /// Default arguments, one word each.
    #[arg(long, value_name = "WORD")]
    cmd: Vec<String>,
    /// A variable, as NAME=VALUE.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// User and group, names or numbers, as in app or 100:101.
    #[arg(long, value_name = "USER", default_value = "")]
    user: String,
    /// Working folder.
    #[arg(long, value_name = "PATH", default_value = "")]
    workdir: String,
    /// The signal that asks it to end, such as SIGQUIT [default: SIGTERM].
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// The name by which pods find the image.
    #[arg(long, value_name = "REFERENCE")]
    name: Option<String>,
}

/// Packs and prints the manifest's digest.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(bad) = args.env.iter().find(|pair| pair.find('=').is_none_or(|at| at == 0)) {
        bail!("--env {bad}: write it as NAME=VALUE");
    }
    let mut entrypoint = args.entrypoint.clone();
    let files = if args.source.is_dir() {
        Files::Folder(args.source.clone())
    } else {
        let name = args.source.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} has no name to use", args.source.display()))?;
        if entrypoint.is_empty() {
            entrypoint.push(format!("/{name}"));
        }
        Files::Binary { source: args.source.clone(), target: name.to_owned() }
    };
    let config = Config {
        entrypoint,
        cmd: args.cmd.clone(),
        env: args.env.clone(),
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        stop_signal: args.stop_signal.clone(),
        ..Config::default()
    };
    let packed = pack(&PackRequest { files, config, reference: args.name.clone() }, &args.out)?;
    writeln!(std::io::stdout(), "{}", packed.manifest_digest)?;
    Ok(ExitCode::SUCCESS)
}
