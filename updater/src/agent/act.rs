//! The acts of an update, one after the other in a thread of their own.

mod entry;
pub(crate) mod install;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use coracle_layout::control;
use coracle_log::{Chain, error, warning};
use coracle_rollout::machine::{Act, Event, Form, Job, Trouble};
use coracle_rollout::manifest::Files;
use coracle_rollout::select::Offer;
use coracle_rollout::{Settings, digest::Digest};

use super::download::{Server, Stop};
use super::health::Health;
use super::lock::FleetLock;
use super::machine::Machine;
use super::network::Network;
use super::pid1::Pid1;
use super::poll::Polled;
use super::{Error, Message};
use crate::image::Images;

/// PID 1 kills what does not end by itself; beyond that nobody waits.
const DRAIN: Duration = Duration::from_secs(180);
/// Between two looks at PID 1.
const LOOK: Duration = Duration::from_millis(500);

/// What the acts need.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub machine: Machine,
    /// The folder of the state, in this program's form.
    pub state: PathBuf,
    pub settings: Arc<Settings>,
    pub network: Network,
    pub pid1: Pid1,
    pub lock: Option<FleetLock>,
    /// Bytes fetched for the update under way.
    pub fetched: Arc<AtomicU64>,
    /// Where events go.
    pub to: std::sync::mpsc::Sender<Message>,
}

impl Tools {
    /// Says which gate does not hold.
    pub fn tell_health(&self, broken: Option<String>) {
        // The agent ends.
        let _ = self.to.send(Message::Health(broken));
    }
}

/// What an act is about, besides itself.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// The update.
    pub job: Option<Job>,
    /// What the repository said.
    pub polled: Option<Arc<Polled>>,
    /// How many mirrors are passed over, from the one that said it.
    pub mirror: usize,
    /// How long a watch may take; `None`: PID 1 says.
    pub patience: Option<Duration>,
}

/// An act under way. The next one begins when it has ended.
#[derive(Debug)]
pub(crate) struct Doing {
    pub number: u64,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Doing {
    /// Begins an act in place of the one under way.
    pub fn begin(before: Option<Self>, number: u64, act: Act, around: Around, tools: &Tools) -> Self {
        let stop = Stop::default();
        let Around { job, polled, mirror, patience } = around;
        let work =
            Work { number, act, job, polled, mirror, patience, tools: tools.clone(), stop: stop.clone() };
        if let Some(before) = &before {
            before.stop.now();
        }
        let before = before.and_then(|before| before.thread);
        let thread = std::thread::Builder::new().name("act".to_owned()).spawn(move || {
            // A disk has one writer at a time.
            if let Some(Err(_)) = before.map(std::thread::JoinHandle::join) {
                error!("an act ended badly");
            }
            work.run();
        });
        match thread {
            Ok(thread) => Self { number, stop, thread: Some(thread) },
            Err(error) => {
                // The one before may still write, and nobody would wait for it: PID 1 begins anew.
                error!("no thread for an act error=\"{error}\"");
                std::process::exit(1)
            }
        }
    }
}

struct Work {
    number: u64,
    act: Act,
    job: Option<Job>,
    polled: Option<Arc<Polled>>,
    /// How many mirrors are passed over.
    mirror: usize,
    /// How long a watch may take.
    patience: Option<Duration>,
    tools: Tools,
    stop: Stop,
}

impl Work {
    fn run(self) {
        match self.perform() {
            Ok(Some(event)) => self.tell(event),
            Ok(None) => {}
            Err(error) => {
                let (act, trouble) = (self.act.words(), error.trouble());
                warning!("act failed act={act:?} trouble=\"{trouble}\" error=\"{}\"", Chain(&error));
                match (&self.act, trouble) {
                    // A server that is silent says nothing against the slot.
                    (Act::Verify { .. }, Trouble::Unreachable { .. }) => {
                        // Nobody listens any more: the agent ends.
                        let _ = self.tools.to.send(Message::Later { number: self.number });
                    }
                    _ => self.tell(Event::Trouble(trouble)),
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more: the agent ends.
        let _ = self.tools.to.send(Message::Act { number: self.number, event });
    }

    fn perform(&self) -> Result<Option<Event>, Error> {
        let pid1 = &self.tools.pid1;
        Ok(Some(match &self.act {
            Act::Rest { .. } => return Ok(None),
            Act::Prepare { .. } => self.prepare()?,
            Act::Write { form, .. } => self.write(*form)?,
            Act::Verify { root, .. } => self.verify(*root)?,
            Act::FetchUki { root, form } => self.fetch_uki(*root, *form)?,
            Act::TakeLock => match &self.tools.lock {
                Some(lock) => lock.take(&self.tools.network),
                None => Event::LockTaken,
            },
            Act::ReleaseLock => match &self.tools.lock {
                Some(lock) => lock.release(&self.tools.network)?,
                None => Event::LockReleased,
            },
            Act::Drain => self.drain()?,
            Act::Activate { way, .. } => self.activate(*way)?,
            Act::Reboot => {
                pid1.order(control::Request::Reboot)?;
                return Ok(None);
            }
            Act::Watch => match self.watch()? {
                Event::Unhealthy => {
                    warning!("the system that the operator went back to does not prove itself");
                    pid1.order(control::Request::Failed)?;
                    return Err(Error::Stopped { source: std::io::ErrorKind::TimedOut.into() });
                }
                event => event,
            },
            Act::Bless { system, demote } => self.bless(*system, *demote)?,
            Act::Recover(undo) => {
                self.undo(*undo)?;
                let event = self.watch()?;
                // The entry is good, so that PID 1 thinks so too, unless the firmware left it something else to think.
                if event == Event::Healthy
                    && let Err(error) = pid1.order(control::Request::Good)
                {
                    warning!("PID 1 not told that this boot is good error=\"{}\"", Chain(&error));
                }
                event
            }
            Act::Discard(undo) => {
                self.undo(*undo)?;
                Event::Discarded
            }
        }))
    }

    fn offer(&self) -> Result<&Offer, Error> {
        self.job.as_ref().and_then(Job::offer).ok_or(Error::Fact { name: "the release of this update" })
    }

    fn files(&self, form: Form) -> Result<&Files, Error> {
        let offer = self.offer()?;
        match (form, &offer.delta) {
            (Form::Delta, Some(delta)) => Ok(delta),
            _ => Ok(&offer.full),
        }
    }

    fn drain(&self) -> Result<Event, Error> {
        let pid1 = &self.tools.pid1;
        pid1.order(control::Request::Drain)?;
        let until = Instant::now() + DRAIN;
        while Instant::now() < until && !self.stop.is_wanted() {
            let is_down = |unit: &control::Unit| {
                unit.kind != control::Kind::Pod
                    || matches!(unit.phase, control::Phase::Ended | control::Phase::Done)
            };
            match pid1.status() {
                Ok(status) if status.units.iter().all(is_down) => break,
                Ok(_) => {}
                Err(error) => warning!("PID 1 does not say who runs error=\"{}\"", Chain(&error)),
            }
            std::thread::sleep(LOOK);
        }
        Ok(Event::Drained)
    }

    /// Until the gates have held for as long as they must, or patience is over. PID 1 has the deadline of an entry on trial; one that
    /// the operator went back to has none there, and is left by another reboot, nor has what runs after a rollback.
    fn watch(&self) -> Result<Event, Error> {
        let (mut health, began) = (Health::new(&self.tools), Instant::now());
        while !self.stop.is_wanted() {
            if health.look() {
                return Ok(Event::Healthy);
            }
            if self.patience.is_some_and(|patience| began.elapsed() > patience) {
                return Ok(Event::Unhealthy);
            }
            std::thread::sleep(health.pause());
        }
        Err(Error::Stopped { source: std::io::ErrorKind::Interrupted.into() })
    }

    fn repository(&self) -> Result<&coracle_trust::Repository, Error> {
        self.polled.as_ref().map(|polled| &polled.repository).ok_or(Error::Unasked)
    }

    fn server(&self) -> Result<Server, Error> {
        let answered = self.polled.as_ref().map(|polled| polled.address.as_str()).ok_or(Error::Unasked)?;
        // Every file is held against the metadata, so that any mirror will do.
        let all = &self.tools.settings.repositories;
        let first = all.iter().position(|address| address == answered).unwrap_or(0);
        let address = first.wrapping_add(self.mirror).checked_rem(all.len()).and_then(|index| all.get(index));
        Ok(Server {
            transport: self.tools.network.repository(address.map_or(answered, String::as_str)),
            runtime: super::network::runtime()?,
            stop: self.stop.clone(),
            fetched: Arc::clone(&self.tools.fetched),
        })
    }

    fn images(&self) -> Images {
        Images::in_folder(&self.tools.state)
    }
}

/// The digest of the kernel image that waits, if one does.
pub(crate) fn waiting(state: &Path) -> Result<Option<Digest>, Error> {
    let images = Images::in_folder(state);
    Ok(images.digest().map_err(Error::Image)?.map(Digest::new))
}
