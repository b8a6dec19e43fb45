//! Power cuts and kills at every place of an installation: the other slot is whole or cannot be chosen, the running one is untouched,
//! and what is left leads to the end.

mod common;

use common::disk::{Disk, Event, Flushes, ROOT_A, Record, TREE_A};
use common::{Holds, OpsFile, Random, Scene, cases};
use coracle_updater::slot::Remedy;

/// Another one each time, unless it is given; printed.
fn seed() -> u64 {
    let given =
        std::env::var("CORACLE_SEED").ok().map(|text| text.parse().expect("CORACLE_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let time = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        time.as_nanos() as u64 | 1
    });
    println!("CORACLE_SEED={seed}");
    seed
}

fn record(scene: &Scene, disk: &Disk, file: &OpsFile) -> Record {
    let (before, checkpoint) = (disk.parts(), disk.checkpoint());
    scene.install(disk, file).unwrap();
    Record { before, checkpoint, log: disk.log.take() }
}

#[test]
fn the_order_of_writes_is_the_documented_one() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let disk = scene.disk();
        let record = record(scene, &disk, file);
        scene.check_done(&disk, &record.before, form);
        let mut saves = 0;
        let mut dirty = [false; 4];
        for event in &record.log {
            match event {
                Event::Write { part, .. } => {
                    assert!(![ROOT_A, TREE_A].contains(part), "{form}: a write to the running slot");
                    dirty[*part] = true;
                }
                Event::Flush { part } => dirty[*part] = false,
                Event::Save(_) => {
                    assert_eq!(dirty, [false; 4], "{form}: a checkpoint before its flush");
                    saves += 1;
                }
                Event::Remove => {}
            }
        }
        assert!(saves >= 5, "{form}: {saves} checkpoints");
        assert!(matches!(record.log.first(), Some(Event::Remove)), "{form}");
        // The superblock, its flush, then the checkpoint goes.
        let [.., superblock, Event::Flush { part: 3 }, Event::Remove] = &record.log[..] else {
            panic!("{form}: {:?}", record.log.last());
        };
        assert!(matches!(superblock, Event::Write { part: 3, at: 0, bytes } if bytes.starts_with(b"verity")));
        let early = record
            .log
            .iter()
            .filter(|event| matches!(event, Event::Write { bytes, .. } if bytes.starts_with(b"verity")));
        assert_eq!(early.count(), 1, "{form}: the superblock is written once");
    }
}

#[test]
fn a_kill_between_any_two_steps_is_survived() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let record = record(scene, &scene.disk(), file);
        let mut found = [0; 3];
        for events in 0..=record.log.len() {
            let (place, disk) = (format!("{form}, event {events}"), record.prefix(events));
            found[scene.check(&disk.parts(), &record.before, &place) as usize] += 1;
            scene.install(&disk, file).unwrap_or_else(|error| panic!("{place}: {error:?}"));
            scene.check_done(&disk, &record.before, &place);
        }
        println!("{form}: {} states; nothing, the old, the new root: {found:?}", record.log.len() + 1);
        assert!(found.iter().all(|count| *count > 0));
    }
}

#[test]
fn a_power_cut_is_survived_whatever_reached_the_disk() {
    let (scene, mut random) = (Scene::get(), Random(seed()));
    for (form, file) in scene.forms() {
        let record = record(scene, &scene.disk(), file);
        let (mut found, mut resumed, count) = ([0; 3], 0, cases(1200));
        for case in 0..count {
            let events = place(&record, &mut random);
            let (place, disk) = (
                format!("{form}, case {case}, event {events}"),
                record.cut(events, Flushes::Honest, &mut random),
            );
            found[scene.check(&disk.parts(), &record.before, &place) as usize] += 1;
            let job = scene.job(file);
            let poisoned = common::target(&disk).plan(&job).unwrap().begin(&disk).unwrap();
            resumed += usize::from(poisoned.done() > 0);
            scene.install(&disk, file).unwrap_or_else(|error| panic!("{place}: {error:?}"));
            scene.check_done(&disk, &record.before, &place);
        }
        println!("{form}: {count} states, {resumed} resumed; nothing, the old, the new root: {found:?}");
        assert!(found.iter().all(|found| *found > 0) && resumed > count / 4);
    }
}

/// Any place, but as often as not one near the beginning or the end, where there are fewer.
fn place(record: &Record, random: &mut Random) -> usize {
    let len = record.log.len();
    match random.below(4) {
        0 => random.below(8).min(len),
        1 => len - random.below(12).min(len),
        _ => random.below(len + 1),
    }
}

#[test]
fn power_goes_again_while_resuming() {
    let (scene, mut random) = (Scene::get(), Random(seed()));
    for (form, file) in scene.forms() {
        for case in 0..cases(60) {
            let (mut disk, before) = (scene.disk(), scene.disk().parts());
            for cut in 0..6 {
                let record = record(scene, &disk, file);
                let events = place(&record, &mut random);
                disk = record.cut(events, Flushes::Honest, &mut random);
                scene.check(
                    &disk.parts(),
                    &before,
                    &format!("{form}, case {case}, cut {cut}, event {events}"),
                );
            }
            scene.install(&disk, file).unwrap();
            scene.check_done(&disk, &before, form);
        }
    }
}

/// Neither form believes what the other left, even if it left something itself before.
#[test]
fn the_other_form_goes_on_where_one_was_cut() {
    let (scene, mut random) = (Scene::get(), Random(seed()));
    let [(_, full), (_, delta)] = scene.forms();
    for (first, then) in [(delta, full), (full, delta)] {
        let one = record(scene, &scene.disk(), first);
        for case in 0..cases(100) {
            let events = place(&one, &mut random);
            let disk = one.cut(events, Flushes::Honest, &mut random);
            let other = record(scene, &disk, then);
            scene.check_done(&disk, &one.before, "the other form");
            let disk = other.cut(place(&other, &mut random), Flushes::Honest, &mut random);
            scene
                .install(&disk, first)
                .unwrap_or_else(|error| panic!("case {case}, event {events}: {error:?}"));
            scene.check_done(&disk, &one.before, "the first form again");
        }
    }
}

/// Before the installation has ended well nothing names the new root, so whatever such a disk holds then, the running slot is what
/// boots. Afterwards a lie cannot be told from the truth: what is missing is found by dm-verity, block by block.
#[test]
fn a_disk_that_lies_about_flushes_costs_the_resume_alone() {
    let (scene, mut random) = (Scene::get(), Random(seed()));
    for (form, file) in scene.forms() {
        let record = record(scene, &scene.disk(), file);
        let (mut believed, mut began_anew, count) = (0, 0, cases(500));
        for case in 0..count {
            let events = random.below(record.log.len());
            let disk = record.cut(events, Flushes::Lies, &mut random);
            let place = format!("{form}, case {case}, event {events}");
            assert!(disk.parts()[..2] == record.before[..2], "{place}: the running slot was touched");
            match scene.install(&disk, file) {
                Ok(_) => believed += 1,
                Err(error) => {
                    assert_eq!(error.remedy(), Remedy::TakeFull, "{place}: {error:?}");
                    assert_eq!(scene.check(&disk.parts(), &record.before, &place), Holds::Nothing);
                    assert_eq!(disk.checkpoint(), None, "{place}: a checkpoint that lies was kept");
                    scene.install(&disk, &scene.full).unwrap();
                    began_anew += 1;
                }
            }
            scene.check_done(&disk, &record.before, &place);
        }
        println!("{form}: {count} states; {believed} went on, {began_anew} began anew");
        assert!(believed > 0 && began_anew > 0);
    }
}
