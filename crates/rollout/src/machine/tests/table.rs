//! Every pair of state and event.

use std::collections::BTreeSet;

use super::*;
use crate::orders::{Downgrade, Hold, Orders, Pin, Urgency};

/// What may follow: from a state to the next, by these events. Every other pair is illegal.
#[rustfmt::skip]
const LEGAL: &[(&str, &str, &str)] = &[
    ("Idle", "Idle", "Due, Refreshed, check, apply, hold, pin, retry"),
    ("Idle", "Preparing", "Due, Refreshed"),
    ("Idle", "Locking", "rollback"),
    ("Preparing", "Idle", "Refreshed, pin"),
    ("Preparing", "Preparing", "Refreshed, check, apply, hold, pin"),
    ("Preparing", "Writing", "Prepared"),
    ("Preparing", "Failed", "Trouble"),
    ("Writing", "Idle", "Refreshed, pin"),
    ("Writing", "Writing", "Due, Refreshed, Checkpoint, Trouble, check, apply, hold, pin"),
    ("Writing", "Verifying", "Written"),
    ("Writing", "Failed", "Trouble"),
    ("Verifying", "Idle", "Refreshed, pin"),
    ("Verifying", "Writing", "Verified, Trouble"),
    ("Verifying", "Verifying", "Refreshed, check, apply, hold, pin"),
    ("Verifying", "FetchingUki", "Verified"),
    ("Verifying", "Failed", "Verified, Trouble"),
    ("FetchingUki", "FetchingUki", "Due, Refreshed, Fetched, Trouble, check, apply, hold, pin"),
    ("FetchingUki", "Staged", "Fetched"),
    ("FetchingUki", "Discarding", "Refreshed, pin"),
    ("FetchingUki", "Failed", "Fetched, Trouble"),
    ("Staged", "Staged", "Due, Refreshed, check, apply, hold, pin"),
    ("Staged", "Locking", "Due"),
    ("Staged", "Discarding", "Refreshed, pin"),
    ("Locking", "Locking", "Due, Refreshed, LockRefused, check, apply, hold, pin"),
    ("Locking", "Draining", "LockTaken"),
    ("Locking", "Releasing", "Due, Refreshed, LockTaken, hold, pin"),
    ("Draining", "Draining", "Refreshed, check, hold, pin"),
    ("Draining", "Activating", "Drained"),
    ("Draining", "Releasing", "Refreshed, pin"),
    ("Activating", "Activating", "Refreshed, check, hold, pin"),
    ("Activating", "Rebooting", "Activated"),
    ("Activating", "Releasing", "Trouble"),
    ("Rebooting", "Rebooting", "Refreshed, check, hold, pin"),
    ("Probation", "Probation", "Refreshed, check, hold, pin"),
    ("Probation", "Blessing", "Healthy"),
    ("Blessing", "Probation", "Trouble"),
    ("Blessing", "Blessing", "Refreshed, check, hold, pin"),
    ("Blessing", "Releasing", "Blessed"),
    ("RolledBack", "RolledBack", "Refreshed, check, hold, pin"),
    ("RolledBack", "Releasing", "Healthy, Unhealthy"),
    ("Releasing", "Idle", "LockReleased"),
    ("Releasing", "Verifying", "LockReleased"),
    ("Releasing", "FetchingUki", "LockReleased"),
    ("Releasing", "Staged", "LockReleased"),
    ("Releasing", "Releasing", "Due, Refreshed, Trouble, check, hold, pin"),
    ("Releasing", "Discarding", "LockReleased"),
    ("Discarding", "Idle", "Discarded"),
    ("Discarding", "Discarding", "Due, Refreshed, Trouble, check, hold, pin"),
    ("Discarding", "Failed", "Discarded"),
    ("Failed", "Idle", "Due, Refreshed, apply, retry"),
    ("Failed", "Locking", "rollback"),
    ("Failed", "Failed", "Due, Refreshed, check, hold, pin"),
];

const DOC: &str = include_str!("../../../../../docs/update-state-machine.md");

pub(super) fn states(setting: &Setting) -> Vec<State> {
    let (job, back) = (setting.install(), setting.going_back());
    let fresh = Tries::default();
    let waiting = Tries { failures: 2, corrupt: 2, until: Some(setting.now) };
    let mut states = vec![
        State::Idle,
        State::Preparing { job: job.clone() },
        State::Failed { system: job.system(), trouble: Trouble::Io, until: setting.now },
        State::Failed {
            system: fixture::system("1.0.5"),
            trouble: Trouble::Io,
            until: setting.now.after(Duration::from_secs(9)),
        },
        State::staged(job.clone()),
    ];
    for form in [Form::Delta, Form::Full] {
        states.push(State::Verifying { job: job.clone(), form });
        for tries in [fresh, waiting] {
            states.push(State::Writing { job: job.clone(), form, ops: 7, tries });
            states.push(State::FetchingUki { job: job.clone(), form, tries });
        }
    }
    for job in [&job, &back] {
        let trial = job.trial();
        states.push(State::Draining { job: job.clone() });
        states.push(State::Activating { job: job.clone() });
        states.push(State::Rebooting { job: job.clone() });
        states.extend([State::Probation { trial }, State::Blessing { trial }, State::RolledBack { trial }]);
        for tries in [fresh, waiting] {
            states.push(State::Locking { job: job.clone(), tries });
            for cause in [Cause::Withdrawn, Cause::Failed(Trouble::Io)] {
                states.push(State::Discarding { job: job.clone(), cause, tries });
            }
        }
    }
    let thens = [
        State::Idle,
        State::staged(job.clone()),
        State::FetchingUki { job: job.clone(), form: Form::Delta, tries: fresh },
        State::Verifying { job: job.clone(), form: Form::Delta },
        State::Discarding { job, cause: Cause::Withdrawn, tries: fresh },
    ];
    for then in thens {
        for tries in [fresh, waiting] {
            states.push(State::Releasing { then: Box::new(then.clone()), tries });
        }
    }
    states
}

fn events(setting: &Setting) -> Vec<Event> {
    let offer = setting.offer();
    let mut events = vec![
        Event::Due,
        Event::Refreshed,
        Event::Prepared,
        Event::Checkpoint(8),
        Event::Written,
        Event::Verified(offer.system.root),
        Event::Verified(fixture::system("9.9.9").root),
        Event::Fetched(offer.uki.sha256),
        Event::Fetched(fixture::uki("9.9.9")),
        Event::LockTaken,
        Event::LockRefused { retry_after: None },
        Event::Drained,
        Event::Activated,
        Event::Healthy,
        Event::Unhealthy,
        Event::Blessed,
        Event::LockReleased,
        Event::Discarded,
    ];
    events.extend(
        [
            Trouble::Unreachable { retry_after: Some(Duration::from_secs(5)) },
            Trouble::Missing,
            Trouble::Corrupt,
            Trouble::SourceDiffers,
            Trouble::Mismatch,
            Trouble::SlotTooSmall,
            Trouble::EspFull,
            Trouble::Signature,
            Trouble::Io,
        ]
        .map(Event::Trouble),
    );
    let pin = |text| Verb::Pin(Pin { version: fixture::version(text), downgrade: Downgrade::Refuse });
    events.extend(
        [
            Verb::Check,
            Verb::Apply,
            Verb::Hold,
            Verb::Unhold,
            pin("1.1.0"),
            pin("1.0.0"),
            Verb::Unpin,
            Verb::Rollback,
            Verb::Retry(None),
        ]
        .map(Event::Operator),
    );
    events
}

fn settings() -> Vec<Setting> {
    let plain = Setting::plain();
    let with = |change: &dyn Fn(&mut Setting)| {
        let mut setting = plain.clone();
        change(&mut setting);
        setting
    };
    vec![
        plain.clone(),
        with(&|s| s.manifest = None),
        with(&|s| s.other = None),
        with(&|s| s.manifest = Some(trusted(&["1.0.0"]))),
        with(&|s| s.memory.orders = Orders { hold: Hold::On, ..Orders::default() }),
        with(&|s| s.memory.orders = Orders { urgency: Urgency::Now, ..Orders::default() }),
        with(&|s| s.config.approval = Approval::Manual),
        with(&|s| s.memory.security_floor = Some(fixture::version("1.0.0"))),
        with(&|s| s.memory.last_start = Some(s.now)),
    ]
}

/// One entry for each event.
fn legal() -> BTreeSet<(&'static str, &'static str, &'static str)> {
    LEGAL
        .iter()
        .flat_map(|&(from, to, events)| events.split(", ").map(move |event| (from, event, to)))
        .collect()
}

#[test]
fn every_pair_of_state_and_event_has_its_answer() {
    let plain = Setting::plain();
    let mut seen = BTreeSet::new();
    for setting in settings() {
        for state in states(&plain) {
            for event in events(&plain) {
                match step(state.clone(), event.clone(), &setting.ctx()) {
                    Ok((next, effects)) => {
                        seen.insert((state.name(), event.name(), next.name()));
                        assert!(effects.act.is_some() || next.name() == state.name(), "{state:?} {event:?}");
                    }
                    Err(illegal) => assert_eq!((*illegal.state, illegal.event), (state.clone(), event)),
                }
            }
        }
    }
    let legal = legal();
    let missing: Vec<_> = seen.difference(&legal).collect();
    let unseen: Vec<_> = legal.difference(&seen).collect();
    assert!(
        missing.is_empty() && unseen.is_empty(),
        "not in the table: {missing:#?}\nnot in the code: {unseen:#?}"
    );
}

/// The lines of the document from the one after `first` up to `last`.
fn lines(first: &str, last: &str) -> impl Iterator<Item = &'static str> {
    DOC.lines().skip_while(move |line| *line != first).skip(1).take_while(move |line| *line != last)
}

#[test]
fn the_diagram_is_the_table() {
    // `Idle --> Preparing: Due, Refreshed`
    let arrows = lines("```mermaid", "```").filter_map(|line| {
        let (from, rest) = line.trim().split_once(" --> ")?;
        let (to, events) = rest.split_once(": ")?;
        (from != "[*]").then_some((from, to, events))
    });
    // `| `Idle` | Due, check |`
    let stays = lines("| state | events |", "").filter_map(|line| {
        let (state, events) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
        Some((state, state, events))
    });
    let drawn: Vec<_> = arrows.chain(stays).collect();
    let known = |row: &(&str, &str, &str)| LEGAL.contains(row);
    assert!(drawn.iter().all(known), "only drawn: {:?}", drawn.iter().find(|row| !known(row)));
    assert_eq!(drawn.len(), LEGAL.len(), "not drawn: {:?}", LEGAL.iter().find(|row| !drawn.contains(row)));
}
