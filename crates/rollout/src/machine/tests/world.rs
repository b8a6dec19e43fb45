//! A machine of the model: a disk, a boot manager, a lock server, and the loop that drives the state machine.

mod acts;

use std::collections::BTreeSet;

use coracle_layout::RootHash;

use super::*;
use crate::{deny::Class, digest::Digest, orders::Pin};

const TRIES: u32 = 3;
/// The versions of the model; the ones that end on 5 never become healthy.
pub(super) const VERSIONS: [&str; 6] = ["1.0.0", "1.0.5", "1.1.0", "1.1.5", "1.2.0", "1.2.5"];

/// An entry on the ESP.
#[derive(Debug, Clone, Copy, PartialEq)]
struct File {
    system: System,
    /// Tries left; `None`: good.
    tries: Option<u32>,
}

pub(super) struct World {
    setting: Setting,
    state: State,
    act: Option<Act>,
    journal: Vec<u8>,
    /// By slot: what was sealed there.
    slots: [Option<RootHash>; 2],
    files: [Option<File>; 2],
    uki: Option<Digest>,
    one_shot: bool,
    rebooted: Boot,
    failure: (Class, String),
    /// Whether the server counts this machine as a holder.
    locked: bool,
    taken: u32,
    released: u32,
    denied: BTreeSet<RootHash>,
    random: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let mut setting = Setting::plain();
        setting.other = None;
        setting.config.min_between = Duration::ZERO;
        let system = setting.running.system;
        let journal = Journal::default();
        let mut world = Self {
            state: journal.state.clone(),
            act: None,
            journal: journal.to_bytes().unwrap(),
            slots: [Some(system.root), None],
            files: [Some(File { system, tries: None }), None],
            uki: None,
            one_shot: false,
            rebooted: Boot::New,
            failure: (Class::Unhealthy, "no answer".to_owned()),
            locked: false,
            taken: 1,
            released: 0,
            denied: BTreeSet::new(),
            random: 1,
            setting,
        };
        world.start();
        world
    }

    pub(super) fn running(&self) -> System {
        self.setting.running.system
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn offer(&mut self, versions: &[&str], change: impl Fn(&mut Manifest)) {
        let mut manifest = fixture::manifest(versions);
        change(&mut manifest);
        self.setting.manifest = Some(Trusted::vouched(manifest));
        self.event(Event::Refreshed);
    }

    pub(super) fn verb(&mut self, verb: Verb) {
        if let Verb::Retry(_) = verb
            && matches!(self.state, State::Idle | State::Failed { .. })
        {
            self.denied.clear();
        }
        self.event(Event::Operator(verb));
    }

    pub(super) fn pin(&mut self, version: &str, downgrade: crate::orders::Downgrade) {
        self.verb(Verb::Pin(Pin { version: fixture::version(version), downgrade }));
    }

    /// Events that no act answers change nothing.
    pub(super) fn stray(&mut self, event: Event) {
        let (act, before) = (self.act.clone(), self.state.clone());
        let answers = self.answer(true).into_iter().chain(self.answer(false));
        if answers.into_iter().any(|answer| answer.name() == event.name()) {
            return;
        }
        // What rests may be told that something went wrong by an act that was ended a moment ago.
        if let Ok((next, _)) = step(self.state.clone(), event.clone(), &self.setting.ctx()) {
            let harmless = matches!(
                event,
                Event::Due | Event::Trouble(_) | Event::LockTaken | Event::LockRefused { .. }
            ) || matches!(act, Some(Act::Rest { .. }));
            assert!(harmless, "{before:?} took {event:?} and became {next:?}");
        }
    }

    /// The act comes to an end.
    pub(super) fn perform(&mut self, luck: bool) {
        if let Some(event) = self.answer(luck) {
            // It is not watched before all is undone.
            if luck || event == Event::Unhealthy {
                self.carry_out();
            }
            self.event(event);
        } else if self.act == Some(Act::Reboot) {
            self.cut();
        }
    }

    /// The agent is killed and starts again.
    pub(super) fn kill(&mut self) {
        self.setting.manifest = None;
        self.start();
    }

    /// The power goes; perhaps with the act done, perhaps with the journal lost.
    pub(super) fn power(&mut self, done: bool, lost: bool) {
        if done {
            self.carry_out();
        }
        if lost {
            // A machine that forgets what it rejected may try it again.
            self.journal = Vec::new();
            self.denied.clear();
            self.setting.running = self.boot();
            return self.start();
        }
        self.cut();
    }

    fn cut(&mut self) {
        let before = self.setting.running;
        self.setting.running = self.boot();
        let had_its_tries = self.files[before.slot as usize].is_some_and(|file| file.tries == Some(0));
        if had_its_tries && self.setting.running != before {
            self.denied.insert(before.system.root);
        }
        self.start();
    }

    fn boot(&mut self) -> Running {
        self.rebooted = Boot::New;
        self.setting.manifest = None;
        // The boot manager: what it was told once; else the newest that has tries left or needs none.
        let one_shot = std::mem::take(&mut self.one_shot);
        let bootable = |file: &&File| file.tries != Some(0);
        let best =
            self.files.iter().flatten().filter(bootable).max_by_key(|file| file.system.version).copied();
        let other = self.files[self.setting.running.slot.other() as usize];
        let file = if one_shot { other.or(best) } else { best }.expect("nothing boots");
        let slot = if self.files[0] == Some(file) { Slot::A } else { Slot::B };
        assert_eq!(self.slots[slot as usize], Some(file.system.root), "{file:?} boots no slot");
        assert!(
            !self.denied.contains(&file.system.root) || file.tries.is_none(),
            "a denied release boots: {file:?}"
        );
        if let Some(tries) = &mut self.files[slot as usize].as_mut().unwrap().tries {
            *tries -= 1;
        }
        Running { slot, system: file.system, epoch: Epoch(3) }
    }

    fn start(&mut self) {
        let entry = |file: File| match file.tries {
            None => Entry::Good,
            Some(0) => Entry::Exhausted,
            Some(_) => Entry::OnTrial,
        };
        let slot = self.setting.running.slot;
        let other =
            self.files[slot.other() as usize].map(|file| Other { system: file.system, entry: entry(file) });
        self.setting.other = other.filter(|other| other.entry == Entry::Good).map(|other| other.system);
        let facts = Facts {
            now: self.setting.now,
            running: self.setting.running,
            entry: entry(self.files[slot as usize].unwrap()),
            other,
            slot: self.slots[slot.other() as usize].map_or(SlotContent::Poisoned, SlotContent::Sealed),
            selected: Selected::Running,
            uki: self.uki.map_or(UkiContent::Absent, UkiContent::Ready),
            boot: self.rebooted,
            failure: self.failure.clone(),
        };
        let journal = Journal::parse(&self.journal).unwrap_or_default().resume(&facts);
        match (self.state.may_hold_lock(), journal.state.may_hold_lock()) {
            (false, true) => self.taken += 1,
            (before, after) => assert_eq!(before, after, "the lock is forgotten"),
        }
        self.rebooted = Boot::Same;
        self.setting.memory = journal.memory.clone();
        self.denied.extend(journal.memory.deny.iter().map(|denial| denial.system.root));
        self.journal = journal.to_bytes().unwrap();
        self.state = journal.state;
        self.begin(Some(self.state.act(&self.setting.ctx())));
    }

    fn event(&mut self, event: Event) {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ctx = Context { jitter: Jitter(self.random), ..self.setting.ctx() };
        let Ok((next, effects)) = step(self.state.clone(), event.clone(), &ctx) else { return };
        match (self.state.may_hold_lock(), next.may_hold_lock()) {
            (false, true) => self.taken += 1,
            (true, false) => {
                assert_eq!(event, Event::LockReleased);
                self.released += 1;
            }
            _ => {}
        }
        assert!(next.may_hold_lock() || !self.locked, "{next:?} leaves the lock behind");
        for note in effects.notes {
            self.setting.memory.note(note);
        }
        let is_read = matches!(event, Event::Refreshed | Event::Operator(Verb::Pin(_) | Verb::Unpin));
        let is_early = matches!(
            next.name(),
            "Preparing" | "Writing" | "Verifying" | "FetchingUki" | "Staged" | "Locking" | "Draining"
        );
        if let Some(offer) = next.job().and_then(Job::offer).filter(|_| is_read && is_early) {
            let to = offer.system.version;
            assert!(self.setting.memory.orders.lead(self.running().version, to), "{to} is not wanted");
        }
        self.denied.extend(self.setting.memory.deny.iter().map(|denial| denial.system.root));
        self.journal = Journal::new(next.clone(), self.setting.memory.clone()).to_bytes().unwrap();
        self.state = next;
        assert_eq!(self.taken, self.released + u32::from(self.state.may_hold_lock()));
        if effects.act.is_some() {
            self.begin(effects.act);
        }
    }

    /// An act begins: may it?
    fn begin(&mut self, act: Option<Act>) {
        let running = self.setting.running;
        match act.as_ref().unwrap() {
            Act::Prepare { root } | Act::Write { root, .. } | Act::Verify { root } => {
                let slot = self.state.job().map(|job| job.slot);
                assert_eq!(slot, Some(running.slot.other()), "the running slot is written");
                assert!(!self.denied.contains(root), "a denied release is started");
            }
            Act::Activate { root, way } => {
                let other = running.slot.other() as usize;
                assert_eq!(self.slots[other], Some(*root), "what was not verified is activated");
                assert!(!self.denied.contains(root), "a denied release is activated: {way:?}");
            }
            Act::Discard(Undo::Entry(root)) | Act::Recover(Undo::Entry(root)) => {
                assert_ne!(*root, running.system.root, "what runs is removed");
            }
            Act::Bless { system, .. } => assert_eq!(*system, running.system),
            _ => {}
        }
        self.act = act;
    }

    /// Something that is known to be good boots, whatever happens.
    pub(super) fn check(&self) {
        let boots = |slot: usize| {
            self.files[slot]
                .is_some_and(|file| file.tries.is_none() && self.slots[slot] == Some(file.system.root))
        };
        assert!(boots(0) || boots(1), "no good system is left: {:?} {:?}", self.files, self.slots);
    }
}
