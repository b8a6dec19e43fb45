use super::*;
use crate::file::Facts;
use proptest::prelude::*;

const A: &str = "coracle_1.0.0.efi";
const B: &str = "coracle_1.1.0.efi";

fn facts(name: &str) -> Facts {
    let version = name.trim_start_matches("coracle_").split(['+', 'e']).next().unwrap().trim_end_matches('.');
    Facts { sort_key: Some("hello".into()), version: Some(version.into()) }
}

fn whole(name: &str) -> File {
    File { name: name.into(), content: Content::Whole(facts(name)) }
}

fn refused(name: &str) -> File {
    File { name: name.into(), content: Content::Refused(facts(name)) }
}

fn empty(name: &str) -> File {
    File { name: name.into(), content: Content::Nothing }
}

fn is(name: &str, file: &File) -> bool {
    file.facts() == Some(&facts(name))
}

/// Only this version holds.
fn only(name: &str) -> impl Fn(&File) -> Health {
    move |file| if is(name, file) { Health::Holds } else { Health::Fails }
}

fn names(boots: &[Boot]) -> Vec<&str> {
    boots.iter().map(|boot| boot.now.as_str()).collect()
}

#[test]
fn a_release_that_never_comes_up_is_left_after_its_tries() {
    let mut machine = Machine::new(vec![whole(A), whole("coracle_1.1.0+3-0.efi")], 1);
    let (boots, end) = machine.run(only(A));
    assert_eq!(names(&boots), ["coracle_1.1.0+2-1.efi", "coracle_1.1.0+1-2.efi", "coracle_1.1.0+0-3.efi", A]);
    assert_eq!(boots[0].chosen, "coracle_1.1.0+3-0.efi");
    assert_eq!(boots[0].counted.as_deref(), Some("coracle_1.1.0+2-1.efi"));
    assert_eq!((boots[3].counted.as_deref(), end), (None, End::Up), "a reset forgets the path");
    assert_eq!(machine.files[1].name, "coracle_1.1.0+0-3.efi");
}

#[test]
fn a_good_release_stays() {
    let mut machine = Machine::new(vec![whole(A), whole("coracle_1.1.0+3-0.efi")], 1);
    let (boots, end) = machine.run(only(B));
    assert_eq!((names(&boots), end), (vec!["coracle_1.1.0+2-1.efi"], End::Up));
    // Blessed, and with the older one still there.
    let mut machine = Machine::new(vec![whole(B), whole(A)], 1);
    assert_eq!(names(&machine.run(only(B)).0), [B]);
    // It holds only at the last of its tries.
    let mut machine = Machine::new(vec![whole(A), whole("coracle_1.1.0+3-0.efi")], 1);
    let third = |file: &File| if file.name.contains("+0-3") { Health::Holds } else { Health::Fails };
    assert_eq!(names(&machine.run(third).0).last(), Some(&"coracle_1.1.0+0-3.efi"));
}

#[test]
fn with_nothing_but_exhausted_entries_the_newest_is_started_for_ever() {
    let files = vec![whole("coracle_1.0.0+0-3.efi"), whole("coracle_1.1.0+0-3.efi")];
    let mut machine = Machine::new(files.clone(), 4);
    for want in ["coracle_1.1.0+0-4.efi", "coracle_1.1.0+0-5.efi", "coracle_1.1.0+0-6.efi"] {
        let (boots, end) = machine.run(only(A));
        assert_eq!((names(&boots), end), (vec![want], End::ForEver));
    }
    assert!(!Machine::new(files, 4).survives(|file| is(A, file)));
    // So all may not carry counters.
    let trials = vec![whole("coracle_1.0.0+1-0.efi"), whole("coracle_1.1.0+1-0.efi")];
    let mut machine = Machine::new(trials, 1);
    let (boots, end) = machine.run(|_| Health::Fails);
    let want = ["coracle_1.1.0+0-1.efi", "coracle_1.0.0+0-1.efi", "coracle_1.1.0+0-2.efi"];
    assert_eq!((names(&boots), end), (want.to_vec(), End::ForEver));
}

#[test]
fn a_newest_entry_without_a_counter_is_never_left() {
    assert!(!Machine::new(vec![whole(A), whole(B)], 4).survives(|file| is(A, file)));
    // As stage 1 leaves it after three of its boots.
    assert!(Machine::new(vec![whole(A), whole("coracle_1.1.0+0-1.efi")], 4).survives(|file| is(A, file)));
}

#[test]
fn a_refused_image_takes_one_boot_option_a_try() {
    let files = vec![whole(A), refused("coracle_1.1.0+3-0.efi")];
    let mut machine = Machine::new(files.clone(), 1);
    for want in ["coracle_1.1.0+2-1.efi", "coracle_1.1.0+1-2.efi", "coracle_1.1.0+0-3.efi"] {
        let (boots, end) = machine.run(only(A));
        assert_eq!((names(&boots), end), (vec![want], End::Stuck), "somebody has to switch it off and on");
    }
    assert_eq!(names(&machine.run(only(A)).0), [A]);

    let (boots, end) = Machine::new(files, 4).run(only(A));
    let want = ["coracle_1.1.0+2-1.efi", "coracle_1.1.0+1-2.efi", "coracle_1.1.0+0-3.efi", A];
    assert_eq!((names(&boots), end), (want.to_vec(), End::Up), "by itself");
    assert_eq!(
        boots[3].counted.as_deref(),
        Some("coracle_1.1.0+0-3.efi"),
        "the path is another's, and stale"
    );
    assert!(boots[3].started && !boots[2].started);
}

#[test]
fn a_pin_starts_what_is_exhausted() {
    let mut machine = Machine::new(vec![whole(A), whole("coracle_1.1.0+0-3.efi")], 1);
    machine.pins.configured = Some("coracle_1.1.0*".into());
    let (boots, end) = machine.run(only(A));
    assert_eq!((names(&boots), end), (vec!["coracle_1.1.0+0-4.efi"], End::ForEver));
}

#[test]
fn an_entry_named_for_one_shot_is_started_once() {
    let mut machine = Machine::new(vec![whole(A), whole(B)], 1);
    machine.pins.one_shot = Some(A.to_uppercase());
    let (boots, end) = machine.run(only(B));
    assert_eq!((names(&boots), end), (vec![A, B], End::Up));
    assert_eq!(machine.pins, Pins::default());
    machine.pins.one_shot = Some(A.into());
    assert_eq!(names(&machine.run(only(A)).0), [A]);
}

#[test]
fn what_cannot_be_renamed_is_started_all_the_same() {
    let files = vec![whole("coracle_1.1.0+3-0.efi"), empty("CORACLE_1.1.0+2-1.efi")];
    let mut machine = Machine::new(files.clone(), 1);
    let (boots, end) = machine.run(|_| Health::Fails);
    assert_eq!((names(&boots), end), (vec!["coracle_1.1.0+3-0.efi"], End::ForEver));
    assert_eq!((boots[0].counted.as_deref(), &machine.files), (None, &files));
}

#[test]
fn an_empty_file_is_not_there() {
    let mut machine = Machine::new(vec![whole(A), empty("coracle_1.1.0+3-0.efi")], 1);
    assert_eq!(names(&machine.run(only(A)).0), [A]);
    assert_eq!(Machine::new(vec![empty(A)], 4).run(only(A)), (vec![], End::Stuck));
    assert_eq!(Machine::new(vec![whole(A)], 0).run(only(A)), (vec![], End::Stuck));
}

proptest! {
    /// What the safe writing of entries stands on: with one good entry without a counter, and the others on trial or
    /// exhausted, no failure of the others keeps the machine down.
    #[test]
    fn one_good_entry_without_a_counter_is_enough(
        trials in prop::collection::vec((1u8..9, 0u8..5, 0u8..5, prop::bool::ANY), 0..4),
        good in 1u8..9,
    ) {
        let mut files = vec![whole(&format!("coracle_1.{good}.0.efi"))];
        let mut tries = 0;
        for (version, left, done, is_whole) in trials {
            let name = format!("coracle_1.{version}.0+{left}-{done}.efi");
            if version != good && files.iter().all(|file| file.facts() != Some(&facts(&name))) {
                files.push(if is_whole { whole(&name) } else { refused(&name) });
                tries += usize::from(left);
            }
        }
        prop_assert!(Machine::new(files, tries + 1).survives(|file| file.tries().is_none()));
    }
}
