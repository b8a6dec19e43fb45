//! What the console shows to whoever stands before the machine: a block, never a prompt.

use std::{fmt::Write as _, fs, time::Duration};

use coracle_layout::paths;
use nix::ifaddrs::getifaddrs;

use super::unit::{Current, Outcome, Unit};
use crate::{
    boot::{Machine, Mode, Timed},
    log::{info, warning},
};

const RULE: &str = "------------------------------------------------------------------------";

/// The block.
pub(crate) fn block<'a>(
    machine: &Machine,
    addresses: &[(String, String)],
    units: impl Iterator<Item = (&'a str, &'a Unit)>,
    now: Duration,
) -> String {
    let fact = |key: &str| machine.facts.get(key).map_or("?", String::as_str);
    let mut text = format!("\n{RULE}\n");
    let host_name = machine.host_name.as_deref().unwrap_or("?");
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {name:<10} {value}");
    };
    row("coracle", &format!("{}  slot {}  up {}", machine.version, fact("slot"), seconds(now)));
    row("host", &format!("{host_name}  machine-id {}", machine.machine_id));
    match machine.mode {
        Mode::Normal => {}
        Mode::Volatile => row("state", "IN MEMORY: the state partition cannot be used, nothing is kept"),
        Mode::Recovery => row("RECOVERY", "the state partition cannot be used, workloads are held"),
    }
    for (name, address) in addresses {
        row("address", &format!("{address}  {name}"));
    }
    for (name, unit) in units {
        row("workload", &format!("{name}: {}", describe(unit, now)));
    }
    text.push_str(RULE);
    text.push('\n');
    text
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:01} s", duration.as_secs(), duration.subsec_millis() / 100)
}

/// What a unit does, in words.
pub(crate) fn describe(unit: &Unit, now: Duration) -> String {
    let mut text = match &unit.current {
        Current::Waiting { until } => format!("starts in {}", seconds(until.saturating_sub(now))),
        Current::Starting { .. } => "starting".to_owned(),
        Current::Running { since } => format!("running for {}", seconds(now.saturating_sub(*since))),
        Current::Stopping { .. } => "stopping".to_owned(),
        Current::Killed => "killed".to_owned(),
        Current::Ended => "ended".to_owned(),
    };
    if let Some(last) = &unit.last {
        let _ = write!(text, ", {} restarts, last time {}", unit.restarts, Ended(last));
    }
    text
}

/// An outcome in words.
pub(crate) struct Ended<'a>(pub(crate) &'a Outcome);

impl std::fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Outcome::NotStarted(why) => write!(f, "not started ({why})"),
            Outcome::Ended(exit) => write!(f, "{exit}"),
        }
    }
}

/// Interface and address of everything but loopback and link-local.
pub(crate) fn addresses() -> Vec<(String, String)> {
    let Ok(interfaces) = getifaddrs() else { return vec![] };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let ip: std::net::IpAddr = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
                (Some(v4), _) => v4.ip().into(),
                (_, Some(v6)) if !v6.ip().is_unicast_link_local() => v6.ip().into(),
                _ => return None,
            };
            (!ip.is_loopback()).then(|| (interface.interface_name, ip.to_string()))
        })
        .collect()
}

/// How long each part of the boot took: a line on the console, and in `/run/coracle/boot-times` a line each, `name began
/// took`, in microseconds since the kernel's clock began.
pub(crate) fn report_timeline(machine: &Machine, now: Duration) {
    let mut parts = stage1_parts(machine);
    parts.extend(machine.timeline.iter().copied());
    let (mut text, mut shown) = (String::new(), String::new());
    for part in &parts {
        let name = part.name.replace(' ', "-");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {} {}", part.began.as_micros(), part.took.as_micros());
        let _ = write!(shown, " {name}={}ms", part.took.as_millis());
    }
    info!("boot timeline total={}ms{shown}", now.as_millis());
    let path = format!("{}/boot-times", paths::RUN);
    if let Err(error) = fs::write(&path, text) {
        warning!("boot times are not written path={path} error={error:?}");
    }
}

/// The kernel's part and stage 1's, from the times that stage 1 noted.
fn stage1_parts(machine: &Machine) -> Vec<Timed> {
    const STEPS: [&str; 7] = ["began", "mounted", "found", "noted", "opened", "root", "handed"];
    const NAMES: [&str; 7] = ["kernel", "stage1 mounts", "disk", "boot record", "verity", "root", "handover"];
    let mut began = Duration::ZERO;
    let mut parts = vec![];
    for (step, name) in STEPS.into_iter().zip(NAMES) {
        let noted = machine.facts.get(&format!("time.{step}")).and_then(|nanos| nanos.parse().ok());
        let Some(reached) = noted.map(Duration::from_nanos) else { continue };
        parts.push(Timed { name, began, took: reached.saturating_sub(began) });
        began = reached;
    }
    parts
}
