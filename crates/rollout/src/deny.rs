//! The releases that this machine rejected, and why. They are never installed again.

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use crate::{system::System, text, time::Time};

/// The most rejections remembered: four times the releases of a manifest. Beyond, the lowest version is forgotten.
pub const MAX_DENIED: usize = 256;
/// The longest reason, in bytes; a longer one is cut at a character.
pub const MAX_REASON: usize = 512;

/// In which way a release was bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Its stage 1 never ran: the firmware or the boot manager did not load it, or the kernel died at once.
    NeverStarted,
    /// Its stage 1 gave up, or a block did not verify: its copy on this disk is no good.
    Stage1,
    /// Its kernel left a crash record.
    Panic,
    /// The watchdog ended it.
    Hang,
    /// It ran, and its health gates did not hold in time.
    Unhealthy,
    /// It was cut short each time: nothing says that it failed, nor that it would have held.
    CutShort,
    /// The operator went back.
    Operator,
}

impl Class {
    /// Whether it says nothing of the release itself, but of the copy on this disk or of the power: that may be installed anew.
    pub fn is_rot(self) -> bool {
        matches!(self, Self::Stage1 | Self::NeverStarted | Self::CutShort)
    }
}

/// One rejection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What was rejected; its root hash decides.
    pub system: System,
    /// In which way it was bad.
    pub class: Class,
    /// What is known besides: stage 1's reason, the last lines of the console.
    pub reason: String,
    /// When it was rejected.
    #[serde(with = "text")]
    pub at: Time,
}

/// What was rejected, one entry for a root hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DenyList(Vec<Denial>);

impl DenyList {
    /// The rejection of that root.
    pub fn get(&self, root: RootHash) -> Option<&Denial> {
        self.0.iter().find(|denial| denial.system.root == root)
    }

    /// All of them, the latest last.
    pub fn iter(&self) -> impl Iterator<Item = &Denial> {
        self.0.iter()
    }

    /// Adds a rejection, in place of an earlier one of the same root.
    pub fn add(&mut self, mut denial: Denial) {
        denial.reason.truncate(denial.reason.floor_char_boundary(MAX_REASON));
        self.0.retain(|other| other.system.root != denial.system.root);
        self.0.push(denial);
        if self.0.len() > MAX_DENIED {
            let lowest = self.0.iter().map(|denial| denial.system.version).min();
            let index = self.0.iter().position(|denial| Some(denial.system.version) == lowest);
            index.map(|index| self.0.remove(index));
        }
    }

    /// Lets a version be tried again; `None`: all of them.
    pub fn lift(&mut self, version: Option<OsVersion>) {
        self.0.retain(|denial| version.is_some_and(|version| denial.system.version != version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn denial(version: &str, reason: &str) -> Denial {
        let at = Time::from_unix(1_800_000_000);
        Denial { system: fixture::system(version), class: Class::Panic, reason: reason.to_owned(), at }
    }

    #[test]
    fn a_root_is_denied_once_until_it_is_lifted() {
        let mut list = DenyList::default();
        for reason in ["first", &"é".repeat(MAX_REASON)] {
            list.add(denial("1.4.0", reason));
        }
        list.add(denial("1.5.0", "x"));
        let root = fixture::system("1.4.0").root;
        assert_eq!(list.iter().count(), 2);
        assert_eq!(list.get(root).unwrap().reason, "é".repeat(MAX_REASON / 2));
        list.lift(Some(fixture::version("1.4.0")));
        assert!(list.get(root).is_none() && list.get(fixture::system("1.5.0").root).is_some());
        list.lift(None);
        assert_eq!(list, DenyList::default());
    }

    #[test]
    fn the_list_is_bounded_and_forgets_what_is_oldest() {
        let mut list = DenyList::default();
        for n in (0..MAX_DENIED + 3).rev() {
            list.add(denial(&format!("1.{n}.0"), ""));
        }
        assert_eq!(list.iter().count(), MAX_DENIED);
        assert!(list.get(fixture::system("1.0.0").root).is_none());
        assert!(list.get(fixture::system(&format!("1.{MAX_DENIED}.0")).root).is_some());
    }
}
