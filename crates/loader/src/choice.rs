//! Which entry is started.
//!
//! | # | asked | of |
//! |---|---|---|
//! | 1 | `LoaderEntryOneShot`, which the loader forgets before it starts anything | the first entry in order that the pattern means |
//! | 2 | `LoaderEntryDefault`, or for `@saved` the entry that was started last | the same |
//! | 3 | `default` of `loader.conf`, `@saved` likewise | the same |
//! | 4 | | the first entry in order |
//!
//! Tries are looked at by the order alone: a pin starts an entry that has none left.

use std::cmp::{Ordering, Reverse};

use crate::file::{Facts, File};
use crate::{pattern, version};

/// Stands in a pin for the entry that was started last.
const SAVED: &str = "@saved";

/// What names an entry to be started before all others; patterns, in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// The variable `LoaderEntryOneShot`.
    pub one_shot: Option<String>,
    /// The variable `LoaderEntryDefault`.
    pub default: Option<String>,
    /// `default` in `loader/loader.conf`.
    pub configured: Option<String>,
    /// The variable `LoaderEntryLastBooted`.
    pub last_booted: Option<String>,
}

impl Pins {
    /// Those that count, the first first.
    fn in_turn(&self) -> impl Iterator<Item = String> {
        let saved = |pin: &Option<String>| {
            let pin = pin.as_ref()?.to_ascii_lowercase();
            if pin == SAVED { self.last_booted.as_ref().map(|id| id.to_ascii_lowercase()) } else { Some(pin) }
        };
        let one_shot = self.one_shot.as_ref().map(|pin| pin.to_ascii_lowercase());
        [one_shot, saved(&self.default), saved(&self.configured)].into_iter().flatten()
    }
}

/// The entry that is started; `None` if there is none, and the menu waits.
pub fn choose<'a>(files: &'a [File], pins: &Pins) -> Option<&'a File> {
    let entries = order(files);
    let meant = |pin: String| entries.iter().copied().find(|entry| pattern::matches(&pin, &entry.id()));
    pins.in_turn().find_map(meant).or_else(|| entries.first().copied())
}

/// The entries among `files` as the menu shows them. Those that differ in nothing stay as the folder has them.
pub fn order(files: &[File]) -> Vec<&File> {
    let mut entries: Vec<&File> = files.iter().filter(|file| file.facts().is_some()).collect();
    entries.sort_by(|a, b| compare(a, b));
    entries
}

/// | # | first is |
/// |---|---|
/// | 1 | the one that has tries left, or no counter |
/// | 2 | the one with a sort key |
/// | 3 | if both have one: by sort key, then the newer version |
/// | 4 | the newer version, reading the file names as such |
/// | 5 | if both have a counter: the one with more tries left, then the one with fewer done |
fn compare(a: &File, b: &File) -> Ordering {
    let none = Facts::default();
    let (own, other) = (a.facts().unwrap_or(&none), b.facts().unwrap_or(&none));
    let is_exhausted = |file: &File| file.tries().is_some_and(|tries| tries.left == 0);
    let by_version = |a: &str, b: &str| version::compare(b, a);
    let keyed = match (&own.sort_key, &other.sort_key) {
        (Some(a), Some(b)) => {
            let text = |version: &Option<String>| version.clone().unwrap_or_default();
            a.encode_utf16()
                .cmp(b.encode_utf16())
                .then_with(|| by_version(&text(&own.version), &text(&other.version)))
        }
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    let counted = || match (a.tries(), b.tries()) {
        (Some(a), Some(b)) => Reverse(a.left).cmp(&Reverse(b.left)).then(a.done.cmp(&b.done)),
        _ => Ordering::Equal,
    };
    is_exhausted(a)
        .cmp(&is_exhausted(b))
        .then(keyed)
        .then_with(|| by_version(&a.id(), &b.id()))
        .then_with(counted)
}

#[cfg(test)]
mod tests;
