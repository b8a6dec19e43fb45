//! Whether a system does what it is there for.
//!
//! Built in: the state partition is mounted; an interface has an address; services and pods run, or have done what they had
//! to; the repository answers. What the image declares comes after. All of it has to hold for so long without a break. One look takes
//! a few seconds, and half a minute for each address of the repository that says nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use coracle_layout::control::{Kind, Phase, State, Status};
use coracle_layout::paths;
use coracle_log::info;
use coracle_rollout::settings::{Gate, Reach};

use super::act::Tools;
use super::pid1::Pid1;

/// A unit counts as up when it has run for so long.
const SETTLED: u64 = 10;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The repository is asked no more often than this.
const REPOSITORY: Duration = Duration::from_secs(20);

/// A watch over the gates.
pub(crate) struct Health<'t> {
    tools: &'t Tools,
    since: Option<Instant>,
    /// What was said last.
    said: Option<Option<String>>,
    repository: Option<(Instant, bool)>,
}

impl<'t> Health<'t> {
    pub fn new(tools: &'t Tools) -> Self {
        Self { tools, since: None, said: None, repository: None }
    }

    pub fn pause(&self) -> Duration {
        PAUSE
    }

    /// Looks at everything; whether it has held for long enough.
    pub fn look(&mut self) -> bool {
        let broken = self.broken();
        if self.said.as_ref() != Some(&broken) {
            match &broken {
                Some(why) => info!("health gate does not hold gate=\"{why}\""),
                None => info!("health gates hold"),
            }
            self.said = Some(broken.clone());
            self.tools.tell_health(broken.clone());
        }
        if broken.is_some() {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_secs(self.tools.settings.health.stable_seconds.into())
    }

    /// The first gate that does not hold.
    fn broken(&mut self) -> Option<String> {
        let status = match Pid1::status(&self.tools.pid1) {
            Ok(status) => status,
            Err(error) => return Some(format!("PID 1: {error}")),
        };
        let built_in = machine(&status).or_else(|| network(&Path::new(paths::RUN_NETD).join("status")));
        let health = &self.tools.settings.health;
        built_in
            .or_else(|| {
                (health.repository == Reach::Required && !self.repository())
                    .then(|| "the repository answers".to_owned())
            })
            .or_else(|| health.gates.iter().find(|gate| !self.holds(gate, &status)).map(describe))
    }

    /// Whether it has answered lately.
    fn repository(&mut self) -> bool {
        if let Some((at, answered)) = self.repository
            && (answered || at.elapsed() < Duration::from_secs(3))
            && at.elapsed() < REPOSITORY
        {
            return answered;
        }
        let answers = |address: &String| self.tools.network.has_timestamp(address);
        let answered = self.tools.settings.repositories.iter().any(answers);
        self.repository = Some((Instant::now(), answered));
        answered
    }

    fn holds(&self, gate: &Gate, status: &Status) -> bool {
        match gate {
            Gate::Http(url) => {
                self.tools.network.status(url).is_some_and(|status| (200..400).contains(&status))
            }
            Gate::Tcp(address) => {
                address.parse::<SocketAddr>().is_ok_and(|address| self.tools.network.listens(address))
            }
            Gate::File(path) => fs::metadata(path).is_ok(),
            Gate::Container(name) => {
                status.units.iter().any(|unit| unit.name == *name && unit.phase == Phase::Running)
            }
        }
    }
}

/// State and units.
fn machine(status: &Status) -> Option<String> {
    if status.state != State::Mounted {
        return Some("the state partition is mounted".to_owned());
    }
    let is_up = |phase, seconds| match phase {
        Phase::Running => seconds >= SETTLED,
        Phase::Done => true,
        Phase::Waiting | Phase::Stopping | Phase::Ended => false,
    };
    let down = status.units.iter().find(|unit| !is_up(unit.phase, unit.seconds))?;
    let kind = match down.kind {
        Kind::Service => "service",
        Kind::Pod => "pod",
    };
    Some(format!("{kind} {} runs", down.name))
}

/// An interface with an address, as the network process tells (`netd/src/report.rs`): the agent's own network has none.
fn network(status: &Path) -> Option<String> {
    let text = fs::read_to_string(status).unwrap_or_default();
    let is_ready = |line: &str| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some("ready") && words.next().is_some_and(|addresses| addresses != "-")
    };
    (!text.lines().any(is_ready)).then(|| "an interface has an address".to_owned())
}

fn describe(gate: &Gate) -> String {
    match gate {
        Gate::Http(url) => format!("{url} answers well"),
        Gate::Tcp(address) => format!("something listens at {address}"),
        Gate::File(path) => format!("{path} is there"),
        Gate::Container(name) => format!("container {name} runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_layout::control::{Assessment, Unit};

    #[test]
    fn a_machine_is_up_when_all_of_it_is() {
        let unit = |phase, seconds| Unit { kind: Kind::Pod, name: "web".to_owned(), phase, seconds };
        let with =
            |state, units: Vec<Unit>| machine(&Status { state, assessment: Assessment::Pending, units });
        assert_eq!(with(State::Mounted, vec![]), None);
        assert_eq!(with(State::Mounted, vec![unit(Phase::Running, 10), unit(Phase::Done, 0)]), None);
        assert!(with(State::Recovery, vec![]).is_some());
        for bad in [unit(Phase::Running, 9), unit(Phase::Waiting, 0), unit(Phase::Ended, 0)] {
            assert_eq!(with(State::Mounted, vec![bad]).as_deref(), Some("pod web runs"));
        }
    }

    #[test]
    fn an_address_is_looked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, holds) in [
            ("", false),
            ("eth0 searching - dhcp\n", false),
            ("eth0 ready - dhcp\n", false),
            ("eth0 no-carrier - dhcp\neth1 ready 10.0.2.15/24 dhcp\n", true),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(network(file.path()).is_none(), holds, "{text}");
        }
        assert!(network(Path::new("/nonexistent")).is_some());
    }
}
