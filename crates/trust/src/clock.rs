//! What time it is when nobody has said so.
//!
//! | clock | metadata is judged at | what a wrong clock can do |
//! |---|---|---|
//! | not set by anybody yet | the floor | let metadata pass that expired after the floor: no worse than the day the image was made |
//! | set, by the network's time | that time, or the floor if it is later | set ahead: everything looks expired until it is right again; set back: as above |
//!
//! The floor is the later of the moment the image was made and of the last refresh with a clock that was set. A clock that was set
//! ahead when that was noted would hold the floor up for years; so a set clock below the noted time lowers it again, and says so
//! ([`Note::ClockSetBack`](crate::Note::ClockSetBack)). The version floors hold whatever the clock says.

use coracle_rollout::Time;

/// The machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Nobody has set it since the boot: what it shows is whatever the hardware remembers.
    Unset,
    /// It was set, and shows this.
    Set(Time),
}

/// The time to judge by, and what to note for the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) now: Time,
    pub(crate) noted: Option<Time>,
    pub(crate) set_back: bool,
}

impl Clock {
    pub(crate) fn judge(self, built: Time, noted: Option<Time>) -> Judged {
        match self {
            Self::Unset => {
                Judged { now: noted.map_or(built, |noted| noted.max(built)), noted, set_back: false }
            }
            Self::Set(time) => Judged {
                now: time.max(built),
                noted: Some(time.max(built)),
                set_back: noted.is_some_and(|noted| time < noted),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_what_is_known_for_sure() {
        let at = Time::from_unix;
        let judged =
            |now, noted: Option<u64>, set_back| Judged { now: at(now), noted: noted.map(at), set_back };
        for (clock, noted, want) in [
            (Clock::Unset, None, judged(100, None, false)),
            (Clock::Unset, Some(50), judged(100, Some(50), false)),
            (Clock::Unset, Some(200), judged(200, Some(200), false)),
            (Clock::Set(at(300)), None, judged(300, Some(300), false)),
            (Clock::Set(at(300)), Some(200), judged(300, Some(300), false)),
            (Clock::Set(at(150)), Some(200), judged(150, Some(150), true)),
            (Clock::Set(at(7)), Some(200), judged(100, Some(100), true)),
            (Clock::Set(at(7)), None, judged(100, Some(100), false)),
        ] {
            assert_eq!(clock.judge(at(100), noted.map(at)), want, "{clock:?} {noted:?}");
        }
    }
}
