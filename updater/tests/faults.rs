//! What else goes wrong: errors of the disk, of the server, of the release, of the checkpoint; each says who must act.

mod common;

use std::io::{self, Cursor, Read};
use std::ops::Range;

use common::disk::{Fault, ROOT_A, ROOT_B, TREE_B};
use common::{BLOCK, Holds, OpsFile, PACE, Random, Root, Scene, Untouchable, cases, target};
use coracle_layout::{RootHash, Slot};
use coracle_ops::{Error as OpsError, Hash, Identity, Kind};
use coracle_updater::slot::{Bodies, Checkpoint, Error, Job, Pace, Remedy, Stored, Target};
use proptest::prelude::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[test]
fn an_error_at_any_request_is_said_and_leaves_no_bad_slot() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let disk = scene.disk();
        scene.install(&disk, file).unwrap();
        let all = disk.requests.get();
        for at in 0..all {
            let errno = [EIO, ENOSPC, 0][at % 3];
            let (place, disk) = (format!("{form}, request {at} of {all}, error {errno}"), scene.disk());
            let before = disk.parts();
            disk.fault.set(Some(Fault { at, errno }));
            match scene.install(&disk, file) {
                Err(error) => {
                    assert!(
                        matches!(error.remedy(), Remedy::MendDisk | Remedy::MendState),
                        "{place}: {error:?}"
                    );
                    // Once the superblock is written, the slot is whole, whatever is said of it.
                    scene.check(&disk.parts(), &before, &place);
                }
                // The only request without an answer is the one for the checkpoint.
                Ok(_) => assert!(errno == 0, "{place}: nobody noticed"),
            }
            disk.fault.set(None);
            scene.install(&disk, file).unwrap_or_else(|error| panic!("{place}: {error:?}"));
            scene.check_done(&disk, &before, &place);
        }
        println!("{form}: an error at each of {all} requests");
    }
}

#[test]
fn short_reads_and_writes_are_gone_on_with() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let disk = scene.disk();
        let before = disk.parts();
        disk.most.set(1000);
        scene.install(&disk, file).unwrap();
        scene.check_done(&disk, &before, form);
    }
}

#[test]
fn nothing_is_changed_where_it_does_not_fit() {
    let scene = Scene::get();
    let job = scene.job(&scene.full);
    for (short, label) in [(ROOT_B, "root-b"), (TREE_B, "verity-b")] {
        let mut parts = scene.disk().parts();
        let needs = [0, 0, scene.new.bytes.len(), scene.new.area.len()][short];
        parts[short].truncate(needs);
        assert!(
            target(&common::disk::Disk::new(parts.clone(), None)).plan(&job).is_ok(),
            "{label}: just enough"
        );
        parts[short].truncate(needs - BLOCK);
        let disk = common::disk::Disk::new(parts, None);
        let error = target(&disk).plan(&job).unwrap_err();
        assert!(matches!(error, Error::TooSmall { partition, .. } if partition == label), "{error:?}");
        assert_eq!(error.remedy(), Remedy::OtherRelease);
        assert_eq!(disk.requests.get(), 0);
    }
}

#[test]
fn a_file_of_another_root_is_refused() {
    let scene = Scene::get();
    let (other, running, new) = (RootHash::new([9; 32]), scene.running.hash, scene.new.hash);
    let error = Job::new(&scene.full.header, other, running).unwrap_err();
    assert!(matches!(error, Error::OtherTarget { want, got } if want == other && got == new));
    let error = Job::new(&scene.delta.header, new, other).unwrap_err();
    assert!(matches!(error, Error::OtherSource { running } if running == other));
    assert_eq!(error.remedy(), Remedy::TakeFull);
    assert!(Job::new(&scene.full.header, new, other).is_ok(), "a full file starts from anything");

    let of = |bytes: &[u8], hash| {
        let identity = Identity { len: bytes.len() as u64, hash };
        let image = coracle_ops::build::Image { bytes, identity };
        coracle_ops::build::full(&image, &mut Vec::new()).unwrap().header
    };
    let verity = Hash::Verity(*new.as_bytes());
    for (header, what) in [
        (of(&[1; 2 * BLOCK], Hash::Sha256(*new.as_bytes())), "another kind of hash"),
        (of(&[1; 2 * BLOCK + 1], verity), "no whole blocks"),
        (of(&[1; BLOCK], verity), "one block"),
    ] {
        assert!(matches!(Job::new(&header, new, running), Err(Error::NotARoot)), "{what}");
    }
}

#[test]
fn a_root_that_comes_out_different_is_never_sealed() {
    let scene = Scene::get();
    // A publisher's mistake: the file makes one root and names another.
    let mut lying = Root::new(scene.new.bytes.clone());
    lying.hash = RootHash::new([7; 32]);
    let file = OpsFile::full(&lying);
    let job = Job::new(&file.header, lying.hash, scene.running.hash).unwrap().at(PACE);
    let disk = scene.disk();
    let before = disk.parts();
    let poisoned = target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
    let written = poisoned.write(Untouchable, &mut Stored(&file.bytes[..]), &disk, |_| {}).unwrap();
    let error = written.seal(&disk).unwrap_err();
    assert!(
        matches!(error, Error::RootHashMismatch { slot: Slot::B, want, got } if want == lying.hash && got == scene.new.hash)
    );
    assert_eq!((error.remedy(), disk.checkpoint()), (Remedy::TakeFull, None));
    assert_eq!(scene.check(&disk.parts(), &before, "another root"), Holds::Nothing);
}

#[test]
fn a_rotten_source_leads_to_the_full_file() {
    let scene = Scene::get();
    let mut wrong = 0;
    for block in 0..scene.running.bytes.len() / BLOCK {
        let disk = scene.disk();
        disk.edit(ROOT_A, block * BLOCK + 100, b"rot");
        let before = disk.parts();
        if let Err(error) = scene.install(&disk, &scene.delta) {
            assert!(matches!(error, Error::Apply(OpsError::Output { .. })), "block {block}: {error:?}");
            assert_eq!((error.remedy(), disk.checkpoint()), (Remedy::TakeFull, None));
            assert_eq!(scene.check(&disk.parts(), &before, "rotten source"), Holds::Nothing);
            scene.install(&disk, &scene.full).unwrap();
            wrong += 1;
        }
        scene.check_done(&disk, &before, "rotten source");
    }
    assert!(wrong > 20, "{wrong} blocks matter");
    // What dm-verity makes of it on a machine.
    struct Unreadable;
    impl coracle_ops::ReadAt for Unreadable {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(EIO))
        }
    }
    let (disk, job) = (scene.disk(), scene.job(&scene.delta));
    let poisoned = target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
    let error = poisoned.write(Unreadable, &mut Stored(&scene.delta.bytes[..]), &disk, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Apply(OpsError::ReadSource { .. })), "{error:?}");
    assert_eq!(error.remedy(), Remedy::TakeFull);
}

/// A server that breaks off after so many bytes, or flips one.
struct Server<'f> {
    file: &'f [u8],
    breaks_at: u64,
    flips_at: Option<u64>,
    asked: Vec<Range<u64>>,
}

impl Bodies for Server<'_> {
    fn range(&mut self, bytes: Range<u64>) -> io::Result<impl Read> {
        self.asked.push(bytes.clone());
        let mut sent =
            self.file[bytes.start as usize..bytes.end.min(self.breaks_at.max(bytes.start)) as usize].to_vec();
        if let Some(byte) = self.flips_at.and_then(|at| sent.get_mut(at.checked_sub(bytes.start)? as usize)) {
            *byte ^= 1;
        }
        Ok(Cursor::new(sent))
    }
}

#[test]
fn a_server_that_fails_costs_nothing_that_was_written() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let ops = file.header.ops();
        for (op, this) in ops.iter().enumerate().filter(|(_, op)| op.kind.has_body()) {
            for flips in [false, true] {
                let (disk, job) = (scene.disk(), scene.job(file));
                let before = disk.parts();
                let begin = || target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
                let (last, end) = (this.body_at + u64::from(this.body_len) - 1, file.header.file_len());
                let (breaks_at, flips_at) = if flips { (end, Some(last)) } else { (last, None) };
                let mut server = Server { file: &file.bytes, breaks_at, flips_at, asked: vec![] };
                let error = begin().write(disk.part(ROOT_A), &mut server, &disk, |_| {}).unwrap_err();
                assert_eq!(error.remedy(), Remedy::FetchAgain);
                match error {
                    Error::Apply(OpsError::Body { op: got }) if flips => assert_eq!(got, op, "{form}"),
                    Error::Fetch { op: got, .. } if !flips => assert_eq!(got, op, "{form}"),
                    other => panic!("{form}, operation {op}: {other:?}"),
                }
                assert_eq!(begin().done(), op, "{form}");
                assert_eq!(scene.check(&disk.parts(), &before, form), Holds::Nothing);

                let mut server = Server { file: &file.bytes, breaks_at: end, flips_at: None, asked: vec![] };
                let mut told = vec![];
                let written =
                    begin().write(disk.part(ROOT_A), &mut server, &disk, |done| told.push(done)).unwrap();
                assert_eq!(
                    server.asked,
                    vec![this.body_at..end],
                    "{form}: from this body on, in one request"
                );
                assert!(told.is_sorted() && told.last() == Some(&ops.len()), "{form}: {told:?}");
                written.seal(&disk).unwrap();
                scene.check_done(&disk, &before, form);
            }
        }
        println!("{form}: {} operations", ops.len());
    }
    for kind in [Kind::Copy, Kind::Zero, Kind::Zstd, Kind::Prefix, Kind::Bsdiff] {
        let there = scene.forms().iter().any(|(_, file)| file.header.ops().iter().any(|op| op.kind == kind));
        assert!(there, "no file has {kind:?}");
    }
}

#[test]
fn a_checkpoint_that_is_not_of_this_job_and_slot_is_none() {
    let scene = Scene::get();
    let job = scene.job(&scene.delta);
    let good =
        Checkpoint { slot: Slot::B, ops_file: *scene.delta.header.digest(), root: scene.new.hash, done: 3 };
    let begun = |bytes: Vec<u8>, poisoned: bool| {
        let disk = scene.disk();
        if poisoned {
            disk.edit(TREE_B, 0, &[0; BLOCK]);
        }
        disk.set_checkpoint(Some(bytes));
        let begun = target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
        assert_eq!(disk.checkpoint().is_some(), begun.done() > 0, "what is not believed is removed");
        begun.done()
    };
    assert_eq!(begun(good.encode().to_vec(), true), 3);
    assert_eq!(begun(good.encode().to_vec(), false), 0, "the slot is not poisoned");
    for (other, what) in [
        (Checkpoint { slot: Slot::A, ..good }, "another slot"),
        (Checkpoint { ops_file: *scene.full.header.digest(), ..good }, "another file"),
        (Checkpoint { root: scene.stale.hash, ..good }, "another root"),
        (Checkpoint { done: scene.delta.header.ops().len() as u32 + 1, ..good }, "too many operations"),
        (Checkpoint { done: u32::MAX, ..good }, "far too many"),
    ] {
        assert_eq!(begun(other.encode().to_vec(), true), 0, "{what}");
    }
    for at in 0..good.encode().len() {
        let mut bytes = good.encode().to_vec();
        bytes[at] ^= 0x10;
        assert_eq!(begun(bytes, true), 0, "byte {at}");
        assert_eq!(begun(good.encode()[..at].to_vec(), true), 0, "{at} bytes");
    }
}

#[test]
fn an_agent_that_was_restarted_seals_what_is_there() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let (disk, job) = (scene.disk(), scene.job(file));
        let before = disk.parts();
        let planned = || target(&disk).plan(&job).unwrap();
        // Nothing of it is there yet: the old root is no longer chosen, but nothing else is either.
        let error = planned().written().seal(&disk).unwrap_err();
        assert!(matches!(error, Error::RootHashMismatch { .. }), "{error:?}");
        assert_eq!(scene.check(&disk.parts(), &before, form), Holds::Nothing);
        scene.install(&disk, file).unwrap();
        // It was sealed before the journal said so.
        assert_eq!(planned().written().seal(&disk).unwrap().root, scene.new.hash);
        scene.check_done(&disk, &before, form);
    }
}

#[test]
fn what_reads_back_different_is_not_sealed() {
    /// Gives a wrong bit past the cache: the disk did not take what it was given.
    struct Rotten<'d>(common::disk::Part<'d>, Option<u64>);
    impl coracle_updater::slot::BlockDevice for Rotten<'_> {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            self.0.read_at(buffer, at)
        }
        fn read_back_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            let count = self.0.read_at(buffer, at)?;
            let byte = self.1.and_then(|rotten| buffer[..count].get_mut(rotten.checked_sub(at)? as usize));
            byte.into_iter().for_each(|byte| *byte ^= 0x40);
            Ok(count)
        }
        fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
            self.0.write_at(bytes, at)
        }
        fn flush(&self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let scene = Scene::get();
    let (len, area) = (scene.new.bytes.len() as u64, scene.new.area.len() as u64);
    let places = (0..len).step_by(BLOCK * 7 + 13).map(|at| (Some(at), None));
    for (data, tree) in places.chain((0..area).step_by(611).map(|at| (None, Some(at)))) {
        let (disk, job) = (scene.disk(), scene.job(&scene.full));
        let before = disk.parts();
        let target =
            Target::beside(Slot::A, Rotten(disk.part(ROOT_B), data), Rotten(disk.part(TREE_B), tree));
        let poisoned = target.plan(&job).unwrap().begin(&disk).unwrap();
        let written = poisoned.write(Untouchable, &mut Stored(&scene.full.bytes[..]), &disk, |_| {}).unwrap();
        let error = written.seal(&disk).unwrap_err();
        // Of the data nobody can tell whether the disk or the file is wrong.
        let is_named = match error {
            Error::RootHashMismatch { slot: Slot::B, .. } => data.is_some(),
            Error::ReadBack { slot: Slot::B, .. } => tree.is_some(),
            _ => false,
        };
        assert!(is_named, "{data:?} {tree:?}: {error:?}");
        assert_eq!((error.remedy(), disk.checkpoint()), (Remedy::TakeFull, None));
        // The superblock's own block is read back last, when it is there.
        let want = if tree.is_some_and(|at| at < BLOCK as u64) { Holds::New } else { Holds::Nothing };
        assert_eq!(scene.check(&disk.parts(), &before, "read back"), want, "{data:?} {tree:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 8, ..ProptestConfig::with_cases(cases(6) as u32) })]

    /// Small ones: making an ops file of long runs takes seconds.
    #[test]
    fn any_root_comes_whole_at_any_pace(
        seed in 1_u64..,
        old in 2_usize..24,
        new in 2_usize..24,
        piece in 0_usize..40_000,
        checkpoint in 0_u64..80_000,
        most in 500_usize..100_000,
    ) {
        let mut random = Random(seed);
        let running = Root::new(random.bytes(old * BLOCK));
        let mut bytes = running.bytes.clone();
        bytes.resize(new * BLOCK, 0);
        for _ in 0..random.below(20) {
            let at = random.below(bytes.len());
            bytes[at] ^= 0x11;
        }
        let new = Root::new(bytes);
        for file in [OpsFile::full(&new), OpsFile::delta(&running, &new)] {
            let parts = [running.bytes.clone(), running.area.clone(), vec![1; new.bytes.len()], vec![2; new.area.len().max(2 * BLOCK)]];
            let disk = common::disk::Disk::new(parts, None);
            disk.most.set(most);
            let job = Job::new(&file.header, new.hash, running.hash).unwrap().at(Pace { piece, checkpoint });
            let poisoned = target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
            let written = poisoned.write(disk.part(ROOT_A), &mut Stored(&file.bytes[..]), &disk, |_| {}).unwrap();
            prop_assert_eq!(written.seal(&disk).unwrap().root, new.hash);
            prop_assert!(disk.parts()[ROOT_B] == new.bytes);
            prop_assert!(common::choosable(&disk.parts()[ROOT_B], &disk.parts()[TREE_B], &new.hash));
        }
    }
}
