//! What is known of this machine and this boot.

use std::{collections::BTreeMap, fs, time::Duration};

use coracle_layout::{
    RootHash,
    cmdline::{self, Cmdline},
    pairs, paths,
};

use coracle_uki::Assessment;

use super::{Error, Timed};
use crate::{
    disk::{Devices, Disk},
    watchdog::Watchdog,
};

/// Whether workloads run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything runs.
    Normal,
    /// Everything runs, but what is written is gone with the power: the state partition could not be used.
    Volatile,
    /// The state partition could not be used, and workloads are held.
    Recovery,
}

/// What to do when the state partition cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStateFailure {
    /// Come up without workloads.
    Recover,
    /// Go on with state in memory.
    Volatile,
}

/// What is known of this machine and this boot.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) mode: Mode,
    pub(crate) on_state_failure: OnStateFailure,
    pub(crate) deadline: Duration,
    /// From the command line.
    pub(crate) host_name: Option<String>,
    /// `None` where stage 1 was not told one.
    pub(crate) root: Option<RootHash>,
    /// What stage 1 said, by key.
    pub(crate) facts: BTreeMap<String, String>,
    /// Fed after each phase, then by the loop.
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) timeline: Vec<Timed>,
    pub(crate) degraded: Vec<&'static str>,
    pub(crate) machine_id: String,
    pub(crate) version: String,
}

impl Machine {
    /// Before anything is known.
    pub(crate) fn new() -> Self {
        Self {
            mode: Mode::Normal,
            on_state_failure: OnStateFailure::Recover,
            deadline: cmdline::DEFAULT_DEADLINE,
            host_name: None,
            root: None,
            facts: BTreeMap::new(),
            watchdog: None,
            timeline: vec![],
            degraded: vec![],
            machine_id: String::new(),
            version: String::new(),
        }
    }

    /// A fact of stage 1 that must be there.
    pub(crate) fn fact(&self, key: &'static str) -> Result<&str, Error> {
        self.facts.get(key).map(String::as_str).ok_or(Error::Fact { fact: key })
    }

    /// Whether the boot loader counts this boot's failures: then another entry gets its turn when there are too many.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.facts.get("entry").is_some_and(|entry| entry == Assessment::Indeterminate.word())
    }

    /// The disk that this system was booted from.
    pub(crate) fn disk(&self) -> Result<Disk, Error> {
        let node = self.fact("disk")?;
        Ok(Devices::real().disk(node.strip_prefix("/dev/").unwrap_or(node))?)
    }

    fn take_command_line(&mut self, text: &str) {
        let line = Cmdline::new(text);
        if line.value(cmdline::STATE) == Some(cmdline::STATE_VOLATILE) {
            self.on_state_failure = OnStateFailure::Volatile;
        }
        if let Some(seconds) = line.value(cmdline::DEADLINE).and_then(|value| value.parse().ok()) {
            self.deadline = Duration::from_secs(seconds);
        }
        self.host_name = line.value(cmdline::HOST_NAME).map(str::to_owned);
        self.root = line.value(cmdline::ROOT_HASH).and_then(|value| value.parse().ok());
    }
}

/// Reads the command line, what stage 1 left, and the version of the image.
pub(super) fn read_facts(machine: &mut Machine) -> Result<(), Error> {
    let read = |path: &str| fs::read_to_string(path).map_err(Error::os("read", path));
    machine.take_command_line(&read("/proc/cmdline")?);
    machine.facts = pairs(&read(paths::STAGE1_FACTS)?);
    machine.version = pairs(&read("/usr/lib/os-release")?).remove("IMAGE_VERSION").unwrap_or_default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_sets_what_it_names_and_nothing_else() {
        let mut machine = Machine::new();
        machine.take_command_line("quiet");
        assert_eq!(machine.on_state_failure, OnStateFailure::Recover);
        assert_eq!((machine.deadline, machine.root), (cmdline::DEFAULT_DEADLINE, None));
        let hash = RootHash::new([7; 32]);
        machine.take_command_line(&format!(
            "roothash={hash} coracle.state=volatile coracle.deadline=90 systemd.hostname=edge"
        ));
        assert_eq!(machine.on_state_failure, OnStateFailure::Volatile);
        assert_eq!((machine.deadline, machine.root), (Duration::from_secs(90), Some(hash)));
        assert_eq!(machine.host_name.as_deref(), Some("edge"));
        machine.take_command_line("coracle.deadline=soon coracle.state=maybe");
        assert_eq!(machine.deadline, Duration::from_secs(90), "nonsense changes nothing");
    }
}
