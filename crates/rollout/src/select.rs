//! Which release a machine goes to next, or what keeps it.
//!
//! The newest release that nothing stands against, but never past a stepping stone that has not been run. Whatever
//! stands against a release has a name here, since the operator asks why.

mod answer;

use coracle_layout::OsVersion;

pub use answer::{Choice, Fault, Obstacle, Offer, Standing};

use crate::{
    deny::DenyList,
    label::Line,
    manifest::{Manifest, Release},
    orders::{Downgrade, Hold, Orders, Urgency},
    system::{Epoch, System},
    time::Time,
    trusted::Trusted,
    waves::Place,
};

/// What is known of the machine that asks.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The line of releases that it follows.
    pub line: &'a Line,
    /// What it runs.
    pub running: System,
    /// The lowest epoch that it accepts.
    pub epoch: Epoch,
    /// The highest security floor that it was ever told, if any.
    pub security_floor: Option<OsVersion>,
    /// The size of a root slot.
    pub slot_bytes: u64,
    /// Its place in the waves.
    pub place: Place,
    /// The highest version that its configuration allows.
    pub max: Option<OsVersion>,
    /// What its operator has ordered.
    pub orders: &'a Orders,
    /// What it has rejected.
    pub deny: &'a DenyList,
    /// The time; the last time that was certain, where the clock is not.
    pub now: Time,
}

impl Trusted<Manifest> {
    /// Which release `node` goes to next, or what keeps it.
    pub fn choose(&self, node: &Node<'_>) -> Result<Choice, Fault> {
        self.check(node)?;
        let pin = node.orders.pin;
        let running = node.running.version;
        if let Some(pin) = pin
            && pin.version != running
            && !self.releases.iter().any(|release| release.version == pin.version)
        {
            return Ok(Choice::PinNotOffered(pin.version));
        }
        let mut wait: Option<(OsVersion, Obstacle)> = None;
        for release in self.candidates(node) {
            let Some(obstacle) = self.obstacle(release, node) else {
                return Ok(Choice::Take(Box::new(Offer::of(release, node.running))));
            };
            let sooner = match (&wait, &obstacle) {
                (None, _) => true,
                // A time is worth more than a fact, and the next one more than a later one.
                (Some((_, Obstacle::Wave { until })), Obstacle::Wave { until: other }) => other < until,
                (Some(_), Obstacle::Wave { .. }) => true,
                (Some(_), _) => false,
            };
            if sooner {
                wait = Some((release.version, obstacle));
            }
        }
        Ok(wait.map_or(Choice::UpToDate, |(version, obstacle)| Choice::Wait { version, obstacle }))
    }

    /// Whether a release that was chosen earlier is still offered.
    pub fn standing(&self, system: System, floor: Option<OsVersion>) -> Standing {
        let listed = self.releases.iter().any(|release| release.system() == system);
        let withdrawn = self.recalled.contains(&system.version) || system.version < self.floor(floor);
        match (listed && !withdrawn, self.paused) {
            (false, _) => Standing::Withdrawn,
            (true, true) => Standing::Paused,
            (true, false) => Standing::Offered,
        }
    }

    /// When a release that was chosen earlier is for the machine at that place; `None`: it always was.
    pub fn eligible(&self, system: System, place: Place) -> Option<Time> {
        let release = self.releases.iter().find(|release| release.system() == system)?;
        Some(release.waves.as_ref()?.eligible(place.seed(system.version)))
    }

    fn check(&self, node: &Node<'_>) -> Result<(), Fault> {
        let got = self.line();
        if got != *node.line {
            return Err(Fault::OtherLine { want: Box::new(node.line.clone()), got: Box::new(got) });
        }
        let System { version, root: want } = node.running;
        match self.releases.iter().find(|release| release.version == version) {
            Some(release) if release.root.hash != want => {
                Err(Fault::Republished { version, want, got: release.root.hash })
            }
            _ => Ok(()),
        }
    }

    /// What could come next, the best first: everything newer up to the first stepping stone; of a pinned version's
    /// way, the stone or the version alone.
    fn candidates(&self, node: &Node<'_>) -> impl Iterator<Item = &Release> {
        let System { version: running, root } = node.running;
        let pin = node.orders.pin.map(|pin| pin.version);
        let stone = self
            .releases
            .iter()
            .find(|release| release.barrier && release.version > running && !self.is_recalled(release))
            .map(|release| release.version);
        let goal = pin.map(|pin| stone.map_or(pin, |stone| stone.min(pin)));
        self.releases.iter().rev().filter(move |release| {
            let wanted = match goal {
                Some(goal) => release.version == goal,
                None => release.version > running && stone.is_none_or(|stone| release.version <= stone),
            };
            // What has the running root is what runs, whatever it is called.
            wanted && pin != Some(running) && release.root.hash != root
        })
    }

    fn obstacle(&self, release: &Release, node: &Node<'_>) -> Option<Obstacle> {
        let running = node.running.version;
        let floor = self.floor(node.security_floor);
        let planned = node.orders.urgency == Urgency::Planned;
        if self.is_recalled(release) {
            return Some(Obstacle::Recalled);
        }
        if let Some(closed) = closed(release.system(), Some(release.epoch), Some(floor), node) {
            return Some(closed);
        }
        if node.slot_bytes < release.root.min_slot_bytes {
            return Some(Obstacle::SlotTooSmall { need: release.root.min_slot_bytes, have: node.slot_bytes });
        }
        if release.version < running {
            let allowed = node.orders.pin.is_some_and(|pin| pin.downgrade == Downgrade::Allow);
            return (!allowed).then_some(Obstacle::Downgrade);
        }
        if let Some(min_from) = release.min_from.filter(|from| running < *from) {
            return Some(Obstacle::TooFar { min_from });
        }
        if let Some(max) = node.max.filter(|max| release.version > *max) {
            return Some(Obstacle::Capped { max });
        }
        if planned && node.orders.hold == Hold::On {
            return Some(Obstacle::Held);
        }
        if self.paused {
            return Some(Obstacle::Paused);
        }
        let until = self.eligible(release.system(), node.place)?;
        (planned && node.now < until).then_some(Obstacle::Wave { until })
    }

    fn is_recalled(&self, release: &Release) -> bool {
        self.recalled.contains(&release.version)
    }

    fn floor(&self, known: Option<OsVersion>) -> OsVersion {
        known.map_or(self.security_floor, |known| known.max(self.security_floor))
    }
}

/// What stands against going back to a system that is still on the disk. Recalls and epochs are what a manifest knows: without one they
/// stand against nothing, and a recall does not against the pinned version.
pub fn way_back(other: System, manifest: Option<&Trusted<Manifest>>, node: &Node<'_>) -> Option<Obstacle> {
    let is_pinned = node.orders.pin.is_some_and(|pin| pin.version == other.version);
    if !is_pinned && manifest.is_some_and(|manifest| manifest.recalled.contains(&other.version)) {
        return Some(Obstacle::Recalled);
    }
    let listed = manifest.and_then(|manifest| manifest.releases.iter().find(|known| known.system() == other));
    closed(other, listed.map(|release| release.epoch), node.security_floor, node)
}

/// What stands against a system wherever it comes from: it is below the floor, of a time that was closed, or was rejected.
fn closed(
    system: System,
    epoch: Option<Epoch>,
    floor: Option<OsVersion>,
    node: &Node<'_>,
) -> Option<Obstacle> {
    if let Some(floor) = floor.filter(|floor| system.version < *floor) {
        return Some(Obstacle::BelowFloor { floor });
    }
    if let Some(epoch) = epoch.filter(|epoch| *epoch < node.epoch) {
        return Some(Obstacle::Epoch { epoch, least: node.epoch });
    }
    node.deny.get(system.root).map(|denial| Obstacle::Denied(denial.clone()))
}

#[cfg(test)]
mod tests;
