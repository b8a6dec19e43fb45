//! `coracle schema`.

use std::io::Write as _;
use std::process::ExitCode;

/// Prints the schema.
pub fn run() -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(&coracle_recipe::json_schema())?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
