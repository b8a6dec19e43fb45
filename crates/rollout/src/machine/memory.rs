//! What outlives an update.

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use crate::{
    deny::{Denial, DenyList},
    orders::Orders,
    system::{Epoch, System},
    text,
    time::Time,
};

/// What outlives an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What the operator has ordered.
    pub orders: Orders,
    /// What was rejected.
    pub deny: DenyList,
    /// The highest epoch that was ever blessed.
    pub epoch: Epoch,
    /// The highest security floor that was ever told.
    #[serde(with = "text::option")]
    pub security_floor: Option<OsVersion>,
    /// What was blessed last.
    pub confirmed: Option<System>,
    /// Updates to one release that did not work out, in a row.
    pub failures: Option<Failures>,
    /// A release whose tries were all cut short, once.
    #[serde(with = "text::option")]
    pub cut_short: Option<RootHash>,
    /// When the last update began.
    #[serde(with = "text::option")]
    pub last_start: Option<Time>,
    /// Reboots for one release that were given up, as it was not started, in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_booted: Option<Failures>,
    /// When the health gates had not held in time after a rollback. They are not watched any more.
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    pub unwell: Option<Time>,
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// Of which release.
    #[serde(with = "text")]
    pub root: RootHash,
    /// How many.
    pub count: u32,
}

/// Something to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The operator's orders are these now.
    Orders(Orders),
    /// An update began.
    Started(Time),
    /// It did not work out.
    Failed(RootHash),
    /// A system was blessed.
    Confirmed(System, Epoch),
    /// One was rejected.
    Denied(Denial),
    /// The reboots for it were given up, as it was not started.
    NotBooted(RootHash),
    /// Its tries were all cut short.
    CutShort(RootHash),
    /// After a rollback the health gates held, or did not in time.
    Unwell(Option<Time>),
    /// The operator lets failures and rejections be forgotten: of one version, or of all.
    Forgiven(Option<OsVersion>),
    /// The publisher names a security floor.
    Floor(OsVersion),
}

impl Memory {
    /// Remembers it.
    pub fn note(&mut self, note: Note) {
        match note {
            Note::Orders(orders) => self.orders = orders,
            Note::Started(at) => self.last_start = Some(at),
            Note::Failed(root) => {
                self.failures = Some(one_more(self.failures, root));
            }
            Note::NotBooted(root) => self.not_booted = Some(one_more(self.not_booted, root)),
            Note::Confirmed(system, epoch) => {
                self.confirmed = Some(system);
                self.epoch = self.epoch.max(epoch);
                (self.failures, self.cut_short, self.unwell) = (None, None, None);
                self.not_booted = None;
            }
            Note::Denied(denial) => self.deny.add(denial),
            Note::CutShort(root) => self.cut_short = Some(root),
            Note::Unwell(at) => self.unwell = at,
            Note::Forgiven(version) => {
                (self.failures, self.cut_short, self.not_booted) = (None, None, None);
                self.deny.lift(version);
            }
            Note::Floor(floor) => self.security_floor = self.security_floor.max(Some(floor)),
        }
    }

    pub(super) fn failures_of(&self, root: RootHash) -> u32 {
        of(self.failures, root)
    }

    pub(super) fn not_booted(&self, root: RootHash) -> u32 {
        of(self.not_booted, root)
    }
}

fn of(failures: Option<Failures>, root: RootHash) -> u32 {
    failures.filter(|failures| failures.root == root).map_or(0, |failures| failures.count)
}

fn one_more(failures: Option<Failures>, root: RootHash) -> Failures {
    Failures { root, count: of(failures, root).saturating_add(1) }
}
