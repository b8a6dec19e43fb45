//! Who is asked next, and when.
//!
//! A walk asks everybody in order until one gives what is wanted. If nobody did, but it may help to ask again, there is a pause and
//! another walk; after a few that brought nothing there is none. A transfer that breaks is a walk that goes on where it broke.
//!
//! ```text
//!  Ask(0) ── failed ──▶ Ask(1) ── failed ──▶ … ── failed ──▶ Pause ──▶ Ask(0)
//!                                                   └──▶ End
//! ```

use std::time::Duration;

/// The most walks in a row that may bring nothing.
const WALKS: u32 = 5;
/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server may ask for. Whoever wants to be left alone for longer is.
const LONGEST: Duration = Duration::from_secs(60);
/// With so many bytes, a walk has brought something.
const WORTH: u64 = 1 << 20;

/// What a failure is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It may be another time: after a pause, if the server says how long.
    Again(Option<Duration>),
    /// It is the same next time, but others may do better.
    Elsewhere,
    /// It is the same everywhere, or somebody has to look at it.
    Stop,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the one with this number.
    Ask(usize),
    /// Wait, then look again.
    Pause(Duration),
    /// Nobody is left.
    End,
}

/// Where a walk is.
#[derive(Debug)]
pub(crate) struct Walk {
    of: usize,
    next: usize,
    /// Whether another may help, and when.
    again: Option<Duration>,
    empty: u32,
    gained: u64,
    ended: bool,
}

impl Walk {
    /// Past so many.
    pub(crate) fn new(of: usize) -> Self {
        Self { of, next: 0, again: None, empty: 0, gained: 0, ended: false }
    }

    /// What is next. A pause is taken as kept.
    pub(crate) fn step(&mut self) -> Step {
        if self.ended {
            return Step::End;
        }
        if self.next < self.of {
            return Step::Ask(self.next);
        }
        self.empty = if self.gained < WORTH { self.empty + 1 } else { 1 };
        let pause = PAUSE * 2u32.saturating_pow(self.empty - 1);
        match self.again.take() {
            Some(asked) if self.empty < WALKS && asked <= LONGEST => {
                (self.next, self.gained) = (0, 0);
                Step::Pause(pause.max(asked))
            }
            _ => {
                self.ended = true;
                Step::End
            }
        }
    }

    /// The one that was asked has failed.
    pub(crate) fn failed(&mut self, then: Then) {
        self.next += 1;
        match then {
            Then::Again(asked) => self.again = self.again.max(Some(asked.unwrap_or_default())),
            Then::Elsewhere => {}
            Then::Stop => self.ended = true,
        }
    }

    /// Bytes came.
    pub(crate) fn gained(&mut self, bytes: u64) {
        self.gained = self.gained.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Then::*;
    use super::*;

    /// What is done if everything fails as it says there.
    fn steps(of: usize, failures: &[Then]) -> Vec<Step> {
        let (mut walk, mut failures, mut steps) = (Walk::new(of), failures.iter(), Vec::new());
        loop {
            let step = walk.step();
            steps.push(step);
            match step {
                Step::Ask(_) => match failures.next() {
                    Some(then) => walk.failed(*then),
                    None => return steps,
                },
                Step::Pause(_) => {}
                Step::End => return steps,
            }
        }
    }

    fn pause(seconds: u64) -> Step {
        Step::Pause(Duration::from_secs(seconds))
    }

    fn after(seconds: u64) -> Then {
        Again(Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn one_table() {
        use Step::*;
        for (of, failures, want) in [
            (0, [].as_slice(), vec![End]),
            (2, &[], vec![Ask(0)]),
            (2, &[Elsewhere], vec![Ask(0), Ask(1)]),
            (2, &[Elsewhere, Elsewhere], vec![Ask(0), Ask(1), End]),
            (2, &[Stop], vec![Ask(0), End]),
            (2, &[Again(None), Stop], vec![Ask(0), Ask(1), End]),
            (2, &[Elsewhere, Again(None), Elsewhere], vec![Ask(0), Ask(1), pause(1), Ask(0), Ask(1)]),
            (
                2,
                &[Again(None), Elsewhere, Elsewhere, Elsewhere],
                vec![Ask(0), Ask(1), pause(1), Ask(0), Ask(1), End],
            ),
            (1, &[after(7)], vec![Ask(0), pause(7), Ask(0)]),
            (2, &[after(7), after(3)], vec![Ask(0), Ask(1), pause(7), Ask(0)]),
            (1, &[after(0), after(1)], vec![Ask(0), pause(1), Ask(0), pause(2), Ask(0)]),
            (1, &[after(60)], vec![Ask(0), pause(60), Ask(0)]),
            (1, &[after(61)], vec![Ask(0), End]),
            (
                1,
                &[Again(None); 5],
                vec![Ask(0), pause(1), Ask(0), pause(2), Ask(0), pause(4), Ask(0), pause(8), Ask(0), End],
            ),
        ] {
            assert_eq!(steps(of, failures), want, "{of}: {failures:?}");
        }
    }

    #[test]
    fn who_gives_something_is_asked_on() {
        let mut walk = Walk::new(1);
        for _ in 0..100 {
            assert_eq!(walk.step(), Step::Ask(0));
            walk.gained(1 << 20);
            walk.failed(Again(None));
            assert_eq!(walk.step(), pause(1));
        }
        // A byte each time is not enough.
        let mut asked = 0;
        while walk.step() != Step::End {
            if walk.step() == Step::Ask(0) {
                asked += 1;
                walk.gained(1);
                walk.failed(Again(None));
            }
        }
        assert_eq!(asked, 4);
    }
}
