//! Which disk to boot from, and the wait for it.
//!
//! The kernel ends every asynchronous probe before it starts `/init` (`kernel_init`, init/main.c), so what is soldered in is
//! there on the first look; what comes later is USB and the like.

use std::{
    thread,
    time::{Duration, Instant},
};

use coracle_gpt::Guid;
use coracle_layout::{RootHash, Slot, partition::Partition};

use super::{
    Error,
    slots::{self, Slots},
};
use crate::{
    disk::{Devices, Disk},
    log::Chain,
};

/// The pause after the first look, which doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);
/// How long a disk with our labels but without the root has to be alone before it is held to be the one.
const LATECOMERS: Duration = Duration::from_secs(1);

/// The disk, and what its slots hold.
pub(crate) struct Found {
    pub(crate) disk: Disk,
    pub(crate) slots: Slots,
}

/// Waits for the disk, `limit` at most, and says after each look that there is `progress`.
///
/// With `esp` it is the disk whose EFI system partition has this GUID: the one that the loader came from. Without, as in a
/// direct boot, it is the disk with our labels that holds `root`.
pub(crate) fn wait(
    devices: &Devices<'_>,
    esp: Option<Guid>,
    root: &RootHash,
    limit: Duration,
    progress: &mut dyn FnMut(),
) -> Result<Found, Error> {
    let began = Instant::now();
    let mut pause = SHORTEST;
    loop {
        let mut seen = vec![];
        let (mut disks, mut answers) = (vec![], vec![]);
        for name in devices.disks()? {
            match devices.disk(&name) {
                Ok(disk) => {
                    let slots = slots::look(&disk, root);
                    let answer = Answer::of(&disk, &slots, esp);
                    seen.extend(answer.why_not(&name));
                    answers.push(answer);
                    disks.push(Found { disk, slots });
                }
                Err(error) => seen.push(Chain(&error).to_string()),
            }
        }
        let waited = began.elapsed();
        let patience = if waited < LATECOMERS.min(limit) { Patience::More } else { Patience::Enough };
        match choose(&answers, patience) {
            Choice::One(index) => {
                if let Some(found) = disks.into_iter().nth(index) {
                    return Ok(found);
                }
            }
            Choice::Two(first, second) => {
                let name =
                    |index: usize| disks.get(index).map(|found| found.disk.name.clone()).unwrap_or_default();
                return Err(Error::TwoDisks { first: name(first), second: name(second) });
            }
            Choice::None => {}
        }
        if waited >= limit {
            return Err(Error::NoDisk { seconds: limit.as_secs(), seen });
        }
        progress();
        thread::sleep(pause.min(limit.saturating_sub(waited)));
        pause = LONGEST.min(pause * 2);
    }
}

/// What a disk says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It is the loader's, or it holds the root.
    Ours,
    /// It has our labels, but not the root.
    Labelled,
    /// It is another.
    Other,
}

impl Answer {
    fn of(disk: &Disk, slots: &Slots, esp: Option<Guid>) -> Self {
        let labelled = || {
            Slot::BOTH.into_iter().all(|slot| {
                [Partition::Root(slot), Partition::Verity(slot)]
                    .map(|which| disk.partition(which))
                    .iter()
                    .all(Result::is_ok)
            })
        };
        match esp {
            Some(esp) if disk.has_esp(esp) => Self::Ours,
            Some(_) => Self::Other,
            None if slots.iter().any(Result::is_ok) => Self::Ours,
            None if labelled() => Self::Labelled,
            None => Self::Other,
        }
    }

    fn why_not(self, name: &str) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Labelled => Some(format!("{name} does not hold this root")),
            Self::Other => Some(format!("{name} is another system's")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    More,
    Enough,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    None,
    One(usize),
    Two(usize, usize),
}

/// The only disk that answers; or, without any, the only one with our labels, to say there what its slots lack.
fn choose(answers: &[Answer], patience: Patience) -> Choice {
    let mut ours = places(answers, Answer::Ours);
    match (ours.next(), ours.next(), patience) {
        (Some(first), Some(second), _) => Choice::Two(first, second),
        (Some(only), None, _) => Choice::One(only),
        (None, _, Patience::More) => Choice::None,
        (None, _, Patience::Enough) => {
            let mut labelled = places(answers, Answer::Labelled);
            match (labelled.next(), labelled.next()) {
                (Some(only), None) => Choice::One(only),
                _ => Choice::None,
            }
        }
    }
}

fn places(answers: &[Answer], wanted: Answer) -> impl Iterator<Item = usize> {
    answers.iter().enumerate().filter(move |(_, answer)| **answer == wanted).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::{ESP, Fake};
    use crate::stage1::slots::tests::tree;
    use coracle_layout::VERITY_SALT;

    #[test]
    fn one_disk_must_answer() {
        use Answer::{Labelled, Other, Ours};
        use Patience::{Enough, More};
        for (answers, patience, want) in [
            (&[][..], Enough, Choice::None),
            (&[Other], Enough, Choice::None),
            (&[Other, Ours], More, Choice::One(1)),
            (&[Ours, Labelled, Other], More, Choice::One(0)),
            (&[Ours, Other, Ours], More, Choice::Two(0, 2)),
            (&[Labelled], More, Choice::None),
            (&[Other, Labelled], Enough, Choice::One(1)),
            (&[Labelled, Labelled], Enough, Choice::None),
        ] {
            assert_eq!(choose(answers, patience), want, "{answers:?} {patience:?}");
        }
    }

    fn search(fake: &Fake, esp: Option<Guid>, root: &RootHash) -> (Result<String, String>, u32) {
        let mut looks = 1;
        let found = wait(&fake.devices(), esp, root, Duration::from_millis(15), &mut || looks += 1);
        (found.map(|found| found.disk.name).map_err(|error| error.to_string()), looks)
    }

    #[test]
    fn the_loaders_disk_is_taken_and_no_other() {
        let fake = Fake::new();
        fake.disk("vda", &Partition::ALL);
        fake.disk("vdb", &[Partition::State]);
        let root = RootHash::new([0; 32]);
        assert_eq!(search(&fake, Some(ESP), &root), (Ok("vda".into()), 1));

        let (error, looks) = search(&fake, Some(Guid::from_u128(7)), &root);
        let want = "no disk within 0 s (vda is another system's; vdb is another system's)";
        assert_eq!(error.unwrap_err(), want);
        assert!(looks > 1);

        fake.disk("vdc", &Partition::ALL);
        assert_eq!(search(&fake, Some(ESP), &root).0.unwrap_err(), "two disks answer: vda and vdc");
    }

    #[test]
    fn without_a_loader_the_root_decides() {
        let (bytes, root) = tree(9, &VERITY_SALT);
        let fake = Fake::new();
        fake.disk("vda", &Partition::ALL);
        let (labelled, looks) = search(&fake, None, &root);
        assert_eq!(labelled, Ok("vda".into()), "to say there what its slots lack");
        assert!(looks > 1, "not before latecomers had their chance");

        fake.disk("vdb", &Partition::ALL);
        std::fs::write(fake.node("vdb5"), &bytes).unwrap();
        assert_eq!(search(&fake, None, &root), (Ok("vdb".into()), 1));

        std::fs::write(fake.node("vda3"), &bytes).unwrap();
        assert_eq!(search(&fake, None, &root).0.unwrap_err(), "two disks answer: vda and vdb");
    }
}
