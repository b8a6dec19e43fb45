//! Which of several servers is right.

use super::packet::Sample;

/// How far two servers that are right may be apart, besides what their ways explain, in nanoseconds.
const APART: i128 = 1_000_000_000;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) sample: Sample,
}

/// Of the largest set that agrees with one of its own, the one in the middle, and how many they are; `None` unless they are more than
/// half.
pub(super) fn choose(said: Vec<Said>) -> Option<(Said, usize)> {
    let all = said.len();
    let with = |one: &Said| -> Vec<Said> {
        said.iter().filter(|other| agree(&one.sample, &other.sample)).cloned().collect()
    };
    let mut largest = said.iter().map(with).max_by_key(Vec::len)?;
    let agree = largest.len();
    if agree * 2 <= all {
        return None;
    }
    largest.sort_by_key(|said| said.sample.offset);
    Some((largest.into_iter().nth((agree - 1) / 2)?, agree))
}

/// The true offset is within half the delay of each.
fn agree(one: &Sample, other: &Sample) -> bool {
    (one.offset - other.offset).abs() <= APART + (one.delay + other.delay) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets and delays in milliseconds; the chosen offset and how many agree.
    fn chosen(said: &[(i128, i128)]) -> Option<(i128, usize)> {
        let said = said.iter().enumerate().map(|(place, (offset, delay))| Said {
            name: place.to_string(),
            sample: Sample { offset: offset * 1_000_000, delay: delay * 1_000_000 },
        });
        choose(said.collect()).map(|(said, agree)| (said.sample.offset / 1_000_000, agree))
    }

    #[test]
    fn more_than_half_must_agree() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[(7, 1)]), Some((7, 1)));
        assert_eq!(chosen(&[(0, 1), (1001, 1)]), Some((0, 2)));
        assert_eq!(chosen(&[(0, 1), (1002, 1)]), None);
        assert_eq!(chosen(&[(0, 200), (1150, 200)]), Some((0, 2)), "their ways explain it");
        assert_eq!(chosen(&[(5, 1), (9_000, 1), (7, 1)]), Some((5, 2)));
        assert_eq!(chosen(&[(-9_000, 1), (5, 1), (6, 1), (7, 1)]), Some((6, 3)));
        assert_eq!(chosen(&[(0, 1), (5_000, 1), (10_000, 1)]), None);
        assert_eq!(chosen(&[(0, 1), (1, 1), (5_000, 1), (5_001, 1)]), None, "half is not more than half");
        // The one in the middle agrees with all, the others do not among themselves.
        assert_eq!(chosen(&[(0, 0), (900, 0), (1800, 0)]), Some((900, 3)));
    }
}
