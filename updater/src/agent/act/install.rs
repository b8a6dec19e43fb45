//! Writing the other slot, and making the kernel image that goes with it.

use std::fs::{self, File};
use std::path::Path;

use coracle_layout::{RootHash, Slot, partition::Partition};
use coracle_log::{Chain, info, warning};
use coracle_ops::{Hash, Header, Identity};
use coracle_rollout::machine::{Event, Form};
use coracle_rollout::manifest::{MAX_HEADER_BYTES, OpsFile};
use coracle_verity::{BLOCK, DataBlocks};

use super::Work;
use crate::agent::Error;
use crate::agent::download::Download;
use crate::agent::esp::{Esp, root_of};
use crate::agent::machine::Machine;
use crate::keep::{Kept, Store};
use crate::slot::{self, PartitionDevice, Target, checkpoint_in};

/// The least that stays free on the state partition.
const SPARE: u64 = 8 << 20;

impl Work {
    /// 1. Space is checked everywhere. Power lost here means: nothing happened.
    /// 2. What runs becomes the fallback of the firmware, and its boot manager the one that starts what comes. Power lost here means: each
    ///    is the old one or this one.
    /// 3. The entry of what is in the other slot goes. Power lost here means: it is there or not, and its slot is whole.
    /// 4. The slot is poisoned. Power lost here means: what [`Target::poison`] says; nothing boots from it any more.
    pub(super) fn prepare(&self) -> Result<Event, Error> {
        let (offer, machine) = (self.offer()?, &self.tools.machine);
        let running = machine.running.system.version;
        let blocks = DataBlocks::new(offer.root.bytes / BLOCK as u64)
            .map_err(|source| Error::Slot(slot::Error::Tree(source)))?;
        let target = target(machine)?;
        target.fits(blocks).map_err(Error::Slot)?;
        let images = self.images();
        images.remove().map_err(Error::Image)?;
        has_room(&self.tools.state, offer.uki.bytes)?;

        let esp = Esp::mount(machine)?;
        esp.has_room(running, offer.uki.bytes)?;
        let entries = esp.entries()?;
        entries.clean().map_err(Error::Entries)?;
        esp.keep_fallback(running)?;
        if let Err(error) = esp.keep_loader() {
            warning!("boot manager not seen to error=\"{}\"", Chain(&error));
        }
        let listing = entries.list().map_err(Error::Entries)?;
        for entry in listing.entries.iter().filter(|entry| entry.name.version() != running) {
            info!("boot entry removed entry={}", entry.file);
            entries.remove(entry.name.version(), running).map_err(Error::Entries)?;
        }
        drop((entries, esp));
        target.poison(&self.checkpoint()?).map_err(Error::Slot)?;
        Ok(Event::Prepared)
    }

    pub(super) fn write(&self, form: Form) -> Result<Event, Error> {
        let (server, file) = (self.server()?, &self.files(form)?.root);
        let mut download = Download::new(&server, self.repository()?, file)?;
        let header = self.header(&mut download, file)?;
        let (root, running) = (self.offer()?.system.root, self.tools.machine.running.system.root);
        let job = slot::Job::new(&header, root, running).map_err(Error::Slot)?;
        let store = self.checkpoint()?;
        let source = match form {
            Form::Delta => Some(self.running_root()?),
            // It is not read: perhaps it cannot be.
            Form::Full => None,
        };
        let poisoned = target(&self.tools.machine)?.plan(&job).and_then(|planned| planned.begin(&store));
        let poisoned = poisoned.map_err(Error::Slot)?;
        info!("slot is written form={form:?} from_op={} ops={}", poisoned.done(), header.ops().len());
        let progress = |done: usize| self.tell(Event::Checkpoint(u32::try_from(done).unwrap_or(u32::MAX)));
        match poisoned.write(source, &mut download, &store, progress) {
            Ok(_) => Ok(Event::Written),
            Err(slot::Error::Fetch { source, .. }) => Err(download.failed(source)),
            Err(error) => Err(Error::Slot(error)),
        }
    }

    pub(super) fn verify(&self, root: RootHash) -> Result<Event, Error> {
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
        let sealed =
            target(&self.tools.machine)?.plan(&job).map_err(Error::Slot)?.written().seal(&self.checkpoint()?);
        let sealed = sealed.map_err(Error::Slot)?;
        info!("slot holds the new root slot={} root={}", sealed.slot, sealed.root);
        Ok(Event::Verified(sealed.root))
    }

    pub(super) fn any_header(&self, bytes: &[u8]) -> Option<Header> {
        let offer = self.offer().ok()?;
        [offer.delta.as_ref(), Some(&offer.full)]
            .into_iter()
            .flatten()
            .find_map(|files| Header::parse(bytes, files.root.header_sha256.as_bytes()).ok())
    }

    /// Into a file on the state partition: the ESP is written once, when it is activated. An entry that is left from an earlier
    /// attempt goes before: until then nothing may boot the root.
    pub(super) fn fetch_uki(&self, root: RootHash, form: Form) -> Result<Event, Error> {
        let machine = &self.tools.machine;
        // Mounted to be changed only if there is something to change.
        let left = Esp::look(machine)?.of_root(root, machine.running.system.version)?;
        if !left.is_empty() {
            self.remove_entries(root)?;
        }
        let (server, file, uki) = (self.server()?, &self.files(form)?.uki, self.offer()?.uki);
        let mut download = Download::new(&server, self.repository()?, file)?;
        let (header, _) = download.header(file, None)?;
        let want = Identity { len: uki.bytes, hash: Hash::Sha256(*uki.sha256.as_bytes()) };
        let images = self.images();
        match header.target().hash {
            // What it makes in the end is held against the manifest's digest all the same.
            Hash::Unpacked(_) if header.source().is_none_or(is_form) => {
                has_room(
                    &self.tools.state,
                    images.room_for_forms(&header, uki.bytes).map_err(Error::Image)?,
                )?;
            }
            _ if header.target() == want => {}
            _ => return Err(Error::UkiDiffers),
        }
        let esp = header.source().map(|_| Esp::look(&self.tools.machine)).transpose()?;
        let running = self.tools.machine.running.system.version;
        let path = esp.as_ref().map(|esp| esp.file_of(running)).transpose()?.flatten();
        let source = path.map(|path| File::open(&path).map_err(Error::file("open", path))).transpose()?;
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

    /// What runs, through dm-verity: the device that `/` is mounted from.
    pub(super) fn running_root(&self) -> Result<File, Error> {
        use std::os::unix::fs::MetadataExt;
        let device = fs::metadata("/").map_err(Error::file("look at", "/"))?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let link = format!("/sys/dev/block/{major}:{minor}");
        let path = fs::canonicalize(&link).map_err(Error::file("follow", &link))?;
        let node = Path::new("/dev").join(path.file_name().unwrap_or_default());
        File::open(&node).map_err(Error::file("open", node))
    }

    /// Kept, so that a slot can be verified without the server after a restart.
    pub(super) fn header(&self, download: &mut Download<'_>, file: &OpsFile) -> Result<Header, Error> {
        let kept = self.kept_header()?;
        let (header, bytes) = download.header(file, kept.as_deref())?;
        if kept.as_deref() != Some(&bytes[..]) {
            let failed = Error::file("write", &self.tools.state);
            header_in(&self.tools.state).and_then(|store| store.save(&bytes)).map_err(failed)?;
        }
        Ok(header)
    }

    pub(super) fn kept_header(&self) -> Result<Option<Vec<u8>>, Error> {
        let failed = Error::file("read", &self.tools.state);
        header_in(&self.tools.state).and_then(|store| store.load()).map_err(failed)
    }

    pub(super) fn checkpoint(&self) -> Result<Kept, Error> {
        checkpoint_in(&self.tools.state).map_err(Error::file("open", &self.tools.state))
    }
}

/// Whether the state partition has so many bytes, and [`SPARE`].
fn has_room(state: &Path, bytes: u64) -> Result<(), Error> {
    let stat = rustix::fs::statvfs(state).map_err(|errno| Error::file("measure", state)(errno.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < bytes.saturating_add(SPARE) { Err(Error::StateFull) } else { Ok(()) }
}

fn is_form(identity: Identity) -> bool {
    matches!(identity.hash, Hash::Unpacked(_))
}

/// The slot that does not run.
pub(crate) fn target(machine: &Machine) -> Result<Target<PartitionDevice>, Error> {
    let mut nodes = Vec::new();
    for slot in [Slot::A, Slot::B] {
        for which in [Partition::Root(slot), Partition::Verity(slot)] {
            nodes.push((which, machine.node(which)?));
        }
    }
    let node =
        |which| nodes.iter().find(|(of, _)| *of == which).map(|(_, node)| node.clone()).unwrap_or_default();
    Target::open(machine.running.slot, node).map_err(Error::Slot)
}

fn header_in(folder: &Path) -> std::io::Result<Kept> {
    Kept::open(folder, "ops-header", MAX_HEADER_BYTES)
}
