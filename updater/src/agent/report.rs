//! What the agent tells an operator.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::{fs, io};

use coracle_log::warning;
use coracle_rollout::operator::{Report, Traffic};

use super::{Agent, Sure};
use crate::keep::{Kept, Store};

/// The file of the last update's bytes.
const TRAFFIC: &str = "traffic";

impl Agent {
    /// How things stand.
    pub(super) fn report(&self) -> Report {
        let now = self.now();
        let ctx = self.context();
        let (state, memory) = (&self.journal.state, &self.journal.memory);
        let status = state.status(&ctx);
        let running = self.tools.machine.running;
        Report {
            running: running.system,
            slot: running.slot.to_string(),
            epoch: running.epoch,
            state: state.name().to_owned(),
            doing: status.to_string(),
            until: status.until(),
            update: state.job().map(|job| job.system()),
            trouble: self.trouble,
            other: self.other,
            confirmed: memory.confirmed,
            orders: memory.orders,
            denied: memory.deny.iter().cloned().collect(),
            repository: self.repository.clone(),
            traffic: self.traffic_now().unwrap_or(self.traffic),
            health: self.health.clone().or_else(|| {
                memory.unwell.map(|at| format!("did not hold after the rollback, and was left alone at {at}"))
            }),
            peak_memory: peak_memory(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
            time: now,
            time_is_sure: self.sure == Sure::Yes && !self.tools.settings.time_servers.is_empty(),
        }
    }

    /// That of the update under way.
    pub(super) fn traffic_now(&self) -> Option<Traffic> {
        let full = &self.journal.state.job()?.offer()?.full;
        Some(Traffic {
            fetched: self.tools.fetched.load(Ordering::Relaxed),
            full: full.root.bytes.saturating_add(full.uki.bytes),
        })
    }

    /// Keeps it over the reboot: afterwards it is the last one's.
    pub(super) fn keep_traffic(&mut self) {
        let Some(traffic) = self.traffic_now().filter(|traffic| *traffic != self.traffic) else { return };
        self.traffic = traffic;
        let bytes = serde_json::to_vec(&traffic).map_err(io::Error::from);
        let kept = bytes.and_then(|bytes| Kept::open(&self.state.folder(), TRAFFIC, 4096)?.save(&bytes));
        if let Err(error) = kept {
            warning!("traffic not kept error=\"{error}\"");
        }
    }
}

/// That of the last update: nothing, where there was none, or none that can be read.
pub(super) fn kept_traffic(folder: &Path) -> Traffic {
    let bytes = Kept::open(folder, TRAFFIC, 4096).and_then(|kept| kept.load()).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// `VmHWM` of `/proc/PID/status` (proc(5)), in bytes.
fn peak_memory(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(0, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_memory_it_was() {
        assert_eq!(peak_memory("Name:\tupdater\nVmHWM:\t    8704 kB\nVmRSS:\t    8192 kB\n"), 8704 << 10);
        assert_eq!(peak_memory(""), 0);
    }
}
