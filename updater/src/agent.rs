//! The agent: drives the state machine of `coracle_rollout` with what really happens.
//!
//! One thread decides. Acts, questions to the repository and operators have threads of their own, which know only how to send a
//! [`Message`].

mod act;
mod config;
mod download;
mod error;
mod esp;
mod facts;
mod firmware;
mod health;
mod lock;
mod machine;
mod network;
mod operator;
mod pid1;
mod poll;
mod report;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::time::{Duration, Instant};

use coracle_fetch::Remote;
use coracle_layout::{control, paths};
use coracle_log::{Chain, error, info, warning};
use coracle_rollout::machine::{
    Act, Aside, Certainty, Config, Context, Entry, Event, Journal, State, Trouble, Way, Workloads, step,
};
use coracle_rollout::operator::{Answer, Repository, Request, Traffic};
use coracle_rollout::poll::Poll;
use coracle_rollout::{System, Time, Wait};
use coracle_trust::Clock;

use crate::forms::{self, Forms};
use crate::keep::{Kept, Store};
use act::{Around, Doing, Tools};
use config::{clock, config, jitter};
pub use error::Error;
use machine::{Image, Machine};
use network::Network;
use pid1::Pid1;
use poll::{Polled, Poller};

/// The form in which this program keeps its state. What a form says of each file never changes: who needs another says so in a new one,
/// with its migration, and every system is left with what it reads.
pub const FORMS: Forms = Forms { current: 1, migrations: &[] };

/// The loop looks at its times at least that often: the clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After so long an act is begun again of which nothing came: the journal could not be written, or its state has no word for what
/// went wrong. So is the agent itself.
const AGAIN: Duration = Duration::from_secs(60);
/// So long the time servers may be silent before the repository is asked all the same.
const CLOCK_PATIENCE: u32 = 5;

/// What the other threads tell.
#[derive(Debug)]
pub(crate) enum Message {
    /// What became of an act.
    Act { number: u64, event: Event },
    /// An act came to nothing for now: it is begun again after a while.
    Later { number: u64 },
    /// What the repository answered.
    Polled(Result<Arc<Polled>, Error>, Sure),
    /// An operator wants something.
    Operator { request: Request, reply: SyncSender<Answer> },
    /// The first gate that does not hold, while gates are watched.
    Health(Option<String>),
}

/// Whether the clock was set by a time server since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sure {
    Yes,
    No,
}

/// Keeps the machine up to date, until it goes down.
///
/// # Errors
/// What keeps the agent from listening, and that there is another one; PID 1 starts it again.
pub fn run(forms: &Forms) -> Result<Infallible, Error> {
    let folder = Path::new(paths::RUN_UPDATER);
    let (to, from) = channel();
    let _alone = facts::alone(folder)?;
    let socket = folder.join("control");
    operator::listen(&socket, &to).map_err(Error::file("listen at", socket))?;
    begin(forms, &to, &from).run(&from)
}

/// Tries until there is an agent. A machine that cannot be updated, or not yet, says why to whoever asks.
fn begin(forms: &Forms, to: &Sender<Message>, from: &Receiver<Message>) -> Agent {
    let mut said = String::new();
    loop {
        let why = match Agent::new(forms, to) {
            Ok(agent) => return agent,
            Err(error) => format!("this machine does not update itself: {}", Chain(&error)),
        };
        if why != said {
            warning!("updates are off error=\"{why}\"");
        }
        park(&why, from, AGAIN);
        said = why;
    }
}

/// For a while, `why` is the answer to everything.
fn park(why: &str, from: &Receiver<Message>, how_long: Duration) {
    let until = Instant::now() + how_long;
    while let Ok(message) = from.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if let Message::Operator { reply, .. } = message {
            // Who asked has gone.
            let _ = reply.try_send(Answer::Error(why.to_owned()));
        }
    }
}

struct Agent {
    tools: Tools,
    poller: Poller,
    config: Config,
    state: forms::State,
    kept: Kept,
    journal: Journal,
    /// What is in the other slot and could be booted.
    other: Option<System>,
    polled: Option<Arc<Polled>>,
    poll: Poll,
    is_polling: bool,
    sure: Sure,
    clock_failures: u32,
    doing: Option<Doing>,
    /// How many mirrors are passed over, as their files did not come or were not right.
    mirror: usize,
    number: u64,
    due: Option<Wait>,
    again_at: Option<Instant>,
    workloads: Workloads,
    health: Option<String>,
    trouble: Option<Trouble>,
    repository: Repository,
    /// Of the last update.
    traffic: Traffic,
}

impl Agent {
    /// Finds out how everything stands; may be repeated.
    fn new(forms: &Forms, to: &Sender<Message>) -> Result<Self, Error> {
        fs::create_dir_all(paths::STATE_UPDATER).map_err(Error::file("make", paths::STATE_UPDATER))?;
        let image = Image::read(Path::new(paths::UPDATE))?;
        let machine = Machine::read(&image.settings)?;
        let settings = Arc::new(image.settings.clone());
        let id = fs::read_to_string("/run/machine-id").map_err(Error::file("read", "/run/machine-id"))?;
        let network = Network::new(Remote::new(paths::FETCH));
        let lock = settings.lock.as_ref().map(|lock| lock::FleetLock::new(lock, id.trim())).transpose()?;
        let mut state = facts::state(forms, machine.entry)?;
        let poller = Poller::new(&image, &state.folder(), network.clone());
        let config = config(&settings, &machine, id.trim())?;
        let tools = Tools {
            machine,
            state: state.folder(),
            settings,
            network,
            pid1: Pid1::at(paths::CONTROL),
            lock,
            fetched: Arc::default(),
            to: to.clone(),
        };
        let (kept, journal) = facts::journal(&state.folder())?;
        let traffic = report::kept_traffic(&state.folder());
        let sure = facts::sure();
        let now = poller.time(clock(&tools.settings, sure));
        let found = facts::gather(&tools, &journal, now)?;
        let journal = match state.is_outlived() {
            true => journal.outlived(&found),
            false => journal.resume(&found),
        };
        if journal.state.job().is_some() {
            tools.fetched.store(traffic.fetched, Ordering::Relaxed);
        }
        if found.entry == Entry::Good && !journal.state.is_on_trial() {
            state.keep().map_err(Error::State)?;
        }
        info!(
            "agent begins running={} entry={:?} state={}",
            tools.machine.running.system,
            found.entry,
            journal.state.name()
        );
        facts::maintain(&tools, &found, &journal.state);
        // Who has begun waits for nobody: only a machine at rest spreads its first question.
        let poll = match journal.state {
            State::Idle => Poll::at_boot(now, jitter()),
            _ => Poll::at_boot(now, jitter()).hurried(now),
        };
        let agent = Self {
            tools,
            poller,
            config,
            state,
            kept,
            journal,
            other: found.other.map(|other| other.system),
            polled: None,
            poll,
            is_polling: false,
            sure,
            clock_failures: 0,
            doing: None,
            mirror: 0,
            number: 0,
            due: None,
            again_at: None,
            // Perhaps an agent before this one had them ended.
            workloads: Workloads::Down,
            health: None,
            trouble: None,
            repository: Repository::default(),
            traffic,
        };
        agent.save(&agent.journal)?;
        Ok(agent)
    }

    fn run(mut self, from: &Receiver<Message>) -> ! {
        self.begin_again();
        loop {
            self.pass_time();
            match from.recv_timeout(self.wait()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    fn now(&self) -> Time {
        self.poller.time(clock(&self.tools.settings, self.sure))
    }

    /// What a step looks at.
    fn context(&self) -> Context<'_> {
        let clock = clock(&self.tools.settings, self.sure);
        let now = self.poller.time(clock);
        Context {
            now,
            certainty: match clock {
                Clock::Set(_) => Certainty::Sure,
                Clock::Unset => Certainty::Unsure,
            },
            jitter: jitter(),
            config: &self.config,
            memory: &self.journal.memory,
            running: self.tools.machine.running,
            other: self.other,
            // What has expired says nothing any more.
            manifest: self
                .polled
                .as_ref()
                .filter(|polled| now < polled.repository.expires())
                .map(|polled| &polled.manifest),
        }
    }

    /// What time brings about.
    fn pass_time(&mut self) {
        let now = self.now();
        self.workload();
        if self.again_at.is_some_and(|at| at <= Instant::now()) {
            self.again_at = None;
            self.begin_again();
        }
        if self.due.is_some_and(|due| due.end(now) <= now) {
            self.due = None;
            self.happened(Event::Due);
        }
        if !self.is_polling && self.poll.next(now) <= now {
            self.ask();
        }
    }

    fn wait(&self) -> Duration {
        let now = self.now();
        let poll = (!self.is_polling).then(|| self.poll.next(now));
        let next = [self.due.map(|due| due.end(now)), poll].into_iter().flatten().min();
        next.map_or(LONGEST_WAIT, |next| next.since(now)).clamp(Duration::from_millis(200), LONGEST_WAIT)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Act { number, event } => {
                if !self.is_under_way(number) {
                    return;
                }
                if let Event::Trouble(trouble) = event {
                    self.trouble = Some(trouble);
                    if matches!(trouble, Trouble::Unreachable { .. } | Trouble::Corrupt | Trouble::Missing) {
                        self.mirror = self.mirror.wrapping_add(1);
                    }
                }
                if !self.happened(event) {
                    self.again_at = Some(Instant::now() + AGAIN);
                }
            }
            Message::Later { number } if self.is_under_way(number) => {
                self.again_at = Some(Instant::now() + AGAIN);
            }
            // Of an act that another one has replaced.
            Message::Later { .. } => {}
            Message::Polled(answer, sure) => self.answered(answer, sure),
            Message::Operator { request, reply } => {
                let answer = self.order(request);
                // Who asked has gone.
                let _ = reply.try_send(answer);
            }
            Message::Health(broken) => self.health = Some(broken.unwrap_or_else(|| "holds".to_owned())),
        }
    }

    fn is_under_way(&self, number: u64) -> bool {
        self.doing.as_ref().is_some_and(|doing| doing.number == number)
    }

    /// Asks the repository, in a thread.
    fn ask(&mut self) {
        let addresses = &self.tools.settings.repositories;
        let Some(address) = addresses.get(self.poll.endpoint(addresses.len())).cloned() else { return };
        let (poller, last, to) = (self.poller.clone(), self.polled.clone(), self.tools.to.clone());
        let (sure, settings, failures) = (self.sure, Arc::clone(&self.tools.settings), self.clock_failures);
        self.repository.address.clone_from(&address);
        let asked = std::thread::Builder::new().name("poll".to_owned()).spawn(move || {
            let (sure, clock_error) = match poller.set_clock() {
                Ok(()) => (Sure::Yes, None),
                Err(error) => {
                    warning!("clock not set error=\"{}\"", Chain(&error));
                    (sure, Some(error))
                }
            };
            let answer = match clock_error {
                Some(error) if sure == Sure::No && failures < CLOCK_PATIENCE => Err(error),
                _ => poller.ask(&address, last.as_ref(), clock(&settings, sure)),
            };
            // The agent ends.
            let _ = to.send(Message::Polled(answer, sure));
        });
        match asked {
            Ok(_) => self.is_polling = true,
            Err(error) => warning!("repository not asked error=\"{error}\""),
        }
    }

    fn answered(&mut self, answer: Result<Arc<Polled>, Error>, sure: Sure) {
        self.is_polling = false;
        let is_told = sure == Sure::Yes && self.sure == Sure::No;
        if is_told {
            facts::note_sure();
        }
        self.clock_failures = if sure == Sure::Yes { 0 } else { self.clock_failures.saturating_add(1) };
        self.sure = sure;
        let now = self.now();
        match answer {
            Ok(polled) => {
                self.poll = self.poll.answered(now, jitter());
                self.repository = Repository {
                    address: polled.address.clone(),
                    answered: Some(now),
                    next: Some(self.poll.next(now)),
                    expires: Some(polled.repository.expires()),
                    error: None,
                };
                self.polled = Some(polled);
                self.happened(Event::Refreshed);
            }
            Err(error) => {
                let endpoints = self.tools.settings.repositories.len();
                self.poll = self.poll.failed(endpoints, error.retry_after(), now, jitter());
                let why = Chain(&error).to_string();
                warning!(
                    "repository does not answer well address={} error=\"{why}\"",
                    self.repository.address
                );
                self.repository.error = Some(why);
                if is_told && matches!(self.journal.state, State::Staged { .. }) {
                    // Perhaps for the time alone.
                    self.happened(Event::Due);
                }
            }
        }
        self.repository.next = Some(self.poll.next(now));
    }

    fn order(&mut self, request: Request) -> Answer {
        if let Some(verb) = request.verb() {
            info!("operator orders request={request:?}");
            if let Err(why) = self.step(Event::Operator(verb)) {
                return Answer::Error(why);
            }
        }
        Answer::Ok(Box::new(self.report()))
    }

    /// Takes an event that nobody waits for; whether it was taken.
    fn happened(&mut self, event: Event) -> bool {
        let name = event.name();
        let taken = self.step(event);
        if let Err(why) = &taken {
            warning!("event not taken event={name} error=\"{why}\"");
        }
        taken.is_ok()
    }

    /// Takes an event: what follows is remembered before it is done.
    fn step(&mut self, event: Event) -> Result<(), String> {
        let (name, state) = (event.name(), self.journal.state.clone());
        let stepped = {
            let ctx = self.context();
            step(state, event, &ctx)
        };
        let (state, effects) = match stepped {
            Ok(stepped) => stepped,
            Err(illegal) => return Err(illegal.to_string()),
        };
        let mut memory = self.journal.memory.clone();
        effects.notes.into_iter().for_each(|note| memory.note(note));
        let next = Journal::new(state, memory);
        if next != self.journal
            && let Err(error) = self.save(&next)
        {
            // Nothing is done that is not remembered.
            self.again_at = Some(Instant::now() + AGAIN);
            return Err(format!("the journal is not written: {}", Chain(&error)));
        }
        let is_another = next.state.name() != self.journal.state.name();
        if is_another {
            info!("update state={} event={name}", next.state.name());
            if matches!(next.state, State::Preparing { .. }) {
                self.tools.fetched.store(0, Ordering::Relaxed);
                self.trouble = None;
            }
            if matches!(next.state, State::Writing { .. }) {
                // Its entry is gone, and its slot.
                self.other = None;
            }
            if matches!(next.state, State::Idle)
                && let Some(gate) = self.health.take().filter(|_| next.memory.unwell.is_some())
            {
                warning!("health gates do not hold after the rollback gate=\"{gate}\"");
            }
        }
        let is_proved = self.journal.state.is_on_trial() && !next.state.is_on_trial();
        self.journal = next;
        if is_another {
            self.keep_traffic();
        }
        if is_proved && let Err(error) = self.state.keep() {
            // The next start of a good system does it.
            warning!("state not kept error=\"{}\"", Chain(&error));
        }
        for aside in effects.asides {
            match aside {
                Aside::Poll => self.poll = self.poll.hurried(self.now()),
            }
        }
        self.workload();
        if let Some(act) = effects.act {
            self.begin(act);
        }
        Ok(())
    }

    /// Pods that were asked to end for a reboot that does not come are started again.
    fn workload(&mut self) {
        let wanted = self.journal.state.workloads();
        if wanted == Workloads::Up && self.workloads == Workloads::Down {
            match self.tools.pid1.order(control::Request::Undrain) {
                Ok(()) => self.workloads = Workloads::Up,
                Err(error) => error!("workloads not started again error=\"{}\"", Chain(&error)),
            }
        } else {
            self.workloads = wanted;
        }
    }

    fn begin_again(&mut self) {
        let act = {
            let ctx = self.context();
            self.journal.state.act(&ctx)
        };
        self.begin(act);
    }

    fn begin(&mut self, act: Act) {
        self.due = match &act {
            Act::Rest { until } => until.map(|until| Wait::new(self.now(), until)),
            _ => None,
        };
        self.number += 1;
        let around = Around {
            job: self.journal.state.job().cloned(),
            polled: self.polled.clone(),
            mirror: self.mirror,
            patience: match &self.journal.state {
                State::Probation { trial } if trial.way == Way::OneShot => Some(self.tools.machine.deadline),
                State::RolledBack { .. } => Some(self.tools.machine.deadline),
                _ => None,
            },
        };
        self.doing = Some(Doing::begin(self.doing.take(), self.number, act, around, &self.tools));
    }

    fn save(&self, journal: &Journal) -> Result<(), Error> {
        let bytes = journal.to_bytes().map_err(Error::Journal)?;
        self.kept.save(&bytes).map_err(Error::file("write", &self.tools.state))?;
        facts::note_journaled();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn whoever_asks_a_machine_that_cannot_be_updated_is_told_why() {
        let (to, from) = channel();
        let answers: Vec<_> = [Request::Status, Request::Apply]
            .into_iter()
            .map(|request| {
                let (reply, answer) = sync_channel(1);
                to.send(Message::Operator { request, reply }).unwrap();
                answer
            })
            .collect();
        park("no partition", &from, Duration::ZERO);
        for answer in answers {
            assert!(matches!(answer.try_recv(), Ok(Answer::Error(why)) if why == "no partition"));
        }
    }
}
