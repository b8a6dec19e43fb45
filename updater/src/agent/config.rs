//! What a step of the state machine looks at besides its state: how the machine is configured, what time it is, and chance.

use coracle_layout::partition::Partition;
use coracle_rollout::Settings;
use coracle_rollout::backoff::Jitter;
use coracle_rollout::machine::Config;
use coracle_rollout::waves::{ALL, NodeId, Place, Seed};
use coracle_trust::Clock;
use sha2::{Digest, Sha256};

use super::{Error, Sure, machine::Machine, poll};

/// As the image has it; the node's name for the waves is made of the machine's identifier.
pub(super) fn config(settings: &Settings, machine: &Machine, machine_id: &str) -> Result<Config, Error> {
    let root = Partition::Root(machine.running.slot.other());
    let digest = Sha256::new().chain_update(b"coracle.node.v1").chain_update(machine_id).finalize();
    let node = digest.first_chunk::<16>().copied().unwrap_or_default();
    let place = settings.place_permille.map(|permille| {
        let share = u64::from(permille) * u64::from(u32::MAX) / u64::from(ALL);
        Place::Fixed(Seed(u32::try_from(share).unwrap_or(u32::MAX)))
    });
    Ok(Config {
        line: settings.line.clone(),
        place: place.unwrap_or(Place::Drawn(NodeId(node))),
        max: settings.max,
        schedule: settings.schedule.clone(),
        approval: settings.approval,
        slot_bytes: machine.size(root)?,
        min_between: settings.min_between(),
    })
}

/// The machine's clock, as far as anybody knows. Without time servers nothing but the clock itself says what time it is.
pub(super) fn clock(settings: &Settings, sure: Sure) -> Clock {
    match settings.time_servers.is_empty() || sure == Sure::Yes {
        true => Clock::Set(poll::shown()),
        false => Clock::Unset,
    }
}

pub(super) fn jitter() -> Jitter {
    let mut bytes = [0; 4];
    // Without chance every machine waits for as long as the longest one.
    let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    Jitter(drawn.map_or(u32::MAX, |_| u32::from_le_bytes(bytes)))
}
