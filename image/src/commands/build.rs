//! `coracle build`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use coracle_image::Error;
use coracle_image::build::{self, Built, EPOCH, Pinned, Request, Sources};
use coracle_image::steps::Event;
use coracle_rollout::Time;

/// Arguments of `coracle build`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle build --out build
  coracle build edge/coracle.toml --out build --json | jq .release.root_hash
  coracle build --out build --update-lock      take the inputs as they are now

The reports release.json and summary.json are in the output folder. recipe.lock, beside the recipe, is written when it is
missing and obeyed when it is there. SOURCE_DATE_EPOCH sets the moment that the image says it was made; with [update] that is
otherwise when recipe.lock came to hold its inputs.")]
pub struct Args {
    /// The recipe.
    #[arg(default_value = "coracle.toml")]
    recipe: PathBuf,
    /// Where the image goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder with the static programs init, netd and, for [update], updater [default: programs/ beside this program].
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where kernels are kept [default: coracle/kernel in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    kernel_cache: Option<PathBuf>,
    /// Take inputs that differ from recipe.lock, and renew it.
    #[arg(long)]
    update_lock: bool,
    /// Print both reports as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Builds; findings of the recipe give exit code 1.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let request = request(args)?;
    let built = match build::build(&request, &mut show) {
        Err(Error::Recipe(findings)) => {
            eprint!("{findings}");
            return Ok(ExitCode::FAILURE);
        }
        other => other?,
    };
    summary(&built, &request);
    if args.json {
        let json = serde_json::json!({ "release": built.release, "summary": built.summary });
        writeln!(std::io::stdout(), "{json}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn request(args: &Args) -> anyhow::Result<Request> {
    let programs = match &args.programs {
        Some(programs) => programs.clone(),
        None => std::env::current_exe().context("find this program")?.with_file_name("programs"),
    };
    let kernel_cache =
        args.kernel_cache.clone().or_else(coracle_kernel::default_cache).ok_or(Error::NoCache)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let (epoch, pinned) = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let epoch = text.parse().map_err(|_| Error::Epoch { text })?;
            (epoch, Pinned::At(Time::from_unix(epoch)))
        }
        Err(_) => (EPOCH, Pinned::Now(Time::from_unix(since.as_secs()))),
    };
    Ok(Request {
        recipe: args.recipe.clone(),
        out: args.out.clone(),
        sources: Sources::with_programs(programs),
        kernel_cache,
        kernel_packer: coracle_kernel::THIS_PROGRAM.into(),
        epoch,
        pinned,
        update_lock: args.update_lock,
    })
}

fn show(event: Event) {
    match event {
        Event::Note { step, text } => eprintln!("{step:<8}           {text}"),
        Event::Done { step, took, result } => eprintln!("{step:<8} {:>7.2} s  {result}", took.as_secs_f64()),
    }
}

fn summary(built: &Built, request: &Request) {
    eprintln!("\n{:<28} {:>12} {:>12}  sha256", "file", "size", "budget");
    let files = built.summary.files.iter().map(|(name, file)| (name.as_str(), file));
    let parts = built.summary.parts.iter().map(|(name, file)| (*name, file));
    for (name, file) in files.chain(parts) {
        let budget = file.budget.map_or_else(|| "-".to_owned(), build::size);
        eprintln!("{name:<28} {:>12} {budget:>12}  {}", build::size(file.bytes), file.sha256);
    }
    eprintln!("\nroot hash {}", built.release.root_hash);
    eprintln!("written to {}", request.out.display());
}
