//! `coracle update`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::operate;
use coracle_layout::OsVersion;
use coracle_rollout::operator::{Report, Request};
use coracle_rollout::orders::{Downgrade, Hold};

/// Arguments of `coracle update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle run build/edge_1.0.0.raw --no-snapshot --control edge.sock
  coracle update status --socket edge.sock
  coracle update pin 1.4.0 --socket edge.sock
  coracle update status --socket edge.sock --json | jq .state

Who can open the socket may do everything there is: leave it to the hypervisor's user.")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The socket that leads to the machine.
    #[arg(long, value_name = "PATH", global = true, default_value = "coracle.sock")]
    socket: PathBuf,
    /// Print the machine's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say what runs, and what its update does or waits for.
    Status,
    /// Have it ask the repository now.
    Check,
    /// Have it take what is offered, without waiting for wave, window and approval.
    Apply,
    /// Have it take nothing, and not reboot for an update.
    Hold,
    /// End the hold.
    Unhold,
    /// Have it go to a version and stay there.
    Pin {
        /// The version.
        version: OsVersion,
        /// Also if it is lower than the one that runs.
        #[arg(long)]
        downgrade: bool,
    },
    /// End the pin.
    Unpin,
    /// Have it boot what is in its other slot.
    Rollback,
    /// Have it forget failures, and that it rejected a version.
    Retry {
        /// Which; without one, all.
        version: Option<OsVersion>,
    },
}

/// Asks the machine.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let request = match args.verb {
        Verb::Status => Request::Status,
        Verb::Check => Request::Check,
        Verb::Apply => Request::Apply,
        Verb::Hold => Request::Hold,
        Verb::Unhold => Request::Unhold,
        Verb::Pin { version, downgrade } => {
            Request::Pin { version, downgrade: if downgrade { Downgrade::Allow } else { Downgrade::Refuse } }
        }
        Verb::Unpin => Request::Unpin,
        Verb::Rollback => Request::Rollback,
        Verb::Retry { version } => Request::Retry { version },
    };
    let report = operate::ask(&args.socket, request)?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => shown(&report),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn shown(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:<12}{value}");
    };
    let until =
        |time: Option<coracle_rollout::Time>| time.map_or(String::new(), |time| format!(", until {time}"));
    line(
        "running",
        format!("{} in slot {}, root {}", report.running.version, report.slot, report.running.root),
    );
    line("state", report.state.clone());
    line("", format!("{}{}", report.doing, until(report.until)));
    if let Some(update) = report.update {
        line("update", format!("{}, root {}", update.version, update.root));
    }
    if let Some(trouble) = report.trouble {
        line("trouble", trouble.to_string());
    }
    if let Some(health) = &report.health {
        line("health", health.clone());
    }
    if let Some(other) = report.other {
        line("other slot", other.version.to_string());
    }
    if report.orders.hold == Hold::On {
        line("orders", "hold".to_owned());
    }
    if let Some(pin) = report.orders.pin {
        line("orders", format!("pin {}", pin.version));
    }
    for denial in &report.denied {
        line(
            "rejected",
            format!("{} at {}: {:?}: {}", denial.system.version, denial.at, denial.class, denial.reason),
        );
    }
    let traffic = report.traffic;
    if traffic.full > 0 {
        let saved = traffic.full.saturating_sub(traffic.fetched);
        line("fetched", format!("{} of {} bytes, {saved} saved", traffic.fetched, traffic.full));
    }
    let repository = &report.repository;
    line("repository", repository.address.clone());
    if let Some(answered) = repository.answered {
        line("", format!("answered {answered}"));
    }
    if let Some(error) = &repository.error {
        line("", error.clone());
    }
    if let Some(next) = repository.next {
        line("", format!("is asked next at {next}"));
    }
    line("memory", format!("{} KiB at the most", report.peak_memory / 1024));
    let sure = if report.time_is_sure { "set by a time server" } else { "not set by a time server" };
    line("time", format!("{}, {sure}", report.time));
    text
}
