//! Random histories of a machine.

use proptest::prelude::*;

use super::{
    world::{VERSIONS, World},
    *,
};
use crate::orders::Downgrade;

/// One thing that happens.
fn happen(world: &mut World, what: u8, which: u8) {
    let version = VERSIONS[usize::from(which) % VERSIONS.len()];
    let up_to = &VERSIONS[..=usize::from(which) % VERSIONS.len()];
    match what {
        0..120 => world.perform(true),
        120..140 => world.perform(false),
        140..165 => world.offer(up_to, |_| ()),
        165..172 => world.offer(&VERSIONS, |manifest| manifest.paused = true),
        172..180 => world.offer(&VERSIONS, |manifest| manifest.recalled.push(fixture::version(version))),
        180..184 => world.verb(Verb::Apply),
        184..186 => world.verb(Verb::Hold),
        186..194 => world.verb(Verb::Unhold),
        194..197 => world.pin(version, Downgrade::Refuse),
        197..199 => world.pin(version, Downgrade::Allow),
        199..206 => world.verb(Verb::Unpin),
        206..212 => world.verb(Verb::Rollback),
        212..213 => world.verb(Verb::Retry(None)),
        213..225 => world.kill(),
        225..232 => world.power(false, false),
        232..240 => world.power(true, false),
        240 => world.power(which.is_multiple_of(2), true),
        _ => {
            let strays = [
                Event::Due,
                Event::Prepared,
                Event::Written,
                Event::Verified(fixture::system(version).root),
                Event::Fetched(fixture::uki(version)),
                Event::LockTaken,
                Event::Drained,
                Event::Activated,
                Event::Blessed,
                Event::LockReleased,
                Event::Discarded,
                Event::Trouble(Trouble::Io),
            ];
            world.stray(strays[usize::from(which) % strays.len()].clone());
        }
    }
    world.check();
}

proptest! {
    #[test]
    fn no_history_breaks_a_promise(history in prop::collection::vec(any::<(u8, u8)>(), 1..160)) {
        let mut world = World::new();
        for (what, which) in history {
            happen(&mut world, what, which);
        }
        // When all goes well from now on, it comes to the newest release that is good.
        world.verb(Verb::Unhold);
        world.verb(Verb::Unpin);
        world.power(false, false);
        for _ in 0..150 {
            world.offer(&["1.0.0", "1.0.5", "1.1.5", "1.2.5", "1.3.0"], |_| ());
            world.verb(Verb::Retry(None));
            for _ in 0..4 {
                world.perform(true);
                world.check();
            }
            if world.is_idle() && world.running() == fixture::system("1.3.0") {
                return Ok(());
            }
            if world.running().version.to_string().ends_with('5') {
                // PID 1's deadline passes.
                world.power(false, false);
            }
        }
        prop_assert!(false, "stuck at {}", world.running());
    }
}

/// From an offer to the end, with nothing but luck and PID 1's deadline.
fn live(world: &mut World, steps: u32) {
    for _ in 0..steps {
        if world.running().version.to_string().ends_with('5') {
            world.power(false, false);
        }
        world.perform(true);
        world.check();
    }
}

#[test]
fn a_bad_release_is_tried_three_times_and_never_again() {
    let mut world = World::new();
    for _ in 0..5 {
        world.offer(&["1.0.0", "1.1.5"], |_| ());
        live(&mut world, 40);
        assert!(world.is_idle() && world.running() == fixture::system("1.0.0"));
    }
    world.offer(&["1.0.0", "1.1.5", "1.2.0"], |_| ());
    live(&mut world, 40);
    assert!(world.is_idle() && world.running() == fixture::system("1.2.0"));
}

#[test]
fn an_operator_goes_back_and_stays_there() {
    let mut world = World::new();
    world.offer(&["1.0.0", "1.1.0"], |_| ());
    live(&mut world, 40);
    assert_eq!(world.running(), fixture::system("1.1.0"));
    world.verb(Verb::Rollback);
    live(&mut world, 40);
    assert_eq!(world.running(), fixture::system("1.0.0"));
    world.offer(&["1.0.0", "1.1.0"], |_| ());
    live(&mut world, 40);
    assert_eq!(world.running(), fixture::system("1.0.0"));
    world.verb(Verb::Retry(Some(fixture::version("1.1.0"))));
    world.offer(&["1.0.0", "1.1.0"], |_| ());
    live(&mut world, 40);
    assert_eq!(world.running(), fixture::system("1.1.0"), "retry lifts it");
}

#[test]
fn an_older_release_that_is_pinned_boots_and_stays() {
    let mut world = World::new();
    for newest in ["1.1.0", "1.2.0"] {
        world.offer(&["1.0.0", "1.1.0", newest], |_| ());
        live(&mut world, 40);
        assert_eq!(world.running(), fixture::system(newest));
    }
    world.pin("1.0.0", Downgrade::Allow);
    for _ in 0..2 {
        world.offer(&["1.0.0", "1.1.0", "1.2.0"], |_| ());
        live(&mut world, 40);
        assert!(world.is_idle() && world.running() == fixture::system("1.0.0"), "{}", world.running());
        world.power(false, false);
    }
    world.verb(Verb::Unpin);
    world.offer(&["1.0.0", "1.1.0", "1.2.0"], |_| ());
    live(&mut world, 40);
    assert_eq!(world.running(), fixture::system("1.2.0"));
}
