//! What may be on a disk when the power goes while it is written to.
//!
//! A disk owes what was complete when a flush began, and nothing else: of the writes behind it any may be missing, and one
//! may be there in part, down to a sector of 512 bytes. The cut points are the recorded writes; of each these states are
//! taken, as far as they differ from all others:
//!
//! | state | on the disk is | how many |
//! |---|---|---|
//! | [`Loss::Nothing`] | every write up to the cut point | one |
//! | [`Loss::Older`] | what was flushed, and the last write | one |
//! | [`Loss::Tail`], [`Loss::Head`] | every write, of the last the first or the last sectors | at most twelve, at random |
//! | [`Loss::Some`] | what was flushed, and any of the others | at most eight, at random |

mod pictures;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use self::pictures::Pictures;
use crate::sample::Random;
use crate::writes::{Event, Reach};

/// What a disk writes whole.
const SECTOR: usize = 512;

/// How many different states of a cut point are taken whose last write is torn.
const TEARS: usize = 12;
/// How often the writes that are missing are drawn for one cut point.
const DRAWS: usize = 8;

/// What is missing of the writes that the disk did not owe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing.
    Nothing,
    /// All but the last.
    Older,
    /// The last, from this sector on.
    Tail(usize),
    /// The last, up to this sector.
    Head(usize),
    /// Some, in one of several draws.
    Some(usize),
}

/// A state of the disk after a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// So many events have begun.
    cut: usize,
    loss: Loss,
    /// The writes that are missing, by the number of their event, in order.
    lost: Vec<usize>,
    /// Of this event only these sectors are there.
    torn: Option<(usize, Range<usize>)>,
}

/// Every different state, in the order of its cut point. `base` is the disk before the first event.
///
/// # Errors
/// Those of reading `base`.
pub fn states(events: &[Event<'_>], base: &File, seed: u64) -> io::Result<Vec<State>> {
    let mut random = Random::new(seed);
    let mut pictures = Pictures::new(events, base)?;
    let (mut seen, mut states) = (BTreeSet::from([0]), vec![State::new(0, Loss::Nothing)]);
    let mut take = |candidates: Vec<State>, most: usize, pictures: &Pictures| {
        let new = candidates.into_iter().filter(|state| seen.insert(pictures.of(state, events)));
        states.extend(new.take(most));
    };
    for last in 0..events.len() {
        match events[last] {
            Event::Flush => pictures.flush(events, last),
            Event::Write { .. } => {
                let cached = |event: usize| matches!(events[event], Event::Write { reach: Reach::Cache, .. });
                let loose: Vec<_> = (pictures.flushed()..=last).filter(|event| cached(*event)).collect();
                take(vec![State::new(last + 1, Loss::Nothing), older(last, &loose)], 2, &pictures);
                take(tears(last, sectors(&events[last]), &mut random), TEARS, &pictures);
                take(draws(last, &loose, &mut random), DRAWS, &pictures);
            }
            Event::Discard { .. } | Event::Mark => {}
        }
    }
    Ok(states)
}

/// The last write has overtaken the others.
fn older(last: usize, loose: &[usize]) -> State {
    let lost = loose.iter().copied().filter(|event| *event != last).collect();
    State { lost, ..State::new(last + 1, Loss::Older) }
}

/// Every way to write the last in part, in any order.
fn tears(last: usize, sectors: usize, random: &mut Random) -> Vec<State> {
    let torn = |loss, part| State { torn: Some((last, part)), ..State::new(last + 1, loss) };
    let mut all: Vec<_> = (1..sectors)
        .flat_map(|at| [torn(Loss::Tail(at), 0..at), torn(Loss::Head(at), at..sectors)])
        .collect();
    random.shuffle(&mut all);
    all
}

/// Any of the writes is missing. With one, or none, there is nothing to draw.
fn draws(last: usize, loose: &[usize], random: &mut Random) -> Vec<State> {
    let draws = if loose.len() > 1 { DRAWS } else { 0 };
    let lost = |random: &mut Random| loose.iter().copied().filter(|_| random.coin()).collect();
    (0..draws).map(|draw| State { lost: lost(random), ..State::new(last + 1, Loss::Some(draw)) }).collect()
}

fn sectors(event: &Event<'_>) -> usize {
    if let Event::Write { bytes, .. } = event { bytes.len().div_ceil(SECTOR) } else { 0 }
}

impl State {
    fn new(cut: usize, loss: Loss) -> Self {
        Self { cut, loss, lost: Vec::new(), torn: None }
    }

    /// The state in which nothing is missing.
    pub fn whole(events: &[Event<'_>]) -> Self {
        Self::new(events.len(), Loss::Nothing)
    }

    /// A state after all of these events: any of the writes that are not owed is missing, and one of them is there in part.
    pub fn after(events: &[Event<'_>], random: &mut Random) -> Self {
        let flushed = events.iter().rposition(|event| *event == Event::Flush).unwrap_or(0);
        let is_loose = |event: &usize| matches!(events[*event], Event::Write { reach: Reach::Cache, .. });
        let loose: Vec<_> = (flushed..events.len()).filter(is_loose).collect();
        let (lost, kept): (Vec<_>, Vec<_>) = loose.into_iter().partition(|_| random.coin());
        let torn = kept.last().map(|event| (*event, 0..random.below(sectors(&events[*event]) + 1)));
        Self { cut: events.len(), loss: Loss::Some(0), lost, torn }
    }

    /// A name that is the same for the same events and seed.
    pub fn name(&self) -> String {
        let cut = self.cut;
        match self.loss {
            Loss::Nothing => format!("cut-{cut}"),
            Loss::Older => format!("cut-{cut}-older"),
            Loss::Tail(sector) => format!("cut-{cut}-tail-{sector}"),
            Loss::Head(sector) => format!("cut-{cut}-head-{sector}"),
            Loss::Some(draw) => format!("cut-{cut}-some-{draw}"),
        }
    }

    /// How many events have begun.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// Whether these bytes of the disk are torn: a write to them is there in part, and the part ends among them.
    pub fn tears(&self, events: &[Event<'_>], place: Range<u64>) -> bool {
        let Some((event, part)) = &self.torn else { return false };
        let Event::Write { offset, .. } = events[*event] else { return false };
        let edges = [part.start, part.end].map(|sector| offset + (sector * SECTOR) as u64);
        edges.into_iter().any(|edge| place.start < edge && edge < place.end)
    }

    /// Makes this state of a disk as it was before the first event.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, events: &[Event<'_>], disk: &File) -> io::Result<()> {
        self.writes(events).try_for_each(|(_, offset, bytes)| disk.write_all_at(bytes, offset))
    }

    /// The writes that are there, in order, each with the number of its event, where it begins on the disk, and what is there
    /// of it.
    pub fn writes<'e>(&self, events: &[Event<'e>]) -> impl Iterator<Item = (usize, u64, &'e [u8])> {
        self.kept(events, 0).filter_map(|(event, part)| {
            let Event::Write { offset, bytes, .. } = events[event] else { return None };
            let (start, end) = (part.start * SECTOR, bytes.len().min(part.end * SECTOR));
            Some((event, offset + start as u64, &bytes[start..end]))
        })
    }

    /// The writes from event `first` on that are there, each with the sectors that are.
    fn kept(&self, events: &[Event<'_>], first: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        (first..self.cut).filter(|event| self.lost.binary_search(event).is_err()).map(|event| {
            match &self.torn {
                Some((torn, part)) if *torn == event => (event, part.clone()),
                _ => (event, 0..sectors(&events[event])),
            }
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the first {} events", self.cut)?;
        if !self.lost.is_empty() {
            write!(f, " without {:?}", self.lost)?;
        }
        self.torn.as_ref().map_or(Ok(()), |(event, part)| write!(f, ", of {event} only sectors {part:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of eight sectors, and a write to it.
    fn disk() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 * SECTOR as u64).unwrap();
        file
    }

    fn write(sector: u64, bytes: &[u8], reach: Reach) -> Event<'_> {
        Event::Write { offset: sector * SECTOR as u64, bytes, reach }
    }

    /// The first byte of every sector.
    fn content(state: &State, events: &[Event<'_>]) -> Vec<u8> {
        let disk = disk();
        state.write(events, &disk).unwrap();
        let mut bytes = vec![0; 8 * SECTOR];
        disk.read_exact_at(&mut bytes, 0).unwrap();
        bytes.into_iter().step_by(SECTOR).collect()
    }

    #[test]
    fn every_state_keeps_what_is_owed_and_no_two_are_the_same() {
        let bytes: Vec<_> = (1..=9).map(|byte| vec![byte; 2 * SECTOR]).collect();
        let cached = |sector, byte: usize| write(sector, &bytes[byte - 1], Reach::Cache);
        let events = [
            cached(0, 1),
            Event::Flush,
            cached(2, 2),
            write(4, &bytes[2], Reach::Medium),
            cached(6, 4),
            Event::Mark,
            Event::Flush,
            cached(0, 5),
            Event::Discard { offset: 0, len: 512 },
            cached(2, 2),
        ];
        let mut all = BTreeSet::new();
        for seed in 0..100 {
            let states = states(&events, &disk(), seed).unwrap();
            let contents: Vec<_> = states.iter().map(|state| content(state, &events)).collect();
            let different: BTreeSet<_> = contents.iter().cloned().collect();
            assert_eq!(different.len(), states.len());
            all.extend(different);
        }
        let expected: [[u8; 8]; 18] = [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0, 0, 0],
            // The first is owed; the second is not, and stays so while the third reaches the medium by itself.
            [1, 1, 2, 0, 0, 0, 0, 0],
            [1, 1, 0, 2, 0, 0, 0, 0],
            [1, 1, 2, 2, 0, 0, 0, 0],
            [1, 1, 2, 2, 3, 0, 0, 0],
            [1, 1, 2, 2, 0, 3, 0, 0],
            [1, 1, 2, 2, 3, 3, 0, 0],
            [1, 1, 0, 0, 3, 3, 0, 0],
            [1, 1, 2, 2, 3, 3, 4, 0],
            [1, 1, 2, 2, 3, 3, 0, 4],
            [1, 1, 0, 0, 3, 3, 4, 4],
            [1, 1, 2, 2, 3, 3, 4, 4],
            // All but the fourth is owed.
            [5, 1, 2, 2, 3, 3, 4, 4],
            [1, 5, 2, 2, 3, 3, 4, 4],
            [5, 5, 2, 2, 3, 3, 4, 4],
        ];
        assert_eq!(all, expected.iter().map(|state| state.to_vec()).collect());
    }

    #[test]
    fn after_all_events_only_what_is_owed_is_sure() {
        let bytes: Vec<_> = (1..=4).map(|byte| vec![byte; 2 * SECTOR]).collect();
        let events = [
            write(0, &bytes[0], Reach::Cache),
            Event::Flush,
            write(2, &bytes[1], Reach::Cache),
            write(4, &bytes[2], Reach::Medium),
            write(6, &bytes[3], Reach::Cache),
        ];
        let mut random = Random::new(7);
        let found: BTreeSet<_> =
            (0..500).map(|_| content(&State::after(&events, &mut random), &events)).collect();
        let firsts = [[0, 0], [2, 0], [2, 2]];
        let lasts = [[0, 0], [4, 0], [4, 4]];
        // Only the last that is there is torn.
        let all = firsts.into_iter().flat_map(|first| lasts.into_iter().map(move |last| (first, last)));
        let all = all.filter(|(first, last)| *first != [2, 0] || *last == [0, 0]);
        assert_eq!(found, all.map(|(a, b)| [1, 1, a[0], a[1], 3, 3, b[0], b[1]].to_vec()).collect());
    }

    #[test]
    fn of_many_ways_to_tear_a_write_some_are_taken() {
        let bytes: Vec<_> = (0..40 * SECTOR).map(|at| (at / SECTOR) as u8 + 1).collect();
        let base = disk();
        base.set_len(bytes.len() as u64).unwrap();
        let names = |seed| {
            let events = [write(0, &bytes, Reach::Cache)];
            let states = states(&events, &base, seed).unwrap();
            states.iter().map(State::name).collect::<Vec<_>>()
        };
        assert_eq!(names(1).len(), 2 + TEARS);
        assert_eq!(names(1)[..2], ["cut-0", "cut-1"]);
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn a_state_says_what_it_is() {
        let state = State { cut: 9, loss: Loss::Some(2), lost: vec![5, 7], torn: Some((8, 3..8)) };
        assert_eq!(state.name(), "cut-9-some-2");
        let events = [write(10, &[0; 8 * SECTOR], Reach::Cache); 9];
        let place = |from: u64, to| from * SECTOR as u64..to * SECTOR as u64;
        assert!(state.tears(&events, place(12, 14)) && state.tears(&events, place(17, 20)));
        assert!(!state.tears(&events, place(11, 13)) && !state.tears(&events, place(13, 18)));
        assert_eq!(state.to_string(), "the first 9 events without [5, 7], of 8 only sectors 3..8");
    }
}
