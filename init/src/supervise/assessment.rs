//! Whether a boot has proved itself, and what proves it. Pure.
//!
//! A boot is good when every unit has settled. But of a boot on trial in an image with an updater the updater says so
//! ([`Request::Good`](coracle_layout::control::Request::Good)), before the deadline: it has gates of its own. So an updater that
//! never comes to it leads back to the other entry, as units that do not settle do.

use std::time::Duration;

use crate::boot::Mode;

/// Whether this boot has proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assessment {
    /// It may until then.
    Until(Duration),
    /// It has.
    Good,
    /// It had its time.
    Missed,
}

/// What proves a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// That every unit has settled.
    Units,
    /// The updater's word alone.
    Word,
    /// Nothing: its state is missing.
    Nothing,
}

/// Who speaks for a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Updater {
    /// The image has one.
    Here,
    /// It has none.
    None,
}

impl Proof {
    /// What proves a boot like this; one on trial is counted by the boot loader.
    pub(crate) fn of(mode: Mode, is_on_trial: bool, updater: Updater) -> Self {
        match (mode, updater) {
            (Mode::Recovery, _) => Self::Nothing,
            (_, Updater::Here) if is_on_trial => Self::Word,
            _ => Self::Units,
        }
    }
}

impl Assessment {
    /// What the time and the units make of it. One that missed its deadline may still come to good.
    pub(crate) fn next(self, proof: Proof, now: Duration, is_settled: bool) -> Self {
        match self {
            Self::Until(_) | Self::Missed if is_settled && proof == Proof::Units => Self::Good,
            Self::Until(deadline) if now >= deadline => Self::Missed,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_updater_speaks_for_boots_on_trial_alone() {
        for (mode, is_on_trial, updater, proof) in [
            (Mode::Normal, true, Updater::Here, Proof::Word),
            (Mode::Volatile, true, Updater::Here, Proof::Word),
            (Mode::Normal, false, Updater::Here, Proof::Units),
            (Mode::Normal, true, Updater::None, Proof::Units),
            (Mode::Volatile, false, Updater::None, Proof::Units),
            (Mode::Recovery, true, Updater::Here, Proof::Nothing),
            (Mode::Recovery, false, Updater::None, Proof::Nothing),
        ] {
            assert_eq!(Proof::of(mode, is_on_trial, updater), proof, "{mode:?} {is_on_trial} {updater:?}");
        }
    }

    #[test]
    fn settled_units_count_where_they_prove_and_a_deadline_always() {
        let until = Assessment::Until(AT(9));
        for (before, proof, now, is_settled, after) in [
            (until, Proof::Units, 8, false, until),
            (until, Proof::Units, 8, true, Assessment::Good),
            (until, Proof::Units, 9, true, Assessment::Good),
            (until, Proof::Units, 9, false, Assessment::Missed),
            (until, Proof::Word, 8, true, until),
            (until, Proof::Word, 9, true, Assessment::Missed),
            (until, Proof::Nothing, 9, true, Assessment::Missed),
            (Assessment::Missed, Proof::Units, 99, true, Assessment::Good),
            (Assessment::Missed, Proof::Word, 99, true, Assessment::Missed),
            (Assessment::Good, Proof::Units, 99, false, Assessment::Good),
            (Assessment::Good, Proof::Word, 99, false, Assessment::Good),
        ] {
            assert_eq!(
                before.next(proof, AT(now), is_settled),
                after,
                "{before:?} {proof:?} {now} {is_settled}"
            );
        }
    }
}
