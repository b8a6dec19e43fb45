//! One supervised program: what it is doing, what it should be doing, and what follows.
//!
//! Pure: events and the time come in, effects go out. The loop outside carries them out and reports back.
//!
//! | state | `Due` | `Started` | `Gone` | `Stop` | `Start` |
//! |---|---|---|---|---|---|
//! | `Waiting` | start: `Starting` | | | `Ended` | |
//! | `Starting` | kill: `Killed` | `Running` | next | ask to end: `Stopping` | |
//! | `Running` | | | next | ask to end: `Stopping` | |
//! | `Stopping` | kill: `Killed` | | next | noted | noted |
//! | `Killed` | | | next | noted | noted |
//! | `Ended` | | | | | `Waiting`, if stopped |
//!
//! `next` is `Waiting` with a back-off, or `Ended` where the restart policy or an earlier `Stop` says so, or `Waiting` without
//! one where a `Start` came after that. One that ended by itself is not started by `Start`. What is empty changes nothing.

use std::time::Duration;

use coracle_layout::control::Phase;
use coracle_runtime::{exit::Exit, plan::Restart};

use super::backoff::Backoff;

/// Running this long, a program counts as up, and its earlier failures are forgotten.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

/// How long a process may take to become the program: it waits for disks where PID 1 does not.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was never started: which step failed, and why.
    NotStarted(String),
    /// It was, and ended.
    Ended(Exit),
}

/// What a program is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Current {
    /// It will be started at that time.
    Waiting { until: Duration },
    /// Its process exists and prepares itself. It will be killed at that time.
    Starting { until: Duration },
    /// The program itself runs.
    Running { since: Duration },
    /// It was asked to end, and will be killed at that time.
    Stopping { until: Duration },
    /// It was killed and has not gone yet.
    Killed,
    /// It is gone, and stays so.
    Ended,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The time that [`Unit::due`] named has come.
    Due,
    /// The process has become the program.
    Started,
    /// It is gone.
    Gone(Outcome),
    /// It should not run any more.
    Stop,
    /// It should again, if it was stopped.
    Start,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Start it; answer with `Started` or `Gone`.
    Start,
    /// Send its stop signal.
    AskToEnd,
    /// Kill its cgroup.
    Kill,
}

/// One supervised program.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) current: Current,
    /// The last ending, if there was one.
    pub(crate) last: Option<Outcome>,
    pub(crate) restarts: u32,
    restart: Restart,
    grace: Duration,
    wanted: Wanted,
    backoff: Backoff,
    /// When it began to do what [`Unit::phase`] says.
    since: Duration,
}

/// What it should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Up,
    Down,
    /// Up as soon as it is gone, whatever its policy says.
    Again,
}

impl Unit {
    /// A program to be started now.
    pub(crate) fn new(restart: Restart, grace: Duration, backoff: Backoff) -> Self {
        let current = Current::Waiting { until: Duration::ZERO };
        Self {
            current,
            last: None,
            restarts: 0,
            restart,
            grace,
            wanted: Wanted::Up,
            backoff,
            since: Duration::ZERO,
        }
    }

    /// When it wants [`Event::Due`].
    pub(crate) fn due(&self) -> Option<Duration> {
        match self.current {
            Current::Waiting { until } | Current::Starting { until } | Current::Stopping { until } => {
                Some(until)
            }
            Current::Running { .. } | Current::Killed | Current::Ended => None,
        }
    }

    /// Whether it is gone for good.
    pub(crate) fn is_ended(&self) -> bool {
        self.current == Current::Ended
    }

    /// Whether it is gone because it was told to.
    fn is_stopped(&self) -> bool {
        self.is_ended() && self.wanted == Wanted::Down
    }

    /// Whether it has been the program at least once, or is not to be.
    pub(crate) fn has_run(&self) -> bool {
        matches!(self.current, Current::Running { .. })
            || matches!(self.last, Some(Outcome::Ended(_)))
            || self.is_stopped()
    }

    /// What it is doing, and for how many seconds.
    pub(crate) fn phase(&self, now: Duration) -> (Phase, u64) {
        let phase = match self.current {
            Current::Waiting { .. } | Current::Starting { .. } => return (Phase::Waiting, 0),
            Current::Running { .. } => Phase::Running,
            Current::Stopping { .. } | Current::Killed => Phase::Stopping,
            Current::Ended if self.did_well() => Phase::Done,
            Current::Ended => Phase::Ended,
        };
        (phase, now.saturating_sub(self.since).as_secs())
    }

    /// Whether it has ended, by itself and as it should.
    fn did_well(&self) -> bool {
        !self.is_stopped() && self.last == Some(Outcome::Ended(Exit::Code(0)))
    }

    /// Whether the boot needs to wait for it no longer: it has run for a while, did what it had to, or was told to end.
    pub(crate) fn is_settled(&self, now: Duration) -> bool {
        match self.current {
            Current::Running { since } => now.saturating_sub(since) >= SETTLED,
            Current::Ended => self.is_stopped() || self.did_well(),
            _ => false,
        }
    }

    /// Takes an event. One that does not fit changes nothing.
    pub(crate) fn step(&mut self, event: Event, now: Duration) -> Effect {
        let (next, effect) = match (&self.current, event) {
            (Current::Waiting { .. }, Event::Stop) => {
                self.wanted = Wanted::Down;
                (Current::Ended, Effect::None)
            }
            (Current::Stopping { .. } | Current::Killed, Event::Stop) => {
                self.wanted = Wanted::Down;
                return Effect::None;
            }
            (Current::Stopping { .. } | Current::Killed, Event::Start) => {
                if self.wanted == Wanted::Down {
                    self.wanted = Wanted::Again;
                }
                return Effect::None;
            }
            (Current::Ended, Event::Start) if self.wanted == Wanted::Down => {
                self.wanted = Wanted::Up;
                (Current::Waiting { until: now }, Effect::None)
            }
            (Current::Waiting { until }, Event::Due) if now >= *until => {
                (Current::Starting { until: now + START_LIMIT }, Effect::Start)
            }
            (Current::Starting { .. }, Event::Started) => (Current::Running { since: now }, Effect::None),
            (Current::Starting { .. } | Current::Running { .. }, Event::Stop) => {
                self.wanted = Wanted::Down;
                (Current::Stopping { until: now + self.grace }, Effect::AskToEnd)
            }
            (Current::Starting { until } | Current::Stopping { until }, Event::Due) if now >= *until => {
                (Current::Killed, Effect::Kill)
            }
            (Current::Ended | Current::Waiting { .. }, Event::Gone(_)) => return Effect::None,
            (current, Event::Gone(outcome)) => {
                let ran = match current {
                    Current::Running { since } => now.saturating_sub(*since),
                    _ => Duration::ZERO,
                };
                let next = self.after(&outcome, ran, now);
                self.last = Some(outcome);
                (next, Effect::None)
            }
            _ => return Effect::None,
        };
        if next != Current::Killed {
            self.since = now;
        }
        self.current = next;
        effect
    }

    fn after(&mut self, outcome: &Outcome, ran: Duration, now: Duration) -> Current {
        if self.wanted == Wanted::Again {
            self.wanted = Wanted::Up;
            return Current::Waiting { until: now };
        }
        let again = match outcome {
            Outcome::NotStarted(_) => self.restart != Restart::Never,
            Outcome::Ended(exit) => exit.restarts(self.restart),
        };
        if self.wanted == Wanted::Down || !again {
            return Current::Ended;
        }
        self.restarts = self.restarts.saturating_add(1);
        Current::Waiting { until: now + self.backoff.next(ran) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn gone_with(code: u8) -> Event {
        Event::Gone(Outcome::Ended(Exit::Code(code)))
    }

    fn unit(restart: Restart) -> Unit {
        Unit::new(restart, GRACE, Backoff::WORKLOAD)
    }

    fn running(restart: Restart) -> Unit {
        let mut unit = unit(restart);
        assert_eq!(unit.step(Event::Due, at(1)), Effect::Start);
        assert_eq!(unit.step(Event::Started, at(1)), Effect::None);
        unit
    }

    #[test]
    fn every_pair_of_state_and_event_has_its_answer() {
        let gone = gone_with(1);
        let waiting = Current::Waiting { until: at(5) };
        let starting = Current::Starting { until: at(9) };
        let running = Current::Running { since: at(1) };
        let stopping = Current::Stopping { until: at(9) };
        let stopped = Current::Stopping { until: at(9) + GRACE };
        let again = Current::Waiting { until: at(19) };
        let table = [
            (waiting.clone(), Event::Due, Current::Starting { until: at(9) + START_LIMIT }, Effect::Start),
            (waiting.clone(), Event::Started, waiting.clone(), Effect::None),
            (waiting.clone(), gone.clone(), waiting.clone(), Effect::None),
            (waiting.clone(), Event::Stop, Current::Ended, Effect::None),
            (waiting.clone(), Event::Start, waiting, Effect::None),
            (starting.clone(), Event::Due, Current::Killed, Effect::Kill),
            (starting.clone(), Event::Started, Current::Running { since: at(9) }, Effect::None),
            (starting.clone(), gone.clone(), again.clone(), Effect::None),
            (starting.clone(), Event::Stop, stopped.clone(), Effect::AskToEnd),
            (starting.clone(), Event::Start, starting, Effect::None),
            (running.clone(), Event::Due, running.clone(), Effect::None),
            (running.clone(), Event::Started, running.clone(), Effect::None),
            (running.clone(), gone.clone(), again.clone(), Effect::None),
            (running.clone(), Event::Stop, stopped, Effect::AskToEnd),
            (running.clone(), Event::Start, running, Effect::None),
            (stopping.clone(), Event::Due, Current::Killed, Effect::Kill),
            (stopping.clone(), Event::Started, stopping.clone(), Effect::None),
            (stopping.clone(), gone.clone(), again.clone(), Effect::None),
            (stopping.clone(), Event::Stop, stopping.clone(), Effect::None),
            (stopping.clone(), Event::Start, stopping, Effect::None),
            (Current::Killed, Event::Due, Current::Killed, Effect::None),
            (Current::Killed, Event::Started, Current::Killed, Effect::None),
            (Current::Killed, Event::Stop, Current::Killed, Effect::None),
            (Current::Killed, Event::Start, Current::Killed, Effect::None),
            (Current::Killed, gone.clone(), again, Effect::None),
            (Current::Ended, Event::Due, Current::Ended, Effect::None),
            (Current::Ended, Event::Started, Current::Ended, Effect::None),
            (Current::Ended, gone, Current::Ended, Effect::None),
            (Current::Ended, Event::Stop, Current::Ended, Effect::None),
            // By itself.
            (Current::Ended, Event::Start, Current::Ended, Effect::None),
        ];
        assert_eq!(table.len(), 6 * 5);
        for (before, event, after, effect) in table {
            let mut unit = Unit { current: before.clone(), ..unit(Restart::Always) };
            assert_eq!(unit.step(event.clone(), at(9)), effect, "{before:?} {event:?}");
            assert_eq!(unit.current, after, "{before:?} {event:?}");
        }
    }

    #[test]
    fn a_policy_decides_what_follows_an_ending() {
        for (restart, outcome, again) in [
            (Restart::Always, Outcome::Ended(Exit::Code(0)), true),
            (Restart::OnFailure, Outcome::Ended(Exit::Code(0)), false),
            (Restart::OnFailure, Outcome::Ended(Exit::OutOfMemory), true),
            (Restart::OnFailure, Outcome::NotStarted("no such program".to_owned()), true),
            (Restart::Never, Outcome::NotStarted("no such program".to_owned()), false),
            (Restart::Never, Outcome::Ended(Exit::Code(1)), false),
        ] {
            let mut unit = running(restart);
            unit.step(Event::Gone(outcome.clone()), at(2));
            assert_eq!(!unit.is_ended(), again, "{restart:?} {outcome:?}");
        }
    }

    #[test]
    fn a_stop_is_final() {
        let mut unit = running(Restart::Always);
        assert_eq!(unit.step(Event::Stop, at(5)), Effect::AskToEnd);
        assert_eq!(unit.due(), Some(at(35)));
        assert_eq!(unit.step(Event::Due, at(35)), Effect::Kill);
        unit.step(gone_with(137), at(36));
        assert!(unit.is_ended());
        assert_eq!(unit.step(Event::Due, at(99)), Effect::None);
    }

    #[test]
    fn what_was_stopped_starts_again_and_what_ended_by_itself_does_not() {
        for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
            let mut unit = running(restart);
            unit.step(Event::Stop, at(5));
            assert_eq!(unit.phase(at(7)), (Phase::Stopping, 2));
            unit.step(gone_with(0), at(8));
            assert_eq!(unit.phase(at(9)), (Phase::Ended, 1), "not by itself: {restart:?}");
            assert!(unit.is_settled(at(9)) && unit.has_run());
            unit.step(Event::Start, at(10));
            assert_eq!((unit.due(), unit.phase(at(10))), (Some(at(10)), (Phase::Waiting, 0)));
            assert_eq!(unit.step(Event::Due, at(10)), Effect::Start);
            unit.step(Event::Started, at(11));
            assert_eq!((unit.phase(at(13)), unit.restarts), ((Phase::Running, 2), 0));
        }
        let mut job = running(Restart::Never);
        job.step(gone_with(0), at(2));
        for event in [Event::Stop, Event::Start] {
            assert_eq!(job.step(event, at(3)), Effect::None);
            assert_eq!(job.phase(at(4)), (Phase::Done, 2));
        }
        let mut early = unit(Restart::Always);
        early.step(Event::Stop, at(0));
        assert!(early.is_settled(at(0)) && early.has_run());
        early.step(Event::Start, at(1));
        assert!(!early.is_settled(at(99)) && !early.has_run());
    }

    #[test]
    fn the_last_wish_counts_once_it_is_gone() {
        for (wishes, after) in [
            (vec![Event::Start], Current::Waiting { until: at(40) }),
            (vec![Event::Start, Event::Stop], Current::Ended),
            (vec![Event::Stop, Event::Start, Event::Start], Current::Waiting { until: at(40) }),
        ] {
            for is_killed in [false, true] {
                let mut unit = running(Restart::Never);
                unit.step(Event::Stop, at(5));
                if is_killed {
                    assert_eq!(unit.step(Event::Due, at(35)), Effect::Kill);
                    assert_eq!(unit.phase(at(36)), (Phase::Stopping, 31));
                }
                for wish in &wishes {
                    assert_eq!(unit.step(wish.clone(), at(39)), Effect::None);
                }
                unit.step(gone_with(137), at(40));
                assert_eq!(unit.current, after, "{wishes:?}");
            }
        }
        // One that was killed since it did not start is stopped for good, too.
        let mut unit = unit(Restart::Always);
        unit.step(Event::Due, at(0));
        assert_eq!(unit.step(Event::Due, at(60)), Effect::Kill);
        unit.step(Event::Stop, at(61));
        unit.step(gone_with(137), at(62));
        assert!(unit.is_ended());
    }

    #[test]
    fn a_boot_waits_for_what_runs_and_for_what_was_to_end_well() {
        let unit = running(Restart::Always);
        assert!(!unit.is_settled(at(10)) && unit.is_settled(at(11)));
        let mut job = running(Restart::Never);
        job.step(gone_with(0), at(2));
        assert!(job.is_settled(at(2)));
        let mut failed = running(Restart::Never);
        failed.step(gone_with(1), at(2));
        assert!(!failed.is_settled(at(99)));
    }
}
