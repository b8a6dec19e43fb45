//! What particular steps do.

use super::*;
use crate::{
    deny::{Class, Denial},
    orders::{Downgrade, Hold, Orders, Pin, Urgency},
    window::Schedule,
};

fn take(setting: &Setting, state: State, event: Event) -> (State, Effects) {
    step(state, event, &setting.ctx()).unwrap()
}

fn staged(setting: &Setting) -> State {
    State::staged(setting.install())
}

fn locking(setting: &Setting) -> State {
    State::Locking { job: setting.install(), tries: Tries::default() }
}

fn released(state: &State) -> &'static str {
    match state {
        State::Releasing { then, .. } => then.name(),
        other => panic!("{other:?}"),
    }
}

/// A state of writing, after events of which each is a trouble or the end of a wait.
fn writing_after(form: Form, troubles: &[Trouble]) -> (Setting, State) {
    let mut setting = Setting::plain();
    setting.manifest = Some(trusted(&["1.0.0", "1.1.0"]));
    let mut state = State::Writing { job: setting.install(), form, ops: 7, tries: Tries::default() };
    for trouble in troubles {
        state = take(&setting, state, Event::Trouble(*trouble)).0;
        if let State::Writing { tries: Tries { until: Some(until), .. }, .. } = state {
            setting.now = until;
            state = take(&setting, state, Event::Due).0;
        }
    }
    (setting, state)
}

#[test]
fn a_delta_that_does_not_lead_there_is_followed_by_everything_once() {
    for troubles in
        [&[Trouble::Missing][..], &[Trouble::SourceDiffers], &[Trouble::Io], &[Trouble::Corrupt; 3]]
    {
        let (_, state) = writing_after(Form::Delta, troubles);
        assert!(matches!(state, State::Writing { form: Form::Full, ops: 0, .. }), "{troubles:?}: {state:?}");
        let (setting, state) = writing_after(Form::Full, troubles);
        let State::Failed { trouble, until, .. } = state else { panic!("{troubles:?}: {state:?}") };
        assert_eq!(trouble, troubles[0]);
        assert!(until > setting.now);
    }
    let (_, state) = writing_after(Form::Delta, &[Trouble::Corrupt; 2]);
    assert!(
        matches!(state, State::Writing { form: Form::Delta, ops: 7, .. }),
        "from the same operation: {state:?}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_without_an_end() {
    let gone = Trouble::Unreachable { retry_after: None };
    let (_, state) = writing_after(Form::Delta, &[gone; 40]);
    assert!(matches!(
        state,
        State::Writing { form: Form::Delta, ops: 7, tries: Tries { failures: 40, .. }, .. }
    ));
    let setting = Setting::plain();
    let asked = Trouble::Unreachable { retry_after: Some(Duration::from_secs(1000)) };
    let state = State::Writing { job: setting.install(), form: Form::Delta, ops: 7, tries: Tries::default() };
    let (_, effects) = take(&setting, state, Event::Trouble(asked));
    assert_eq!(effects.act, Some(Act::Rest { until: Some(setting.now.after(Duration::from_secs(1000))) }));
}

#[test]
fn one_update_begins_as_long_after_another_as_the_settings_say() {
    const HOUR: Duration = Duration::from_secs(3600);
    for span in [Duration::from_secs(600), 6 * HOUR, 7 * HOUR, 7 * 24 * HOUR] {
        let mut setting = Setting::plain();
        setting.config.min_between = span;
        setting.memory.last_start = Some(setting.now);
        let (state, effects) = take(&setting, State::Idle, Event::Refreshed);
        let until = setting.now.after(span);
        assert_eq!((state, effects.act), (State::Idle, Some(Act::Rest { until: Some(until) })), "{span:?}");
        setting.now = until;
        assert_eq!(take(&setting, State::Idle, Event::Due).0.name(), "Preparing", "{span:?}");
        // Another clock said when the last one began.
        setting.memory.last_start = Some(setting.now.after(HOUR));
        assert_eq!(take(&setting, State::Idle, Event::Due).0.name(), "Preparing", "{span:?}");
    }
}

#[test]
fn failures_in_a_row_wait_longer_and_longer() {
    let mut setting = Setting::plain();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let (state, effects) =
            take(&setting, State::Preparing { job: setting.install() }, Event::Trouble(Trouble::EspFull));
        effects.notes.into_iter().for_each(|note| setting.memory.note(note));
        let State::Failed { until, .. } = state else { panic!("{state:?}") };
        waits.push(until.since(setting.now).as_secs());
    }
    assert_eq!(waits, [450, 900, 1800, 3600, 7200, 14_400, 16_200, 16_200]);
}

#[test]
fn a_release_that_is_recalled_is_dropped_wherever_it_is() {
    let mut setting = Setting::plain();
    let writing =
        State::Writing { job: setting.install(), form: Form::Full, ops: 7, tries: Tries::default() };
    let (staged, locking) = (staged(&setting), locking(&setting));
    let draining = State::Draining { job: setting.install() };
    let mut manifest = fixture::manifest(&["1.0.0", "1.1.0"]);
    manifest.recalled.push(fixture::version("1.1.0"));
    setting.manifest = Some(Trusted::vouched(manifest));
    assert_eq!(take(&setting, writing, Event::Refreshed).0, State::Idle);
    let (state, effects) = take(&setting, staged, Event::Refreshed);
    assert_eq!(state.name(), "Discarding");
    assert_eq!(effects.act, Some(Act::Discard(Undo::Entry(fixture::system("1.1.0").root))));
    let (state, effects) = take(&setting, locking, Event::Refreshed);
    assert_eq!((released(&state), effects.act), ("Discarding", Some(Act::ReleaseLock)));
    assert_eq!(draining.workloads(), Workloads::Down);
    let (state, _) = take(&setting, draining, Event::Refreshed);
    assert_eq!((released(&state), state.workloads()), ("Discarding", Workloads::Up));
}

#[test]
fn a_job_that_the_orders_would_not_choose_any_more_is_dropped() {
    let mut setting = Setting::plain();
    setting.running = running("1.1.0");
    setting.manifest = Some(trusted(&["1.0.0", "1.1.0", "1.2.0", "1.3.0"]));
    let pin = |version, downgrade| Some(Pin { version: fixture::version(version), downgrade });
    let under = |pin, offer: Option<&str>| {
        let mut setting = setting.clone();
        setting.memory.orders.pin = pin;
        let job = setting.install();
        assert_eq!(offer, Some(job.system().version.to_string().as_str()));
        (setting, job)
    };
    let down = under(pin("1.0.0", Downgrade::Allow), Some("1.0.0"));
    let up = under(pin("1.2.0", Downgrade::Refuse), Some("1.2.0"));
    let top = under(None, Some("1.3.0"));
    for ((setting, job), pin, dropped) in [
        (&down, None, true),
        (&down, pin("1.0.0", Downgrade::Refuse), true),
        (&down, pin("1.1.0", Downgrade::Allow), true),
        (&down, pin("1.2.0", Downgrade::Allow), true),
        (&down, pin("1.0.0", Downgrade::Allow), false),
        (&up, None, false),
        (&up, pin("1.1.0", Downgrade::Refuse), true),
        // Perhaps a step on the way.
        (&up, pin("1.3.0", Downgrade::Refuse), false),
        (&top, pin("1.2.0", Downgrade::Refuse), true),
        (&top, pin("1.0.0", Downgrade::Allow), true),
        (&top, pin("1.3.0", Downgrade::Refuse), false),
    ] {
        let order = Event::Operator(pin.map_or(Verb::Unpin, Verb::Pin));
        let job = || job.clone();
        let tries = Tries::default();
        for (state, to) in [
            (State::Preparing { job: job() }, "Idle"),
            (State::Writing { job: job(), form: Form::Full, ops: 7, tries }, "Idle"),
            (State::Verifying { job: job(), form: Form::Full }, "Idle"),
            (State::FetchingUki { job: job(), form: Form::Full, tries }, "Discarding"),
            (State::staged(job()), "Discarding"),
            (State::Locking { job: job(), tries }, "Releasing"),
            (State::Draining { job: job() }, "Releasing"),
            // Too late.
            (State::Rebooting { job: job() }, "Rebooting"),
        ] {
            let (next, _) = take(setting, state.clone(), order.clone());
            let want = if dropped { to } else { state.name() };
            assert_eq!(next.name(), want, "{} {pin:?}", job().system());
            // What came back because it was not started is dropped when the next manifest is read.
            let mut later = setting.clone();
            later.memory.orders.pin = pin;
            assert_eq!(take(&later, state, Event::Refreshed).0.name(), want, "{} {pin:?}", job().system());
        }
    }
}

#[test]
fn a_pause_stops_the_reboot_and_not_the_download() {
    let mut setting = Setting::plain();
    let writing =
        State::Writing { job: setting.install(), form: Form::Full, ops: 7, tries: Tries::default() };
    let (staged, locking) = (staged(&setting), locking(&setting));
    let mut manifest = fixture::manifest(&["1.0.0", "1.1.0"]);
    manifest.paused = true;
    setting.manifest = Some(Trusted::vouched(manifest));
    let (state, effects) = take(&setting, writing.clone(), Event::Refreshed);
    assert_eq!((state, effects.act), (writing, None));
    assert_eq!(take(&setting, staged.clone(), Event::Due).0, staged);
    assert_eq!(released(&take(&setting, locking, Event::LockTaken).0), "Staged");
    assert_eq!(take(&setting, State::Idle, Event::Refreshed).0, State::Idle);
}

#[test]
fn a_window_that_closes_while_the_lock_is_waited_for_gives_it_back() {
    let mut setting = Setting::plain();
    setting.config.schedule = serde_json::from_str::<Schedule>(
        r#"{"windows": [{"days": ["Fri"], "start_time": "00:00", "length_minutes": 60}]}"#,
    )
    .unwrap();
    let waiting = take(&setting, staged(&setting), Event::Due).0;
    assert_eq!(waiting.name(), "Locking");
    let waiting = take(&setting, waiting, Event::LockRefused { retry_after: None }).0;
    setting.now = setting.now.after(Duration::from_secs(3600));
    for event in [Event::Due, Event::LockTaken] {
        assert_eq!(released(&take(&setting, waiting.clone(), event).0), "Staged");
    }
}

/// The day of the image is what a machine without a clock goes by, and no day to keep a window by.
#[test]
fn a_window_stays_shut_until_the_time_is_known() {
    let mut setting = Setting::plain();
    setting.certainty = Certainty::Unsure;
    let staged = staged(&setting);
    assert_eq!(
        take(&setting, staged.clone(), Event::Due).0.name(),
        "Locking",
        "without windows it is no matter"
    );
    for schedule in [
        r#"{"windows": [{"days": ["Fri"], "start_time": "00:00", "length_minutes": 60}]}"#,
        r#"{"blackouts": [{"from": "2027-02-01", "to": "2027-02-02"}]}"#,
    ] {
        setting.config.schedule = serde_json::from_str(schedule).unwrap();
        assert!(setting.config.schedule.is_open(setting.now), "as far as anybody knows");
        let (state, effects) = take(&setting, staged.clone(), Event::Due);
        assert_eq!((&state, effects.act), (&staged, Some(Act::Rest { until: None })));
        let shut = Status::Gate { reason: Reason::Time, until: None };
        assert_eq!(state.status(&setting.ctx()), shut);
        assert_eq!(shut.to_string(), "waits for the time, which no time server has told yet");

        let (hurried, _) = take(&setting, state, Event::Operator(Verb::Apply));
        assert_eq!(take(&setting, hurried, Event::Due).0.name(), "Locking");
        let told = Setting { certainty: Certainty::Sure, ..setting.clone() };
        assert_eq!(take(&told, staged.clone(), Event::Due).0.name(), "Locking");
    }
}

#[test]
fn apply_goes_past_window_hold_and_approval_once() {
    let mut setting = Setting::plain();
    setting.config.approval = Approval::Manual;
    setting.config.schedule = serde_json::from_str::<Schedule>(
        r#"{"windows": [{"days": ["Tue"], "start_time": "00:00", "length_minutes": 60}]}"#,
    )
    .unwrap();
    let staged = staged(&setting);
    setting.memory.orders.hold = Hold::On;
    assert_eq!(take(&setting, staged.clone(), Event::Due).0, staged);
    let (state, effects) = take(&setting, staged, Event::Operator(Verb::Apply));
    assert_eq!(effects.act, Some(Act::Rest { until: Some(setting.now) }));
    assert_eq!(take(&setting, state, Event::Due).0.name(), "Locking");

    let (state, effects) = take(&setting, State::Idle, Event::Operator(Verb::Apply));
    assert_eq!((state, effects.asides), (State::Idle, vec![Aside::Poll]));
    effects.notes.into_iter().for_each(|note| setting.memory.note(note));
    let (state, effects) = take(&setting, State::Idle, Event::Refreshed);
    assert_eq!(state.job().map(|job| job.urgency), Some(Urgency::Now));
    let planned = Orders { urgency: Urgency::Planned, ..setting.memory.orders };
    assert!(effects.notes.contains(&Note::Orders(planned)), "the hurry is used up");
}

#[test]
fn the_way_back_is_closed_below_the_security_floor_and_denies_what_it_left() {
    let mut setting = Setting::plain();
    let rollback = Event::Operator(Verb::Rollback);
    let (state, effects) = take(&setting, State::Idle, rollback.clone());
    assert_eq!((state.name(), effects.act), ("Locking", Some(Act::TakeLock)));
    setting.memory.security_floor = Some(fixture::version("0.9.1"));
    let refused = step(State::Idle, rollback, &setting.ctx()).unwrap_err();
    assert_eq!(refused.to_string(), "rollback is refused: it is below the security floor 0.9.1");

    let trial = Trial { back_from: Some(fixture::system("1.1.0")), ..setting.going_back().trial() };
    let (state, effects) = take(&setting, State::Blessing { trial }, Event::Blessed);
    assert_eq!(released(&state), "Idle");
    assert!(effects.notes.iter().any(|note| matches!(note, Note::Denied(denial)
        if denial.system == fixture::system("1.1.0") && denial.class == Class::Operator)));
}

/// What failed the new system may fail the old one, too: a gate that nobody on this machine can mend.
#[test]
fn a_machine_that_is_sick_after_a_rollback_gives_the_lock_back_and_takes_the_cure() {
    let mut setting = Setting::plain();
    let trial = setting.install().trial();
    let (system, at) = (trial.system, setting.now);
    setting.memory.note(Note::Denied(Denial { system, class: Class::Unhealthy, reason: String::new(), at }));
    let (state, effects) = take(&setting, State::RolledBack { trial }, Event::Unhealthy);
    assert_eq!((released(&state), effects.act), ("Idle", Some(Act::ReleaseLock)));
    effects.notes.into_iter().for_each(|note| setting.memory.note(note));
    assert_eq!(setting.memory.unwell, Some(at), "and it is remembered");
    let (state, _) = take(&setting, state, Event::LockReleased);
    assert_eq!(
        take(&setting, state.clone(), Event::Refreshed).0,
        State::Idle,
        "what was denied is not taken"
    );
    setting.manifest = Some(trusted(&["1.0.0", "1.1.0", "1.2.0"]));
    let (state, _) = take(&setting, state, Event::Refreshed);
    assert_eq!(state.job().map(Job::system), Some(fixture::system("1.2.0")));

    setting.memory.note(Note::Confirmed(fixture::system("1.2.0"), Epoch(3)));
    assert_eq!(setting.memory.unwell, None, "until something is well");
}

#[test]
fn nobody_goes_back_to_what_was_denied_recalled_or_closed() {
    let plain = Setting::plain();
    let system = fixture::system("0.9.0");
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = fixture::manifest(&["0.9.0", "1.0.0"]);
        change(&mut manifest);
        Some(Trusted::vouched(manifest))
    };
    let back = |setting: &Setting| match step(State::Idle, Event::Operator(Verb::Rollback), &setting.ctx()) {
        Ok((state, _)) => state.name().to_owned(),
        Err(refused) => refused.to_string(),
    };
    assert_eq!(back(&Setting { manifest: with(&|_| ()), ..plain.clone() }), "Locking");

    let mut denied = plain.clone();
    for class in [Class::Unhealthy, Class::Operator] {
        let denial = Denial { system, class, reason: "no answer".to_owned(), at: plain.now };
        denied.memory.note(Note::Denied(denial));
        assert_eq!(back(&denied), "rollback is refused: this machine rejected it: no answer");
    }
    denied.memory.note(Note::Forgiven(Some(system.version)));
    assert_eq!(back(&denied), "Locking");

    let recalled = with(&|manifest| manifest.recalled.push(system.version));
    let mut recalled = Setting { manifest: recalled, ..plain.clone() };
    assert_eq!(back(&recalled), "rollback is refused: it was recalled");
    recalled.memory.orders.pin = Some(Pin { version: system.version, downgrade: Downgrade::Allow });
    assert_eq!(back(&recalled), "Locking", "the operator knows");

    let closed = with(&|manifest| manifest.releases[0].epoch = Epoch(2));
    let mut closed = Setting { manifest: closed, ..plain };
    assert_eq!(back(&closed), "rollback is refused: its epoch 2 is below 3");
    closed.manifest = None;
    assert_eq!(back(&closed), "Locking", "a machine that reaches no repository knows no better");
}

#[test]
fn floors_only_rise() {
    let mut setting = Setting::plain();
    let (_, effects) = take(&setting, State::Idle, Event::Refreshed);
    assert!(effects.notes.contains(&Note::Floor(fixture::version("1.0.0"))));
    for (floor, known) in [("1.2.0", "1.2.0"), ("1.1.0", "1.2.0")] {
        setting.memory.note(Note::Floor(fixture::version(floor)));
        assert_eq!(setting.memory.security_floor, Some(fixture::version(known)));
    }
    for (epoch, known) in [(5, 5), (4, 5)] {
        setting.memory.note(Note::Confirmed(fixture::system("1.0.0"), Epoch(epoch)));
        assert_eq!(setting.memory.epoch, Epoch(known));
    }
}

#[test]
fn a_hold_is_obeyed_though_the_update_was_hurried() {
    let mut setting = Setting::plain();
    let mut job = setting.install();
    job.urgency = Urgency::Now;
    let (state, _) = take(&setting, staged(&setting), Event::Operator(Verb::Apply));
    let (state, effects) = take(&setting, state, Event::Operator(Verb::Hold));
    effects.notes.into_iter().for_each(|note| setting.memory.note(note));
    assert_eq!(setting.memory.orders.hold, Hold::On);
    let gate = |state: &State| match state {
        State::Staged { job, .. } => Gate::of(job, &setting.ctx()),
        other => panic!("{other:?}"),
    };
    assert!(matches!(gate(&state), Gate::Shut { reason: Reason::Held, .. }), "{state:?}");

    let locking = State::Locking { job, tries: Tries::default() };
    let (state, _) = take(&setting, locking, Event::Operator(Verb::Hold));
    let State::Releasing { then, .. } = state else { panic!("{state:?}") };
    assert!(matches!(gate(&then), Gate::Shut { reason: Reason::Held, .. }), "{then:?}");
}
