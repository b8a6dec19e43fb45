//! What acts do to the world, and what they answer.

use super::*;

impl World {
    /// What the act does to the world when all goes well.
    pub(super) fn carry_out(&mut self) {
        let running = self.setting.running;
        let (here, there) = (running.slot as usize, running.slot.other() as usize);
        let offered = self.state.job().and_then(Job::offer).map(|offer| (offer.system, offer.uki.sha256));
        match self.act.clone().unwrap() {
            Act::Prepare { .. } => {
                (self.files[there], self.slots[there], self.uki) = (None, None, None);
                self.setting.other = None;
            }
            Act::Verify { root, .. } => self.slots[there] = Some(root),
            Act::FetchUki { .. } => {
                let (system, digest) = offered.unwrap();
                self.files[there].take_if(|file| file.system == system);
                self.uki = Some(digest);
            }
            Act::TakeLock => self.locked = true,
            Act::ReleaseLock => self.locked = false,
            Act::Activate { way: Way::OneShot, .. } => self.one_shot = true,
            Act::Activate { way: Way::NewEntry, .. } => {
                let (system, digest) = offered.unwrap();
                self.one_shot = system.version < running.system.version;
                if self.files[there].is_none() {
                    assert_eq!(self.uki.take(), Some(digest), "an entry without its UKI");
                    self.files[there] = Some(File { system, tries: Some(TRIES) });
                }
            }
            Act::Bless { demote, .. } => {
                self.files[here].as_mut().unwrap().tries = None;
                if demote.is_some() {
                    self.files[there].as_mut().unwrap().tries = Some(0);
                    self.setting.other = None;
                }
            }
            Act::Discard(undo) | Act::Recover(undo) => match undo {
                Undo::OneShot => self.one_shot = false,
                Undo::Entry(root) => {
                    self.uki = None;
                    self.files[there].take_if(|file| file.system.root == root);
                }
            },
            Act::Rest { until } => self.setting.now = self.setting.now.max(until.unwrap_or(self.setting.now)),
            Act::Write { .. } | Act::Drain | Act::Reboot | Act::Watch => {}
        }
    }

    /// What it answers then, or with bad luck; `None`: nothing yet.
    pub(super) fn answer(&self, luck: bool) -> Option<Event> {
        let bad = self.running().version.to_string().ends_with('5');
        Some(match (self.act.as_ref()?, luck) {
            (Act::Rest { until }, _) => return until.map(|_| Event::Due),
            (Act::Reboot, _) => return None,
            (Act::Watch, _) if bad => return None,
            (Act::Watch, _) | (Act::Recover(_), true) => Event::Healthy,
            (Act::Recover(_), false) => Event::Unhealthy,
            (Act::Drain, _) => Event::Drained,
            (Act::Prepare { .. }, true) => Event::Prepared,
            (Act::Write { .. }, true) => Event::Written,
            (Act::Verify { root, .. }, true) => Event::Verified(*root),
            (Act::FetchUki { .. }, true) => Event::Fetched(self.state.job()?.offer()?.uki.sha256),
            (Act::TakeLock, true) => Event::LockTaken,
            (Act::Activate { .. }, true) => Event::Activated,
            (Act::Bless { .. }, true) => Event::Blessed,
            (Act::ReleaseLock, true) => Event::LockReleased,
            (Act::Discard(_), true) => Event::Discarded,
            (Act::Write { .. } | Act::FetchUki { .. }, false) if self.random.is_multiple_of(3) => {
                Event::Trouble(Trouble::Unreachable { retry_after: None })
            }
            (Act::Write { .. } | Act::FetchUki { .. }, false) => Event::Trouble(Trouble::Corrupt),
            (Act::TakeLock, false) => Event::LockRefused { retry_after: None },
            (_, false) => Event::Trouble(Trouble::Io),
        })
    }
}
