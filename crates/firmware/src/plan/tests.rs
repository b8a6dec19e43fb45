use proptest::prelude::*;

use super::*;
use crate::path::tests::{partition, place};

const HERE: u128 = 1;
const OTHER_DISK: u128 = 2;

fn ours(guid: u128) -> Option<LoadOption> {
    Some(LoadOption::starting(NAME, place(guid, LOADER)))
}

fn fallback(guid: u128) -> Option<LoadOption> {
    Some(LoadOption::starting(FALLBACK_NAME, place(guid, FALLBACK)))
}

fn foreign(name: &str) -> Option<LoadOption> {
    Some(LoadOption::starting(name, place(HERE, LOADER)))
}

fn found(options: Vec<(u16, Option<LoadOption>)>, order: &[u16]) -> Found {
    let options = options.into_iter().map(|(number, option)| (Number(number), option)).collect();
    Found { options, order: order.iter().copied().map(Number).collect() }
}

fn plan(found: &Found) -> Vec<Write> {
    Plan::new(found, partition(HERE)).unwrap().writes
}

fn do_one(found: &mut Found, write: Write) {
    match write {
        Write::Option(number, option) => drop(found.options.insert(number, Some(option))),
        Write::Order(order) => found.order = order,
        Write::Remove(number) => drop(found.options.remove(&number)),
    }
}

fn done(found: &Found) -> Found {
    let mut after = found.clone();
    plan(found).into_iter().for_each(|write| do_one(&mut after, write));
    after
}

fn order(found: &Found) -> Vec<u16> {
    found.order.iter().map(|number| number.0).collect()
}

#[test]
fn an_empty_firmware_gets_five() {
    let after = done(&found(vec![], &[]));
    let mut five: Vec<_> = (0..4).map(|number| (number, ours(HERE))).collect();
    five.push((4, fallback(HERE)));
    assert_eq!(after, found(five, &[0, 1, 2, 3, 4]));
    assert_eq!(plan(&after), []);
}

#[test]
fn others_keep_their_options_and_their_order() {
    let before = found(vec![(0, foreign("UiApp")), (2, foreign("Debian")), (5, None)], &[5, 2, 0]);
    let after = done(&before);
    assert_eq!(order(&after), [1, 3, 4, 6, 7, 5, 2, 0]);
    assert_eq!(after.options[&Number(7)], fallback(HERE));
    for (number, option) in &before.options {
        assert_eq!(after.options[number], *option);
    }
}

#[test]
fn options_that_lead_to_another_disk_are_replaced() {
    let mut inactive = ours(HERE);
    inactive.iter_mut().for_each(|option| option.attributes = 0);
    for stale in [ours(OTHER_DISK), inactive, fallback(OTHER_DISK)] {
        let options = vec![(0, foreign("UiApp")), (1, ours(HERE)), (7, stale.clone()), (8, stale.clone())];
        let after = done(&found(options, &[8, 0, 1, 7]));
        assert_eq!(order(&after), [1, 7, 8, 2, 3, 0]);
        assert_eq!(after.options[&Number(3)], fallback(HERE));
        let many = (1..8).map(|number| (number, stale.clone())).collect();
        let after = done(&found(many, &[7, 6, 5, 4, 3, 2, 1]));
        assert_eq!((order(&after), after.options.len()), (vec![1, 2, 3, 4, 5], 5));
    }
}

#[test]
fn what_is_already_so_is_left() {
    let five =
        || vec![(9, ours(HERE)), (4, ours(HERE)), (6, ours(HERE)), (7, ours(HERE)), (2, fallback(HERE))];
    assert_eq!(plan(&found(five(), &[9, 4, 6, 7, 2])), []);
    // What the order names and is not there is nobody's, and no reason to write.
    assert_eq!(plan(&found(five(), &[9, 4, 3, 6, 6, 7, 2])), []);
    let mut six = five();
    six.push((1, ours(HERE)));
    assert_eq!(plan(&found(six.clone(), &[9, 4, 6, 7, 1, 2])), []);
    let order = [9, 4, 6, 7, 1, 2].map(Number).to_vec();
    assert_eq!(plan(&found(six, &[2, 9, 4, 6, 7])), [Write::Order(order)]);
    // A firmware may write the path in its own way.
    let mut upper = five();
    upper[0].1 = Some(LoadOption::starting(NAME, place(HERE, "\\EFI\\SYSTEMD\\SYSTEMD-BOOTX64.EFI")));
    assert_eq!(plan(&found(upper, &[9, 4, 6, 7, 2])), []);
}

#[test]
fn one_that_is_missing_is_added() {
    let mut options: Vec<_> = [0, 1, 5].map(|number| (number, ours(HERE))).into();
    options.extend([(3, fallback(HERE)), (4, foreign("Debian"))]);
    let writes = plan(&found(options, &[4, 0, 1, 3, 5]));
    let order = [0, 1, 5, 2, 3, 4].map(Number).to_vec();
    assert_eq!(writes, [Write::Option(Number(2), ours(HERE).unwrap()), Write::Order(order)]);
}

#[test]
fn a_number_is_four_digits_as_the_firmware_writes_them() {
    for (name, number) in [("Boot0000", 0), ("Boot001F", 31), ("BootFFFF", 0xffff)] {
        assert_eq!(name.parse(), Ok(Number(number)));
        assert_eq!(Number(number).to_string(), name);
    }
    for bad in ["BootOrder", "Boot001f", "Boot01F", "Boot+01F", "Boot00001", "BootNext", "boot0001", "Boot"] {
        assert_eq!(bad.parse::<Number>(), Err(NotBootOption), "{bad}");
    }
}

fn some_option() -> impl Strategy<Value = Option<LoadOption>> {
    prop_oneof![
        Just(None),
        Just(foreign("UiApp")),
        Just(foreign("Coracle ")),
        Just(ours(HERE)),
        Just(ours(OTHER_DISK)),
        Just(fallback(HERE)),
        Just(fallback(OTHER_DISK)),
        Just(Some(LoadOption { attributes: 9, description: NAME.into(), place: None })),
        Just(Some(LoadOption { attributes: 0, ..fallback(HERE).unwrap() })),
    ]
}

fn some_firmware() -> impl Strategy<Value = Found> {
    let options = prop::collection::btree_map(0u16..24, some_option(), 0..16);
    (options, prop::collection::vec(0u16..28, 0..24))
        .prop_map(|(options, order)| found(options.into_iter().collect(), &order))
}

proptest! {
    #[test]
    fn once_is_enough(before in some_firmware()) {
        let after = done(&before);
        prop_assert_eq!(plan(&after), []);
        // Ours come first, and the fallback last of them.
        let is = |number: &Number, option: Option<LoadOption>| after.options[number] == option;
        let count = |option: fn(u128) -> Option<LoadOption>| after.options.values().filter(|own| **own == option(HERE)).count();
        prop_assert!(count(ours) >= LOADERS && count(fallback) >= 1);
        let (loaders, all) = (count(ours), count(ours) + count(fallback));
        let order = kept(&after);
        prop_assert!(order.len() >= all);
        prop_assert!(order[..loaders].iter().all(|number| is(number, ours(HERE))));
        prop_assert!(order[loaders..all].iter().all(|number| is(number, fallback(HERE))));
        prop_assert!(after.options.values().flatten().filter(|own| is_ours(own)).count() == all);
    }

    #[test]
    fn others_survive(before in some_firmware()) {
        let after = done(&before);
        let others = |found: &Found| -> BTreeMap<_, _> {
            let others = found.options.iter().filter(|(_, option)| !option.as_ref().is_some_and(is_ours));
            others.map(|(number, option)| (*number, option.clone())).collect()
        };
        prop_assert_eq!(others(&before), others(&after));
        let order = |found: &Found| -> Vec<_> {
            kept(found).into_iter().filter(|number| others(&before).contains_key(number)).collect()
        };
        prop_assert_eq!(order(&before), order(&after));
    }

    #[test]
    fn a_cut_between_two_writes_leaves_an_order_of_what_is_there(before in some_firmware()) {
        let mut now = before.clone();
        let named: BTreeSet<_> = kept(&before).into_iter().collect();
        let mut after_order = false;
        for write in plan(&before) {
            after_order |= matches!(write, Write::Order(_));
            do_one(&mut now, write);
            if now.order == before.order {
                prop_assert!(named.iter().all(|number| now.options.contains_key(number)) );
            } else {
                prop_assert!(after_order && now.order.iter().all(|number| now.options.contains_key(number)));
            }
            // And the next boot finds the same end from there.
            prop_assert_eq!(plan(&done(&now)), []);
        }
    }
}
