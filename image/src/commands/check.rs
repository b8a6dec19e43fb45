//! `coracle check`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use coracle_image::check;
use coracle_recipe::Recipe;

/// Arguments of `coracle check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  coracle check\n  coracle check edge/coracle.toml --json | jq .findings")]
pub struct Args {
    /// The recipe.
    #[arg(default_value = "coracle.toml")]
    recipe: PathBuf,
    /// Print the findings as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Checks the recipe and what it names; findings give exit code 1.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let name = args.recipe.display().to_string();
    let text = fs::read_to_string(&args.recipe).with_context(|| format!("read {name}"))?;
    let (findings, beside) = match Recipe::parse(&text, &name) {
        Ok(recipe) => (None, check::beside(&recipe, &args.recipe)),
        Err(findings) => (Some(findings), Vec::new()),
    };
    let good = findings.is_none() && beside.is_empty();
    if args.json {
        let list = findings.as_ref().map(|all| all.findings.as_slice()).unwrap_or_default();
        let json = serde_json::json!({ "file": name, "findings": list, "beside": beside });
        writeln!(std::io::stdout(), "{json}")?;
    } else if let Some(findings) = findings {
        eprint!("{findings}");
    } else {
        for problem in &beside {
            let place = problem.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            eprintln!("error: {}\n --> {}{place}", problem.message, problem.file.display());
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
