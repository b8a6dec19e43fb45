//! The acts of an update, one after the other in a thread of their own.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use coracle_entries::Content;
use coracle_layout::{RootHash, control, partition::Partition, paths};
use coracle_log::{Chain, error, info, warning};
use coracle_ops::{Hash, Header, Identity};
use coracle_rollout::machine::{Act, Event, Form, Job, Trouble, Undo, Way};
use coracle_rollout::manifest::Files;
use coracle_rollout::select::Offer;
use coracle_rollout::{Settings, System, digest::Digest};
use coracle_verity::{BLOCK, DataBlocks};

use super::download::{Download, Server, Stop};
use super::esp::{Esp, root_of};
use super::health::Health;
use super::lock::FleetLock;
use super::machine::Machine;
use super::network::Network;
use super::pid1::Pid1;
use super::poll::Polled;
use super::{Error, Message};
use crate::image::Images;
use crate::keep::{Kept, Store};
use crate::slot::{self, PartitionDevice, Target, checkpoint_in};

/// The least that stays free on the state partition.
const SPARE: u64 = 8 << 20;
/// PID 1 kills what does not end by itself; beyond that nobody waits.
const DRAIN: Duration = Duration::from_secs(180);
/// Between two looks at PID 1.
const LOOK: Duration = Duration::from_millis(500);

/// What the acts need.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub machine: Machine,
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

/// An act under way. The next one begins when it has ended.
#[derive(Debug)]
pub(crate) struct Doing {
    pub number: u64,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Doing {
    /// Begins an act in place of the one under way.
    pub fn begin(
        before: Option<Self>,
        number: u64,
        act: Act,
        job: Option<Job>,
        polled: Option<Arc<Polled>>,
        tools: &Tools,
    ) -> Self {
        let stop = Stop::default();
        let work = Work { number, act, job, polled, tools: tools.clone(), stop: stop.clone() };
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
        let thread = thread.map_err(|error| error!("no thread for an act error=\"{error}\"")).ok();
        Self { number, stop, thread }
    }
}

struct Work {
    number: u64,
    act: Act,
    job: Option<Job>,
    polled: Option<Arc<Polled>>,
    tools: Tools,
    stop: Stop,
}

impl Work {
    fn run(self) {
        let event = match self.perform() {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                let trouble = error.trouble();
                warning!(
                    "act failed act={:?} trouble=\"{trouble}\" error=\"{}\"",
                    self.act.words(),
                    Chain(&error)
                );
                Event::Trouble(trouble)
            }
        };
        self.tell(event);
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
                Some(lock) => lock.take(&self.tools.network)?,
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
            Act::Watch => self.watch()?,
            Act::Bless { system, demote } => self.bless(*system, *demote)?,
            Act::Recover(undo) => {
                self.undo(*undo)?;
                let healthy = self.watch()?;
                // The entry is good, so that PID 1 thinks so too, unless the firmware left it something else to think.
                if let Err(error) = pid1.order(control::Request::Good) {
                    warning!("PID 1 not told that this boot is good error=\"{}\"", Chain(&error));
                }
                healthy
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

    /// 1. Space is checked everywhere. Power lost here means: nothing happened.
    /// 2. What runs becomes the fallback of the firmware. Power lost here means: the fallback is the old one or this one.
    /// 3. The entry of what is in the other slot goes. Power lost here means: it is there or not, and its slot is whole.
    /// 4. The slot is poisoned. Power lost here means: what [`Target::poison`] says; nothing boots from it any more.
    fn prepare(&self) -> Result<Event, Error> {
        let (offer, machine) = (self.offer()?, &self.tools.machine);
        let running = machine.running.system.version;
        let blocks = DataBlocks::new(offer.root.bytes / BLOCK as u64)
            .map_err(|source| Error::Slot(slot::Error::Tree(source)))?;
        let target = self.target()?;
        target.fits(blocks).map_err(Error::Slot)?;
        let images = self.images();
        images.remove().map_err(Error::Image)?;
        let stat = rustix::fs::statvfs(paths::STATE_UPDATER)
            .map_err(|errno| Error::file("measure", paths::STATE_UPDATER)(errno.into()))?;
        if stat.f_bavail.saturating_mul(stat.f_frsize) < offer.uki.bytes.saturating_add(SPARE) {
            return Err(Error::StateFull);
        }

        let esp = Esp::mount(machine)?;
        esp.has_room(running, offer.uki.bytes)?;
        let entries = esp.entries()?;
        entries.clean().map_err(Error::Entries)?;
        esp.keep_fallback(running)?;
        let listing = entries.list().map_err(Error::Entries)?;
        for entry in listing.entries.iter().filter(|entry| entry.name.version() != running) {
            info!("boot entry removed entry={}", entry.file);
            entries.remove(entry.name.version(), running).map_err(Error::Entries)?;
        }
        drop((entries, esp));
        target.poison(&self.checkpoint()?).map_err(Error::Slot)?;
        Ok(Event::Prepared)
    }

    fn write(&self, form: Form) -> Result<Event, Error> {
        let (server, file) = (self.server()?, &self.files(form)?.root);
        let mut download = Download::new(&server, self.repository()?, file)?;
        let header = self.header(&mut download, file)?;
        let (root, running) = (self.offer()?.system.root, self.tools.machine.running.system.root);
        let job = slot::Job::new(&header, root, running).map_err(Error::Slot)?;
        let store = self.checkpoint()?;
        let source = self.running_root()?;
        let poisoned = self.target()?.plan(&job).and_then(|planned| planned.begin(&store));
        let poisoned = poisoned.map_err(Error::Slot)?;
        info!("slot is written form={form:?} from_op={} ops={}", poisoned.done(), header.ops().len());
        let progress = |done: usize| self.tell(Event::Checkpoint(u32::try_from(done).unwrap_or(u32::MAX)));
        match poisoned.write(source, &mut download, &store, progress) {
            Ok(_) => Ok(Event::Written),
            Err(slot::Error::Fetch { source, .. }) => Err(download.failed(source)),
            Err(error) => Err(Error::Slot(error)),
        }
    }

    fn verify(&self, root: RootHash) -> Result<Event, Error> {
        // Every file that makes this root will do: only the root is proved.
        let full = &self.offer()?.full.root;
        let kept = self.kept_header()?;
        let header = kept.as_deref().and_then(|bytes| self.any_header(bytes));
        let header = match header {
            Some(header) => header,
            None => {
                let server = self.server()?;
                let mut download = Download::new(&server, self.repository()?, full)?;
                self.header(&mut download, full)?
            }
        };
        let job =
            slot::Job::new(&header, root, self.tools.machine.running.system.root).map_err(Error::Slot)?;
        let sealed = self.target()?.plan(&job).map_err(Error::Slot)?.written().seal(&self.checkpoint()?);
        let sealed = sealed.map_err(Error::Slot)?;
        info!("slot holds the new root slot={} root={}", sealed.slot, sealed.root);
        Ok(Event::Verified(sealed.root))
    }

    fn any_header(&self, bytes: &[u8]) -> Option<Header> {
        let offer = self.offer().ok()?;
        [offer.delta.as_ref(), Some(&offer.full)]
            .into_iter()
            .flatten()
            .find_map(|files| Header::parse(bytes, files.root.header_sha256.as_bytes()).ok())
    }

    /// Into a file on the state partition: the ESP is written once, when it is activated.
    fn fetch_uki(&self, root: RootHash, form: Form) -> Result<Event, Error> {
        let (server, file, uki) = (self.server()?, &self.files(form)?.uki, self.offer()?.uki);
        let mut download = Download::new(&server, self.repository()?, file)?;
        let (header, _) = download.header(file, None)?;
        let want = Identity { len: uki.bytes, hash: Hash::Sha256(*uki.sha256.as_bytes()) };
        if header.target() != want {
            return Err(Error::UkiDiffers);
        }
        let esp = header.source().map(|_| Esp::look(&self.tools.machine)).transpose()?;
        let running = self.tools.machine.running.system.version;
        let path = esp.as_ref().map(|esp| esp.file_of(running)).transpose()?.flatten();
        let source = path.map(|path| File::open(&path).map_err(Error::file("open", path))).transpose()?;
        let images = self.images();
        let made = images.make(&header, uki.sha256.as_bytes(), source, &mut download);
        match made {
            Ok(()) => {}
            Err(crate::image::Error::Fetch { source, .. }) => return Err(download.failed(source)),
            Err(error) => return Err(Error::Image(error)),
        }
        // The signature for Secure Boot is verified here, between digest and activation, once images carry one.
        if root_of(&images.path())? != Some(root) {
            images.remove().map_err(Error::Image)?;
            return Err(Error::UkiRoot { want: root });
        }
        Ok(Event::Fetched(uki.sha256))
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
            if pid1.status()?.units.iter().all(is_down) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(Event::Drained)
    }

    fn activate(&self, way: Way) -> Result<Event, Error> {
        let esp = Esp::mount(&self.tools.machine)?;
        let system = self.job.as_ref().map(Job::system).ok_or(Error::Fact { name: "the update" })?;
        match way {
            Way::NewEntry => {
                let entries = esp.entries()?;
                entries.clean().map_err(Error::Entries)?;
                let offer = self.offer()?;
                let content = Content { len: offer.uki.bytes, sha256: *offer.uki.sha256.as_bytes() };
                let path = self.images().path();
                let uki = File::open(&path).map_err(Error::file("open", &path))?;
                let staged = entries.stage(system.version, &content, uki).map_err(Error::Entries)?;
                let name = staged.activate().map_err(Error::Entries)?;
                info!("boot entry made entry={name}");
                self.images().remove().map_err(Error::Image)?;
            }
            Way::OneShot => {
                let file = esp.file_of(system.version)?;
                let name = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
                let name =
                    name.ok_or(Error::Entries(coracle_entries::Error::Absent { version: system.version }))?;
                super::firmware::start_once(name)?;
                info!("boot manager told to start an entry once entry={name}");
            }
        }
        Ok(Event::Activated)
    }

    /// Until the gates have held for as long as they must. PID 1 has the deadline.
    fn watch(&self) -> Result<Event, Error> {
        let mut health = Health::new(&self.tools);
        while !self.stop.is_wanted() {
            if health.look() {
                return Ok(Event::Healthy);
            }
            std::thread::sleep(health.pause());
        }
        Err(Error::Stopped { source: std::io::ErrorKind::Interrupted.into() })
    }

    fn bless(&self, system: System, demote: Option<System>) -> Result<Event, Error> {
        let machine = &self.tools.machine;
        if machine.running.system != system {
            let version = system.version;
            return Err(Error::NotRunning { version, why: "another system runs" });
        }
        let esp = Esp::mount(machine)?;
        esp.is_running(&machine.running)?;
        let entries = esp.entries()?;
        let name = entries.bless(system.version).map_err(Error::Entries)?;
        info!("boot entry blessed entry={name}");
        if let Some(other) = demote {
            let name = entries.demote(other.version).map_err(Error::Entries)?;
            info!("boot entry demoted entry={name}");
        }
        drop((entries, esp));
        self.tools.pid1.order(control::Request::Good)?;
        super::facts::see_to_options(machine);
        Ok(Event::Blessed)
    }

    fn undo(&self, undo: Undo) -> Result<(), Error> {
        match undo {
            Undo::OneShot => super::firmware::start_as_usual(),
            Undo::Entry(root) => {
                self.images().remove().map_err(Error::Image)?;
                let machine = &self.tools.machine;
                if machine.running.system.root == root {
                    return Ok(());
                }
                let esp = Esp::mount(machine)?;
                let entries = esp.entries()?;
                entries.clean().map_err(Error::Entries)?;
                let running = machine.running.system.version;
                let Some(other) = esp.other(running)?.filter(|other| other.system.root == root) else {
                    return Ok(());
                };
                entries.remove(other.system.version, running).map_err(Error::Entries)?;
                info!("boot entry removed version={}", other.system.version);
                Ok(())
            }
        }
    }

    fn target(&self) -> Result<Target<PartitionDevice>, Error> {
        let machine = &self.tools.machine;
        let mut nodes = Vec::new();
        for slot in [coracle_layout::Slot::A, coracle_layout::Slot::B] {
            for which in [Partition::Root(slot), Partition::Verity(slot)] {
                nodes.push((which, machine.node(which)?));
            }
        }
        let node = |which| {
            nodes.iter().find(|(of, _)| *of == which).map(|(_, node)| node.clone()).unwrap_or_default()
        };
        Target::open(machine.running.slot, node).map_err(Error::Slot)
    }

    /// What runs, through dm-verity: the device that `/` is mounted from.
    fn running_root(&self) -> Result<File, Error> {
        use std::os::unix::fs::MetadataExt;
        let device = fs::metadata("/").map_err(Error::file("look at", "/"))?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let link = format!("/sys/dev/block/{major}:{minor}");
        let path = fs::canonicalize(&link).map_err(Error::file("follow", &link))?;
        let node = Path::new("/dev").join(path.file_name().unwrap_or_default());
        File::open(&node).map_err(Error::file("open", node))
    }

    fn repository(&self) -> Result<&coracle_trust::Repository, Error> {
        self.polled.as_ref().map(|polled| &polled.repository).ok_or(Error::Unasked)
    }

    fn server(&self) -> Result<Server, Error> {
        let address = self.polled.as_ref().map(|polled| polled.address.as_str()).ok_or(Error::Unasked)?;
        Ok(Server {
            transport: self.tools.network.repository(address),
            runtime: super::network::runtime()?,
            stop: self.stop.clone(),
            fetched: Arc::clone(&self.tools.fetched),
        })
    }

    /// Kept, so that a slot can be verified without the server after a restart.
    fn header(
        &self,
        download: &mut Download<'_>,
        file: &coracle_rollout::manifest::OpsFile,
    ) -> Result<Header, Error> {
        let kept = self.kept_header()?;
        let (header, bytes) = download.header(file, kept.as_deref())?;
        if kept.as_deref() != Some(&bytes[..]) {
            let failed = Error::file("write", paths::STATE_UPDATER);
            header_in(Path::new(paths::STATE_UPDATER))
                .and_then(|store| store.save(&bytes))
                .map_err(failed)?;
        }
        Ok(header)
    }

    fn kept_header(&self) -> Result<Option<Vec<u8>>, Error> {
        let failed = Error::file("read", paths::STATE_UPDATER);
        header_in(Path::new(paths::STATE_UPDATER)).and_then(|store| store.load()).map_err(failed)
    }

    fn checkpoint(&self) -> Result<Kept, Error> {
        checkpoint_in(Path::new(paths::STATE_UPDATER)).map_err(Error::file("open", paths::STATE_UPDATER))
    }

    fn images(&self) -> Images {
        Images::in_folder(Path::new(paths::STATE_UPDATER))
    }
}

fn header_in(folder: &Path) -> std::io::Result<Kept> {
    Kept::open(folder, "ops-header", coracle_rollout::manifest::MAX_HEADER_BYTES)
}

/// The digest of the kernel image that waits, if one does.
pub(crate) fn waiting() -> Result<Option<Digest>, Error> {
    let images = Images::in_folder(Path::new(paths::STATE_UPDATER));
    Ok(images.digest().map_err(Error::Image)?.map(Digest::new))
}

/// What the other slot holds; nothing where it cannot be read.
pub(crate) fn content(tools: &Tools) -> Result<Option<RootHash>, Error> {
    let work = Work {
        number: 0,
        act: Act::Rest { until: None },
        job: None,
        polled: None,
        tools: tools.clone(),
        stop: Stop::default(),
    };
    work.target()?.content().map_err(Error::Slot)
}

/// Troubles that the operator hears of in the status.
pub(crate) fn heard(event: &Event) -> Option<Trouble> {
    match event {
        Event::Trouble(trouble) => Some(*trouble),
        _ => None,
    }
}
