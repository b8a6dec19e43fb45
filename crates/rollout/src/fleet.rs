//! A fleet of ten thousand machines, each with its own state machine and polls, and a publisher who watches.

mod bad_release;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use coracle_layout::Slot;

use crate::{
    Manifest, Time, Trusted,
    backoff::Jitter,
    deny::Class,
    fixture,
    machine::{
        Act, Approval, Boot, Certainty, Config, Context, Entry, Event, Facts, Journal, Memory, Other,
        Running, Selected, SlotContent, State, UkiContent, step,
    },
    poll::{INTERVAL, Poll},
    system::Epoch,
    waves::{NodeId, Place, Point, Waves},
    window::Schedule,
};

const NODES: u32 = 10_000;
const START: Time = Time::from_unix(1_800_000_000);
const HOUR: u64 = 3600;
/// From the first byte to the reboot.
const INSTALL: Duration = Duration::from_secs(180);
/// Until a good release is blessed.
const BLESS: Duration = Duration::from_secs(120);
/// Until a bad one has used its three boots of ten minutes.
const FALL_BACK: Duration = Duration::from_secs(3 * 600);
/// From the report that is one too many to the manifest that says so.
const REACTION: Duration = Duration::from_secs(30 * 60);
/// The longest from one poll to the next.
const LONGEST_POLL: u64 = INTERVAL.as_secs() * 6 / 5;

struct Node {
    config: Config,
    state: State,
    memory: Memory,
    running: Running,
    poll: Poll,
    /// Index of the manifest that it read last.
    manifest: usize,
    /// When it began to install what.
    began: Vec<(Time, String)>,
}

struct Fleet {
    nodes: Vec<Node>,
    /// Each with the time from which it is served.
    manifests: Vec<(Time, Trusted<Manifest>)>,
    queue: BinaryHeap<Reverse<(Time, u32)>>,
    /// Reports of a failed and of a blessed boot.
    failed: Vec<Time>,
    blessed: Vec<Time>,
    random: u64,
    /// On how many thousandths of the fleet 1.1.0 fails.
    bad: u32,
}

fn ramp(start: Time, points: &[(u64, u16)]) -> Option<Waves> {
    let points =
        points.iter().map(|&(hour, permille)| Point { after_seconds: (hour * HOUR) as u32, permille });
    Some(Waves { start, points: points.collect() })
}

impl Fleet {
    fn new(bad: u32, manifest: Manifest) -> Self {
        let mut fleet = Self {
            nodes: Vec::new(),
            manifests: vec![(START, Trusted::vouched(manifest))],
            queue: BinaryHeap::new(),
            failed: Vec::new(),
            blessed: Vec::new(),
            random: 1,
            bad,
        };
        for n in 0..NODES {
            // Up for long: each somewhere between two polls.
            let poll = Poll::at_boot(START, fleet.jitter()).answered(START, fleet.jitter());
            let first = START.after(fleet.jitter().of(INTERVAL));
            fleet.queue.push(Reverse((first, n)));
            fleet.nodes.push(Node {
                config: Config {
                    line: fixture::manifest(&[]).line(),
                    place: Place::Drawn(NodeId(u128::from(n).to_be_bytes())),
                    max: None,
                    schedule: Schedule::default(),
                    approval: Approval::Automatic,
                    slot_bytes: 512 << 20,
                    min_between: Duration::from_secs(600),
                },
                state: State::Idle,
                memory: Memory::default(),
                running: Running { slot: Slot::A, system: fixture::system("1.0.0"), epoch: Epoch(3) },
                poll,
                manifest: 0,
                began: Vec::new(),
            });
        }
        fleet
    }

    fn jitter(&mut self) -> Jitter {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Jitter((self.random >> 32) as u32)
    }

    fn publish(&mut self, at: Time, manifest: Manifest) {
        self.manifests.push((at, Trusted::vouched(manifest)));
    }

    /// Lets time pass; returns at the first moment at which `stop` says so.
    fn run(&mut self, until: Time, stop: impl Fn(&Self, Time) -> bool) -> Time {
        while let Some(Reverse((now, n))) = self.queue.pop() {
            if now > until || stop(self, now) {
                self.queue.push(Reverse((now, n)));
                return now;
            }
            self.wake(n, now);
        }
        until
    }

    fn wake(&mut self, n: u32, now: Time) {
        let polls =
            self.nodes[n as usize].poll.next(now) <= now || self.nodes[n as usize].state != State::Idle;
        let served = self.manifests.iter().rposition(|(at, _)| *at <= now).unwrap();
        let jitter = self.jitter();
        let node = &mut self.nodes[n as usize];
        if polls {
            node.manifest = served;
            node.poll = node.poll.answered(now, jitter);
        }
        let act = self.event(n, if polls { Event::Refreshed } else { Event::Due }, now);
        let next = match act {
            Some(Act::Rest { until }) => {
                let poll = self.nodes[n as usize].poll.next(now);
                until.map_or(poll, |until| until.min(poll)).max(now.after(Duration::from_secs(1)))
            }
            Some(_) => self.update(n, now),
            None => self.nodes[n as usize].poll.next(now),
        };
        self.queue.push(Reverse((next, n)));
    }

    /// From the first act to the end of the trial: when it is over.
    fn update(&mut self, n: u32, now: Time) -> Time {
        let job = self.nodes[n as usize].state.job().unwrap().clone();
        let system = job.system();
        let version = system.version.to_string();
        self.nodes[n as usize].began.push((now, version.clone()));
        let now = now.after(INSTALL);
        for event in [
            Event::Prepared,
            Event::Written,
            Event::Verified(system.root),
            Event::Fetched(fixture::uki(&version)),
            Event::Due,
            Event::LockTaken,
            Event::Drained,
            Event::Activated,
        ] {
            self.event(n, event, now);
        }
        let fails = version == "1.1.0" && n % 1000 < self.bad;
        let after = now.after(if fails { FALL_BACK } else { BLESS });
        let node = &mut self.nodes[n as usize];
        assert_eq!(node.state.name(), "Rebooting");
        let old = Other { system: node.running.system, entry: Entry::Good };
        let (other, entry) = if fails {
            (Other { system, entry: Entry::Exhausted }, Entry::Good)
        } else {
            (old, Entry::OnTrial)
        };
        if !fails {
            node.running = Running { slot: job.slot, system, epoch: Epoch(3) };
        }
        let facts = Facts {
            now: after,
            running: node.running,
            entry,
            other: Some(other),
            slot: SlotContent::Sealed(other.system.root),
            selected: Selected::Running,
            uki: UkiContent::Absent,
            boot: Boot::New,
            failure: (Class::Unhealthy, "the workload does not answer".to_owned()),
        };
        let journal = Journal::new(node.state.clone(), node.memory.clone()).resume(&facts);
        (node.state, node.memory) = (journal.state, journal.memory);
        self.event(n, Event::Healthy, after);
        if fails {
            self.failed.push(after);
        } else {
            self.event(n, Event::Blessed, after);
            self.blessed.push(after);
        }
        self.event(n, Event::LockReleased, after);
        assert_eq!(self.nodes[n as usize].state, State::Idle);
        let first = self.jitter();
        self.nodes[n as usize].poll = Poll::at_boot(after, first);
        self.nodes[n as usize].poll.next(after)
    }

    fn event(&mut self, n: u32, event: Event, now: Time) -> Option<Act> {
        let jitter = self.jitter();
        let node = &mut self.nodes[n as usize];
        let ctx = Context {
            now,
            certainty: Certainty::Sure,
            jitter,
            config: &node.config,
            memory: &node.memory,
            running: node.running,
            other: None,
            manifest: Some(&self.manifests[node.manifest].1),
        };
        let (state, effects) = step(std::mem::replace(&mut node.state, State::Idle), event, &ctx).unwrap();
        node.state = state;
        effects.notes.into_iter().for_each(|note| node.memory.note(note));
        effects.act
    }

    fn began(&self, version: &str) -> Vec<Time> {
        let all = self.nodes.iter().flat_map(|node| &node.began);
        let mut times: Vec<_> = all.filter(|(_, what)| what == version).map(|(at, _)| *at).collect();
        times.sort_unstable();
        times
    }

    fn running(&self, version: &str) -> usize {
        self.nodes.iter().filter(|node| node.running.system == fixture::system(version)).count()
    }
}
