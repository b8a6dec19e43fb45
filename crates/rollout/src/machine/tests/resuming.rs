//! After a kill or a power cut.

use super::*;
use crate::deny::{Class, Denial};
use crate::orders::{Downgrade, Hold, Orders, Pin, Urgency};

/// A machine on 1.0.0 in slot A, with 0.9.0 in slot B.
fn facts(boot: Boot) -> Facts {
    Facts {
        now: now(),
        running: running("1.0.0"),
        entry: Entry::Good,
        other: None,
        slot: SlotContent::Poisoned,
        selected: Selected::Running,
        uki: UkiContent::Absent,
        boot,
        failure: (Class::Panic, "kernel panic".to_owned()),
    }
}

/// The new release runs in slot B; the old one is good.
fn new_runs(entry: Entry) -> Facts {
    Facts {
        running: Running { slot: Slot::B, ..running("1.1.0") },
        entry,
        other: Some(Other { system: fixture::system("1.0.0"), entry: Entry::Good }),
        ..facts(Boot::New)
    }
}

/// The old one runs, and the new one's entry is so.
fn old_runs(entry: Entry) -> Facts {
    Facts { other: Some(Other { system: fixture::system("1.1.0"), entry }), ..facts(Boot::New) }
}

fn staged_on_disk(facts: Facts) -> Facts {
    Facts {
        slot: SlotContent::Sealed(fixture::system("1.1.0").root),
        uki: UkiContent::Ready(fixture::uki("1.1.0")),
        ..facts
    }
}

fn sealed(facts: Facts) -> Facts {
    Facts { uki: UkiContent::Absent, ..staged_on_disk(facts) }
}

/// The state after a restart, what follows the release of the lock in brackets, and whether 1.1.0 is denied.
fn after(state: &State, facts: &Facts) -> (String, bool) {
    let memory = Memory { confirmed: Some(fixture::system("1.0.0")), ..Memory::default() };
    let bytes = Journal::new(state.clone(), memory).to_bytes().unwrap();
    let journal = Journal::parse(&bytes).unwrap().resume(facts);
    assert_eq!(
        journal.clone().resume(&Facts { boot: Boot::Same, ..facts.clone() }),
        journal,
        "twice is once"
    );
    let name = match &journal.state {
        State::Releasing { then, .. } => format!("Releasing({})", then.name()),
        state => state.name().to_owned(),
    };
    (name, journal.memory.deny.get(fixture::system("1.1.0").root).is_some())
}

#[test]
fn an_update_goes_on_where_the_disk_says() {
    let setting = Setting::plain();
    let job = setting.install();
    let (trial, tries) = (job.trial(), Tries::default());
    let idle = State::Idle;
    let preparing = State::Preparing { job: job.clone() };
    let writing = State::Writing { job: job.clone(), form: Form::Delta, ops: 9, tries };
    let verifying = State::Verifying { job: job.clone(), form: Form::Delta };
    let fetching = State::FetchingUki { job: job.clone(), form: Form::Delta, tries };
    let staged = State::staged(job.clone());
    let locking = State::Locking { job: job.clone(), tries };
    let draining = State::Draining { job: job.clone() };
    let activating = State::Activating { job: job.clone() };
    let rebooting = State::Rebooting { job: job.clone() };
    let again = State::Rebooting { job: Job { boots: 1, ..job.clone() } };
    let (probation, blessing) = (State::Probation { trial }, State::Blessing { trial });
    let rolled_back = State::RolledBack { trial };
    let discarding = State::Discarding { job, cause: Cause::Withdrawn, tries };
    let releasing = |then: &State| State::Releasing { then: Box::new(then.clone()), tries };
    let (same, new) = (facts(Boot::Same), facts(Boot::New));
    let on_disk = |boot| staged_on_disk(facts(boot));
    for (state, facts, then, denied) in [
        (&idle, new.clone(), "Idle", false),
        (&idle, Facts { entry: Entry::OnTrial, ..new.clone() }, "Probation", false),
        (&idle, Facts { entry: Entry::Exhausted, ..new.clone() }, "Probation", false),
        (&preparing, new.clone(), "Preparing", false),
        (&preparing, new_runs(Entry::Good), "Idle", false),
        (&writing, new.clone(), "Writing", false),
        (&writing, sealed(new.clone()), "Preparing", false),
        (&writing, new_runs(Entry::OnTrial), "Probation", false),
        (&verifying, new.clone(), "Verifying", false),
        (&fetching, new.clone(), "Verifying", false),
        (&fetching, sealed(new.clone()), "FetchingUki", false),
        (&fetching, on_disk(Boot::New), "Staged", false),
        (&staged, on_disk(Boot::New), "Staged", false),
        (&staged, sealed(new.clone()), "FetchingUki", false),
        (&staged, new.clone(), "Verifying", false),
        (&locking, on_disk(Boot::Same), "Locking", false),
        (&locking, on_disk(Boot::New), "Releasing(Staged)", false),
        (&draining, on_disk(Boot::Same), "Draining", false),
        (&draining, on_disk(Boot::New), "Releasing(Staged)", false),
        (&activating, on_disk(Boot::Same), "Activating", false),
        (&activating, on_disk(Boot::New), "Releasing(Staged)", false),
        (&activating, new_runs(Entry::OnTrial), "Probation", false),
        (&activating, old_runs(Entry::Exhausted), "RolledBack", true),
        (&rebooting, same.clone(), "Rebooting", false),
        (&rebooting, new_runs(Entry::OnTrial), "Probation", false),
        (&rebooting, new_runs(Entry::Exhausted), "Probation", false),
        (&rebooting, new_runs(Entry::Good), "Releasing(Idle)", false),
        (&rebooting, old_runs(Entry::Exhausted), "RolledBack", true),
        (&rebooting, sealed(old_runs(Entry::OnTrial)), "Releasing(FetchingUki)", false),
        (&rebooting, sealed(new.clone()), "Releasing(FetchingUki)", false),
        (&again, sealed(new.clone()), "Releasing(Discarding)", false),
        (&probation, new_runs(Entry::OnTrial), "Probation", false),
        (&probation, new_runs(Entry::Good), "Releasing(Idle)", false),
        (&probation, old_runs(Entry::Exhausted), "RolledBack", true),
        (&probation, old_runs(Entry::OnTrial), "RolledBack", true),
        (&blessing, new_runs(Entry::OnTrial), "Probation", false),
        (&blessing, new_runs(Entry::Good), "Releasing(Idle)", false),
        (&blessing, old_runs(Entry::Exhausted), "RolledBack", true),
        (&rolled_back, new.clone(), "RolledBack", false),
        (&rolled_back, new_runs(Entry::Exhausted), "Probation", false),
        (&discarding, new.clone(), "Discarding", false),
        (&releasing(&idle), new.clone(), "Releasing(Idle)", false),
        (&releasing(&idle), Facts { entry: Entry::OnTrial, ..new.clone() }, "Probation", false),
        (&releasing(&staged), on_disk(Boot::New), "Releasing(Staged)", false),
        (&releasing(&staged), new.clone(), "Releasing(Verifying)", false),
        (&releasing(&staged), new_runs(Entry::Good), "Releasing(Idle)", false),
        (&releasing(&discarding), new.clone(), "Releasing(Discarding)", false),
    ] {
        assert_eq!(after(state, &facts), (then.to_owned(), denied), "{state:?}\n{facts:?}");
    }
}

/// A block of the running root that has rotted panics the kernel when the delta reads it, boot after boot.
#[test]
fn a_delta_that_two_boots_have_broken_off_is_followed_by_everything() {
    let setting = Setting::plain();
    let (job, tries) = (setting.install(), Tries::default());
    let writing = State::Writing { job: job.clone(), form: Form::Delta, ops: 9, tries };
    let resume = |state: &State, boot, slot| {
        let facts = Facts { slot, ..facts(boot) };
        let bytes = Journal::new(state.clone(), Memory::default()).to_bytes().unwrap();
        Journal::parse(&bytes).unwrap().resume(&facts).state
    };
    let (poisoned, sealed) = (SlotContent::Poisoned, SlotContent::Sealed(job.from.root));
    // The agent may be killed as often as it likes, and the power may go once.
    assert_eq!(resume(&writing, Boot::Same, poisoned), writing);
    let once = resume(&writing, Boot::New, poisoned);
    assert!(matches!(once, State::Writing { form: Form::Delta, ops: 9, .. }), "{once:?}");
    let once = resume(&once, Boot::Same, poisoned);
    let twice = resume(&once, Boot::New, poisoned);
    assert!(matches!(twice, State::Writing { form: Form::Full, ops: 0, .. }), "{twice:?}");
    // What is done again is done in full, the kernel image too.
    let prepared = resume(&once, Boot::New, sealed);
    let (state, _) = step(prepared, Event::Prepared, &setting.ctx()).unwrap();
    assert!(matches!(state, State::Writing { form: Form::Full, .. }), "{state:?}");
    let State::Writing { job, form, .. } = state else { panic!("{state:?}") };
    let verified = Event::Verified(job.system().root);
    let (state, _) = step(State::Verifying { job, form }, verified, &setting.ctx()).unwrap();
    assert!(matches!(state, State::FetchingUki { form: Form::Full, .. }), "{state:?}");
}

#[test]
fn what_was_good_and_fails_is_denied_unless_its_copy_rotted() {
    for (class, denied) in [(Class::Panic, true), (Class::Hang, true), (Class::Stage1, false)] {
        let memory = Memory { confirmed: Some(fixture::system("1.1.0")), ..Memory::default() };
        let facts = Facts { failure: (class, String::new()), ..old_runs(Entry::Exhausted) };
        let journal = Journal::new(State::Idle, memory).resume(&facts);
        assert_eq!(journal.memory.deny.get(fixture::system("1.1.0").root).is_some(), denied, "{class:?}");
        assert_eq!((journal.state, journal.memory.confirmed), (State::Idle, Some(fixture::system("1.0.0"))));
    }
}

#[test]
fn a_release_whose_tries_were_all_cut_short_gets_as_many_again() {
    let trial = Setting::plain().install().trial();
    let cut = Facts { failure: (Class::CutShort, String::new()), ..old_runs(Entry::Exhausted) };
    let root = trial.system.root;
    let again = |memory| Journal::new(State::Probation { trial }, memory).resume(&cut);
    let once = again(Memory::default());
    assert_eq!((once.state, once.memory.deny.get(root)), (State::RolledBack { trial }, None));
    let twice = again(once.memory.clone());
    assert_eq!(twice.memory.deny.get(root).map(|denial| denial.class), Some(Class::CutShort));
    let mut memory = once.memory;
    memory.note(Note::Confirmed(trial.system, Epoch(3)));
    assert_eq!(again(memory).memory.deny.get(root), None, "what was blessed since begins anew");
}

#[test]
fn a_release_that_is_never_started_is_denied_after_three_rounds() {
    let job = Setting::plain().install();
    let root = job.system().root;
    let round = |memory: Memory| {
        let mut journal = Journal::new(State::Rebooting { job: job.clone() }, memory);
        for then in ["FetchingUki", "Discarding"] {
            journal = journal.resume(&sealed(old_runs(Entry::OnTrial)));
            let State::Releasing { then: state, .. } = &journal.state else { panic!("{:?}", journal.state) };
            assert_eq!(state.name(), then);
            let job = state.job().unwrap().clone();
            journal.state = State::Rebooting { job };
        }
        journal.memory
    };
    let twice = round(round(Memory::default()));
    assert_eq!(twice.deny.get(root), None);
    let denied = round(twice.clone());
    let denial = denied.deny.get(root).unwrap();
    assert_eq!(denial.class, Class::NeverStarted);
    assert_eq!(denial.reason, "something else ran after each of 6 reboots for it");
    // The operator, and a blessing, let it begin anew.
    let forgiven = Note::Forgiven(None);
    for note in [forgiven, Note::Confirmed(fixture::system("1.0.0"), Epoch(3))] {
        let mut memory = twice.clone();
        memory.note(note);
        assert_eq!(round(round(memory)).deny.get(root), None);
    }
    // So does another release.
    let mut memory = twice;
    memory.note(Note::NotBooted(fixture::system("1.2.0").root));
    assert_eq!(round(memory).deny.get(root), None);
}

#[test]
fn a_way_back_that_failed_is_denied_though_the_journal_is_another_ones() {
    let job = Setting::plain().going_back();
    let root = job.system().root;
    let resume = |class| {
        let facts = Facts { failure: (class, "late".to_owned()), ..facts(Boot::New) };
        Journal::new(State::Rebooting { job: job.clone() }, Memory::default()).resume(&facts)
    };
    let failed = resume(Class::Unhealthy);
    assert_eq!((failed.state.name(), failed.memory.deny.get(root).is_some()), ("RolledBack", true));
    let cut = resume(Class::CutShort);
    assert_eq!((cut.state.name(), cut.memory.deny.get(root)), ("Releasing", None));
}

#[test]
fn the_way_back_is_over_when_what_it_left_boots_no_more() {
    let trial = Setting::plain().going_back().trial();
    let back = |entry| Facts {
        running: Running { slot: Slot::B, ..running("0.9.0") },
        other: Some(Other { system: fixture::system("1.0.0"), entry }),
        ..facts(Boot::New)
    };
    let resume = |entry| Journal::new(State::Blessing { trial }, Memory::default()).resume(&back(entry));
    assert_eq!(resume(Entry::Good).state, State::Probation { trial });
    let journal = resume(Entry::Exhausted);
    assert_eq!(journal.state.name(), "Releasing");
    let denial = journal.memory.deny.get(fixture::system("1.0.0").root).unwrap();
    assert_eq!(denial.class, Class::Operator, "so that it stays there");
}

#[test]
fn a_journal_that_another_system_has_outlived_says_nothing_of_what_is_under_way() {
    let newer = fixture::system("1.1.0");
    let memory = Memory { confirmed: Some(fixture::system("1.0.0")), ..Memory::default() };
    let journal = Journal::new(State::Rebooting { job: Setting::plain().install() }, memory);
    let wanted = journal.clone().outlived(&old_runs(Entry::Good));
    let system = fixture::system("1.0.0");
    let trial = Trial { system, slot: Slot::A, way: Way::OneShot, back_from: Some(newer) };
    assert_eq!((&wanted.state, &wanted.memory), (&State::Probation { trial }, &journal.memory));
    // The agent was restarted; the power went in the blessing, when the newer one had been demoted.
    assert_eq!(wanted.clone().outlived(&old_runs(Entry::Good)), wanted);
    let blessed =
        Journal::new(State::Blessing { trial }, wanted.memory).outlived(&old_runs(Entry::Exhausted));
    assert_eq!(blessed.state.name(), "Releasing");
    assert_eq!(blessed.memory.deny.get(newer.root).map(|denial| denial.class), Some(Class::Operator));
    // A pinned release is installed, and has a counter.
    let pinned = Facts { entry: Entry::OnTrial, ..old_runs(Entry::Good) };
    let trial = Trial { way: Way::NewEntry, ..trial };
    assert_eq!(journal.clone().outlived(&pinned).state, State::Probation { trial });
    // The boot manager started the newer one, in vain.
    let fallback = Facts { selected: Selected::Another, ..old_runs(Entry::Good) };
    assert_eq!(journal.clone().outlived(&fallback).state.name(), "Releasing");
    for (class, denied) in [(Class::Panic, true), (Class::Stage1, false)] {
        let facts = Facts { failure: (class, String::new()), ..old_runs(Entry::Exhausted) };
        let lost = journal.clone().outlived(&facts);
        assert_eq!(lost.state.name(), "Releasing");
        assert_eq!(lost.memory.deny.get(newer.root).is_some(), denied, "{class:?}");
        assert_eq!(lost.memory.confirmed, Some(fixture::system("1.0.0")));
    }
    assert_eq!(journal.outlived(&facts(Boot::New)).state.name(), "Releasing");
}

#[test]
fn a_journal_that_cannot_be_read_is_told_from_one_that_can() {
    let bytes = Journal::default().to_bytes().unwrap();
    assert_eq!(Journal::parse(&bytes).unwrap(), Journal::default());
    let later = String::from_utf8(bytes.clone()).unwrap().replace("\"format\":1", "\"format\":2");
    assert!(matches!(Journal::parse(later.as_bytes()), Err(BadJournal::Format { got: 2 })));
    for cut in 0..bytes.len() {
        assert!(matches!(Journal::parse(&bytes[..cut]), Err(BadJournal::Content(_))), "{cut}");
    }
    assert!(matches!(Journal::parse(&vec![b' '; (1 << 20) + 1]), Err(BadJournal::TooLarge { .. })));
}

/// A machine on trial writes what the one before it reads: where these bytes change, the updater's state has another form.
#[test]
fn journals_of_this_form_stay_as_they_are() {
    let classes = [
        Class::NeverStarted,
        Class::Stage1,
        Class::Panic,
        Class::Hang,
        Class::Unhealthy,
        Class::CutShort,
        Class::Operator,
    ];
    let system = fixture::system("1.1.0");
    let mut memory = Memory { cut_short: Some(system.root), last_start: Some(now()), ..Memory::default() };
    let version = fixture::version("1.1.0");
    memory.note(Note::Confirmed(system, Epoch(3)));
    memory.note(Note::Failed(system.root));
    memory.note(Note::CutShort(system.root));
    memory.note(Note::Floor(version));
    let pin = Some(Pin { version, downgrade: Downgrade::Allow });
    memory.note(Note::Orders(Orders { hold: Hold::On, pin, urgency: Urgency::Now }));
    for (version, class) in
        ["1.0.0", "1.0.5", "1.1.0", "1.1.5", "1.2.0", "1.2.5", "1.3.0"].into_iter().zip(classes)
    {
        let denial = Denial { system: fixture::system(version), class, reason: "why".to_owned(), at: now() };
        memory.note(Note::Denied(denial));
    }
    let mut journals: Vec<_> = table::states(&Setting::plain())
        .into_iter()
        .map(|state| Journal::new(state, Memory::default()))
        .collect();
    journals.push(Journal::new(State::Idle, memory));
    let job = Job { broken_off: 1, ..Setting::plain().install() };
    journals.push(Journal::new(State::Preparing { job }, Memory::default()));
    journals.push(Journal::new(State::Idle, Memory { unwell: Some(now()), ..Memory::default() }));
    let not_booted = Some(Failures { root: system.root, count: 2 });
    journals.push(Journal::new(State::Idle, Memory { not_booted, ..Memory::default() }));
    let mut known = include_str!("golden/form-1.jsonl").lines();
    for journal in &journals {
        let known = known.next().unwrap_or_default();
        assert_eq!(String::from_utf8(journal.to_bytes().unwrap()).unwrap(), known);
        assert_eq!(&Journal::parse(known.as_bytes()).unwrap(), journal);
    }
    assert_eq!(known.next(), None);
    // What it said once says nothing any more.
    let staged = State::staged(Setting::plain().install());
    let bytes = Journal::new(staged.clone(), Memory::default()).to_bytes().unwrap();
    let said = String::from_utf8(bytes)
        .unwrap()
        .replace("\"not_before\":null", "\"not_before\":\"2027-01-01T00:00:09Z\"");
    assert_eq!(Journal::parse(said.as_bytes()).unwrap().state, staged);
}
