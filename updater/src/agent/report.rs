//! What the agent tells an operator.

use std::fs;
use std::sync::atomic::Ordering;

use coracle_rollout::operator::{Report, Traffic};

use super::{Agent, Sure};

impl Agent {
    /// How things stand.
    pub(super) fn report(&self) -> Report {
        let now = self.now();
        let ctx = self.context();
        let (state, memory) = (&self.journal.state, &self.journal.memory);
        let status = state.status(&ctx);
        let running = self.tools.machine.running;
        let full = state.job().and_then(|job| job.offer());
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
            traffic: Traffic {
                fetched: self.tools.fetched.load(Ordering::Relaxed),
                full: full.map_or(0, |offer| offer.full.root.bytes + offer.full.uki.bytes),
            },
            health: self.health.clone(),
            peak_memory: peak_memory(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
            time: now,
            time_is_sure: self.sure == Sure::Yes && !self.tools.settings.time_servers.is_empty(),
        }
    }
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
