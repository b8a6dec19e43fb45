//! The versions that nothing may fall below.
//!
//! The root's never falls. The others hold as long as the same keys sign timestamps and snapshots: a root that replaces one of them
//! says that they were in wrong hands, which may have raised the versions out of reach (TUF 5.3.11).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Role};

/// The versions of the four roles' metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of the root.
    pub root: u64,
    /// Of the timestamp.
    pub timestamp: u64,
    /// Of the snapshot.
    pub snapshot: u64,
    /// Of the list of targets.
    pub targets: u64,
}

/// The IDs of the keys that sign timestamps and snapshots, each with its role.
pub(crate) type OnlineKeys = BTreeSet<String>;

/// What was verified once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The versions.
    #[serde(flatten)]
    pub versions: Versions,
    /// The keys that signed timestamp and snapshot then.
    pub(crate) online_keys: OnlineKeys,
}

impl Floor {
    /// Holds versions that were verified now, under a root with those keys, against what was verified before.
    pub(crate) fn check(&self, now: &Floor) -> Result<(), Error> {
        let rotated = now.online_keys != self.online_keys;
        let (floor, got) = (self.versions, now.versions);
        for (role, floor, got) in [
            (Role::Root, floor.root, got.root),
            (Role::Timestamp, floor.timestamp, got.timestamp),
            (Role::Snapshot, floor.snapshot, got.snapshot),
            (Role::Targets, floor.targets, got.targets),
        ] {
            if got < floor && (role == Role::Root || !rotated) {
                return Err(Error::Rollback { role, floor, got });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(root: u64, rest: [u64; 3], keys: &[&str]) -> Floor {
        let [timestamp, snapshot, targets] = rest;
        let online_keys = keys.iter().map(|&key| key.to_owned()).collect();
        Floor { versions: Versions { root, timestamp, snapshot, targets }, online_keys }
    }

    #[test]
    fn each_role_has_its_floor() {
        let before = floor(2, [5, 5, 5], &["a", "b"]);
        assert!(before.check(&before).is_ok());
        assert!(before.check(&floor(3, [6, 5, 5], &["a", "b"])).is_ok());
        for (now, role) in [
            (floor(1, [5, 5, 5], &["a", "b"]), Role::Root),
            (floor(2, [4, 9, 9], &["a", "b"]), Role::Timestamp),
            (floor(2, [9, 4, 9], &["a", "b"]), Role::Snapshot),
            (floor(2, [9, 9, 4], &["a", "b"]), Role::Targets),
        ] {
            let error = before.check(&now).unwrap_err();
            assert!(matches!(error, Error::Rollback { role: got, .. } if got == role), "{error}");
        }
    }

    #[test]
    fn new_online_keys_lift_all_but_the_root() {
        let before = floor(2, [900, 900, 900], &["a", "b"]);
        assert!(before.check(&floor(3, [1, 1, 1], &["a", "c"])).is_ok());
        assert!(before.check(&floor(1, [1, 1, 1], &["a", "c"])).is_err());
    }
}
