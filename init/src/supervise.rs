//! The loop of PID 1: one thread, one epoll, every wait with a deadline.

mod assessment;
mod backoff;
mod children;
mod control;
mod display;
mod keys;
mod launch;
mod orders;
mod output;
mod polled;
pub(crate) mod shutdown;
mod status;
mod unit;

use std::{io, path::Path, time::Duration};

use coracle_layout::{control::Kind, paths};
use nix::{
    errno::Errno,
    sys::{
        reboot::set_cad_enabled,
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use rustix::process::Uid;

use crate::{
    boot::{self, Machine},
    clock,
    log::{self, error, info, warning},
    record,
    watchdog::{self, Watchdog},
};
use assessment::{Assessment, Proof, Updater};
use children::{Ended, Next};
use control::Control;
use display::Display;
use keys::Keyboards;
use launch::Supervised;
use output::Progress;
use polled::{Polled, Token};
use shutdown::How;
use unit::{Current, Effect, Event, Outcome};

/// Children reaped before other events get their turn: a flood of orphans holds nothing up.
const REAP_BATCH: usize = 512;
/// Why a boot has failed whose units have settled.
const NOT_FOUND_GOOD: &str = "the updater does not find it good";
/// The longest that a shutdown waits for units that were asked to end, whatever grace they have: somebody pressed a button.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(90);
/// The same where the power is failing.
const POWER_FAILURE_GRACE: Duration = Duration::from_secs(10);
/// How long a boot that has proved itself lasts before what failed earlier is forgotten: a block that rots may be read late.
const LASTING: Duration = Duration::from_secs(3600);
/// Room beyond that for everything to have gone.
const SHUTDOWN_SLACK: Duration = Duration::from_secs(10);
/// How often the addresses are looked at at the most: a lease that comes late is shown, too.
const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How often pipes over their budget are read again.
const OUTPUT_INTERVAL: Duration = Duration::from_secs(1);
/// The service that, where an image has it, says of a boot on trial that it is good.
const UPDATER: &str = "updater";

/// Why PID 1 cannot supervise.
#[derive(Debug, thiserror::Error)]
#[error("could not {action}")]
pub(crate) struct Error {
    action: &'static str,
    #[source]
    source: io::Error,
}

/// How many of the children that have ended were collected. SIGCHLD says once that there are some: it does not come again for
/// those that were left for the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaped {
    All,
    Some,
}

/// A shutdown under way.
#[derive(Debug, Clone, Copy)]
struct Ending {
    how: How,
    at_the_latest: Duration,
}

/// Everything that PID 1 watches.
pub(crate) struct Supervisor {
    machine: Machine,
    units: Vec<Supervised>,
    polled: Polled,
    signals: SignalFd,
    keyboards: Keyboards,
    /// `None` where it could not be made.
    control: Option<Control>,
    watchdog: Option<Watchdog>,
    assessment: Assessment,
    /// What boots next is told so.
    has_failed: bool,
    proof: Proof,
    /// Until when a failure counts beside earlier ones, once the boot has proved itself.
    lasting: Option<Duration>,
    ending: Option<Ending>,
    display: Display,
    /// Those that the block shows, and when they were looked at.
    addresses: Vec<(String, String)>,
    looked: Duration,
    refilled: Duration,
    /// The boot's timeline has been reported.
    is_timed: bool,
}

impl Supervisor {
    /// Loads the units and opens what is watched.
    pub(crate) fn new(mut machine: Machine) -> Result<Self, Error> {
        let failed = |action| move |errno: Errno| Error { action, source: errno.into() };
        let mut mask = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGPWR,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ] {
            mask.add(signal);
        }
        mask.thread_block().map_err(failed("block signals"))?;
        // Until it is told otherwise the kernel answers ctrl-alt-del itself: at once, with everything mounted.
        if let Err(errno) = set_cad_enabled(false) {
            warning!("ctrl-alt-del stays with the kernel error={errno}");
        }
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(failed("open a signalfd"))?;
        let polled = Polled::new().map_err(failed("open an epoll"))?;
        polled.add(&signals, Token::Signals).map_err(failed("watch signals"))?;
        let deadline = clock::since_boot().saturating_add(machine.deadline);
        let units =
            launch::load(machine.mode).map_err(|source| Error { action: "open the cgroup tree", source })?;
        let control = Control::open(Path::new(paths::CONTROL), Uid::ROOT, &polled);
        if let Err(errno) = &control {
            error!("no orders are taken path={} error={errno}", paths::CONTROL);
        }
        let is_updater = |unit: &Supervised| unit.kind == Kind::Service && unit.plan.name.as_str() == UPDATER;
        let updater = if units.iter().any(is_updater) { Updater::Here } else { Updater::None };
        let proof = Proof::of(machine.mode, machine.is_on_trial(), updater);
        let mut display = Display::default();
        display.change(clock::since_boot());
        Ok(Self {
            units,
            watchdog: machine.watchdog.take(),
            machine,
            polled,
            signals,
            keyboards: Keyboards::new(Path::new(keys::FOLDER)),
            control: control.ok(),
            assessment: Assessment::Until(deadline),
            proof,
            lasting: None,
            has_failed: false,
            ending: None,
            display,
            addresses: vec![],
            looked: Duration::ZERO,
            refilled: Duration::ZERO,
            is_timed: false,
        })
    }

    /// Supervises until the machine goes down.
    pub(crate) fn run(mut self) -> ! {
        let mut reaped = Reaped::Some;
        loop {
            let now = clock::since_boot();
            self.pass_time(now);
            if let Some(watchdog) = &self.watchdog {
                watchdog.feed();
            }
            self.finish_if_ended(now);
            let wait = match reaped {
                Reaped::All => self.next_wait(now),
                Reaped::Some => Duration::ZERO,
            };
            let tokens = match self.polled.wait(wait) {
                Ok(tokens) => tokens,
                Err(Errno::EINTR) => vec![],
                Err(errno) => shutdown::give_up(&format!("epoll failed: {errno}")),
            };
            for token in tokens {
                self.take(token);
            }
            reaped = self.reap();
        }
    }

    /// What the clock brings about.
    fn pass_time(&mut self, now: Duration) {
        for index in 0..self.units.len() {
            if self.units.get(index).and_then(|unit| unit.unit.due()).is_some_and(|due| due <= now) {
                self.step(index, Event::Due, now);
            }
        }
        if now.saturating_sub(self.refilled) >= OUTPUT_INTERVAL {
            self.refilled = now;
            self.refill();
        }
        self.keyboards.scan(&self.polled, now);
        if let Some(control) = &mut self.control {
            control.drop_silent(&self.polled, now);
        }
        self.assess(now);
        if self.lasting.is_some_and(|lasting| lasting <= now) {
            self.lasting = None;
            record::good(&self.machine);
        }
        if now.saturating_sub(self.looked) >= ADDRESS_INTERVAL {
            self.look_at_addresses(now);
        }
        if self.display.take(now) {
            // What is shown below is no news.
            self.addresses = status::addresses();
            let units = self.units.iter().map(|unit| (unit.plan.name.as_str(), &unit.unit));
            log::console(&status::block(&self.machine, &self.addresses, units, now));
        }
    }

    fn look_at_addresses(&mut self, now: Duration) {
        self.looked = now;
        let addresses = status::addresses();
        if addresses != self.addresses {
            self.addresses = addresses;
            self.display.change(now);
        }
    }

    /// Until something is due; never longer than the watchdog's meals are apart.
    fn next_wait(&self, now: Duration) -> Duration {
        let units = self.units.iter().filter_map(|unit| unit.unit.due());
        let settling = self.units.iter().filter_map(|unit| match unit.unit.current {
            Current::Running { since } if self.assessment != Assessment::Good => Some(since + unit::SETTLED),
            _ => None,
        });
        let assessed = match self.assessment {
            Assessment::Until(deadline) if self.ending.is_none() => Some(deadline),
            _ => None,
        };
        let refill = self.units.iter().any(|unit| unit.is_spent).then_some(self.refilled + OUTPUT_INTERVAL);
        let ending = self.ending.map(|ending| ending.at_the_latest);
        let due = units
            .chain(settling.filter(|due| *due > now))
            .chain(assessed)
            .chain(self.display.due())
            .chain(refill)
            .chain(ending)
            .min();
        due.map_or(watchdog::INTERVAL, |due| due.saturating_sub(now))
            .clamp(Duration::from_millis(1), watchdog::INTERVAL)
    }

    fn take(&mut self, token: Token) {
        match token {
            Token::Signals => self.take_signals(),
            Token::Failure(index) => self.take_failure(index),
            Token::Output(index) => self.take_output(index),
            Token::Control => {
                if let Some(control) = &mut self.control {
                    control.accept(&self.polled, clock::since_boot());
                }
            }
            Token::Peer(index) => self.take_request(index),
            Token::Keyboards => {
                if let Some(how) = self.keyboards.read(&self.polled) {
                    self.end(how, "a key");
                }
            }
        }
    }

    /// SIGTERM and SIGINT (the kernel's for ctrl-alt-del) mean reboot, SIGUSR2 power off, as to other small inits; SIGPWR that
    /// the power is failing; SIGUSR1 shows the block. SIGCHLD has no meaning of its own: reaping follows each turn.
    fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGINT) => self.end(How::Reboot, "ctrl-alt-del"),
                Some(Signal::SIGTERM) => self.end(How::Reboot, "SIGTERM"),
                Some(Signal::SIGUSR2) => self.end(How::PowerOff, "SIGUSR2"),
                Some(Signal::SIGPWR) => self.end_within(How::PowerOff, "SIGPWR", POWER_FAILURE_GRACE),
                Some(Signal::SIGUSR1) => self.display.ask(),
                _ => {}
            }
        }
    }

    /// The start pipe of a unit: closed by exec, or carrying the step that failed.
    fn take_failure(&mut self, index: usize) {
        let now = clock::since_boot();
        let Some(unit) = self.units.get_mut(index) else { return };
        if unit.take_report(&self.polled) {
            info!("running name={}", unit.plan.name.as_str());
            self.step(index, Event::Started, now);
            if !self.is_timed && self.units.iter().all(|unit| unit.unit.has_run()) {
                self.is_timed = true;
                status::report_timeline(&self.machine, now);
            }
        }
    }

    fn take_output(&mut self, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        let Some(output) = &mut unit.output else { return };
        match output.read(unit.plan.name.as_str()) {
            Progress::Open => {}
            Progress::Spent => {
                unit.is_spent = true;
                self.polled.remove(output.fd());
            }
            Progress::Closed => {
                self.polled.remove(output.fd());
                unit.output = None;
            }
        }
    }

    fn refill(&mut self) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            let Some(output) = &mut unit.output else { continue };
            output.refill();
            if std::mem::take(&mut unit.is_spent)
                && let Err(errno) = self.polled.add(output.fd(), Token::Output(index))
            {
                warning!("output is lost name={} error={errno}", unit.plan.name.as_str());
                unit.output = None;
            }
        }
    }

    /// Collects whoever has ended: units, their helpers, and orphans of anybody.
    fn reap(&mut self) -> Reaped {
        for _ in 0..REAP_BATCH {
            let Next::Ended(Ended { pid, code, signal }) = children::next() else { return Reaped::All };
            let Some(index) = self.units.iter().position(|unit| unit.is(pid)) else { continue };
            if let Some(unit) = self.units.get_mut(index) {
                let outcome = unit.clear(&self.polled, code, signal);
                self.gone(index, outcome);
            }
        }
        Reaped::Some
    }

    fn gone(&mut self, index: usize, outcome: Outcome) {
        let now = clock::since_boot();
        self.step(index, Event::Gone(outcome), now);
        if let Some(unit) = self.units.get(index) {
            let next = status::describe(&unit.unit, now);
            warning!("ended name={} now={next:?}", unit.plan.name.as_str());
        }
    }

    fn step(&mut self, index: usize, event: Event, now: Duration) {
        let Some(unit) = self.units.get_mut(index) else { return };
        let effect = unit.unit.step(event, now);
        self.display.change(now);
        match effect {
            Effect::None => {}
            Effect::Start => {
                if let Err(why) = unit.start(index, &self.polled) {
                    error!("not started name={} error={why:?}", unit.plan.name.as_str());
                    self.gone(index, Outcome::NotStarted(why));
                }
            }
            Effect::AskToEnd => unit.ask_to_end(),
            Effect::Kill => {
                warning!("killed after its grace name={}", unit.plan.name.as_str());
                unit.kill();
            }
        }
    }

    /// Whether this boot has come to a good end, by what proves it: see [`assessment`].
    fn assess(&mut self, now: Duration) {
        if self.ending.is_some() || self.assessment == Assessment::Good {
            return;
        }
        let is_settled = self.units.iter().all(|unit| unit.unit.is_settled(now));
        let next = self.assessment.next(self.proof, now, is_settled);
        if next == Assessment::Good {
            self.prove(now);
        } else if next != self.assessment {
            self.assessment = next;
            let why = self.late(now);
            error!("boot deadline missed why={why:?} deadline={}s", self.machine.deadline.as_secs());
            if self.machine.is_on_trial() {
                self.fail(&why);
            }
        }
    }

    /// This boot did not prove itself: what boots next has to know.
    fn fail(&mut self, why: &str) {
        self.has_failed = true;
        record::missed(&self.machine, why);
        self.end(How::Reboot, "this boot did not prove itself");
    }

    /// Who has not settled yet.
    fn late(&self, now: Duration) -> String {
        let late = self.units.iter().filter(|unit| !unit.unit.is_settled(now));
        let names: Vec<_> = late.map(|unit| unit.plan.name.as_str()).collect();
        match (names.is_empty(), self.proof) {
            (true, Proof::Word) => NOT_FOUND_GOOD.to_owned(),
            (true, _) => "its state is missing".to_owned(),
            (false, _) => format!("not settled: {}", names.join(", ")),
        }
    }

    /// This boot is good, if it was not already.
    fn prove(&mut self, now: Duration) {
        if self.assessment == Assessment::Good {
            return;
        }
        self.assessment = Assessment::Good;
        info!("boot is good uptime={}ms", now.as_millis());
        self.lasting = Some(now + LASTING);
        record::settled(&self.machine);
        if let Err(error) = boot::bless() {
            warning!("hung tasks stay fatal error={:?}", log::Chain(&error).to_string());
        }
    }

    /// Begins to shut down: everything is asked to end.
    fn end(&mut self, how: How, why: &str) {
        self.end_within(how, why, SHUTDOWN_GRACE);
    }

    fn end_within(&mut self, how: How, why: &str, longest: Duration) {
        if self.ending.is_some() {
            return;
        }
        info!("shutting down how={how:?} why={why:?}");
        // What has just failed is not forgotten on the way down.
        self.lasting = None;
        let now = clock::since_boot();
        let grace = self.units.iter().map(|unit| unit.plan.grace_ms).max().unwrap_or_default();
        let grace = Duration::from_millis(grace.into()).min(longest);
        self.ending = Some(Ending { how, at_the_latest: now + grace + SHUTDOWN_SLACK });
        for index in 0..self.units.len() {
            self.step(index, Event::Stop, now);
        }
    }

    fn finish_if_ended(&self, now: Duration) {
        let Some(ending) = self.ending else { return };
        if now >= ending.at_the_latest || self.units.iter().all(|unit| unit.unit.is_ended()) {
            if !self.has_failed {
                record::good(&self.machine);
            }
            shutdown::finish(ending.how);
        }
    }
}
