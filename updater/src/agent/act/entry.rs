//! What the boot manager starts: a new entry, the old one once, the running one for good.

use std::fs::File;
use std::path::Path;

use coracle_entries::Content;
use coracle_layout::{RootHash, control};
use coracle_log::{Chain, info, warning};
use coracle_rollout::System;
use coracle_rollout::machine::{Event, Job, Undo, Way};

use super::Work;
use crate::agent::esp::Esp;
use crate::agent::{Error, facts, firmware};

impl Work {
    pub(super) fn activate(&self, way: Way) -> Result<Event, Error> {
        let esp = Esp::mount(&self.tools.machine)?;
        let system = self.job.as_ref().map(Job::system).ok_or(Error::Fact { name: "the update" })?;
        match way {
            Way::NewEntry => {
                self.make_entry(&esp, system)?;
                // The boot manager would start the newer one that runs.
                if system.version < self.tools.machine.running.system.version {
                    start_once(&esp, system)?;
                }
            }
            Way::OneShot => start_once(&esp, system)?,
        }
        Ok(Event::Activated)
    }

    /// The kernel image that waits becomes an entry, if that was not done before a kill.
    fn make_entry(&self, esp: &Esp, system: System) -> Result<(), Error> {
        let entries = esp.entries()?;
        entries.clean().map_err(Error::Entries)?;
        let offer = self.offer()?;
        let content = Content { len: offer.uki.bytes, sha256: *offer.uki.sha256.as_bytes() };
        if esp.has_on_trial(system, &content)? {
            return Ok(());
        }
        let path = self.images().path();
        let uki = File::open(&path).map_err(Error::file("open", &path))?;
        let staged = entries.stage(system.version, &content, uki).map_err(Error::Entries)?;
        let name = staged.activate().map_err(Error::Entries)?;
        info!("boot entry made entry={name}");
        if let Err(error) = self.images().remove() {
            warning!("kernel image not removed error=\"{}\"", Chain(&error));
        }
        Ok(())
    }

    pub(super) fn bless(&self, system: System, demote: Option<System>) -> Result<Event, Error> {
        let machine = &self.tools.machine;
        if machine.running.system != system {
            let version = system.version;
            return Err(Error::NotRunning { version, why: "another system runs" });
        }
        let esp = Esp::mount(machine)?;
        // The path of the counted entry is left from the last one that the firmware tried, perhaps in vain: it is not asked.
        match firmware::selected()? {
            Some(selected) if selected.version() == system.version => esp.is_running(&machine.running)?,
            // That one did not load, or none was started: what runs is the firmware's fallback, or is not blessed.
            _ => esp.restore(&machine.running)?,
        }
        let entries = esp.entries()?;
        let name = entries.bless(system.version).map_err(Error::Entries)?;
        info!("boot entry blessed entry={name}");
        if let Some(other) = demote {
            let name = entries.demote(other.version).map_err(Error::Entries)?;
            info!("boot entry demoted entry={name}");
        }
        drop((entries, esp));
        self.tools.pid1.order(control::Request::Good)?;
        facts::see_to_options(machine);
        Ok(Event::Blessed)
    }

    pub(super) fn undo(&self, undo: Undo) -> Result<(), Error> {
        match undo {
            Undo::OneShot => firmware::start_as_usual(),
            Undo::Entry(root) => {
                self.images().remove().map_err(Error::Image)?;
                self.remove_entries(root)
            }
        }
    }

    /// Whatever could boot a root that does not run, and what a power cut has left.
    pub(super) fn remove_entries(&self, root: RootHash) -> Result<(), Error> {
        let machine = &self.tools.machine;
        let running = machine.running.system;
        if running.root == root {
            return Ok(());
        }
        let esp = Esp::mount(machine)?;
        let entries = esp.entries()?;
        entries.clean().map_err(Error::Entries)?;
        for version in esp.of_root(root, running.version)? {
            entries.remove(version, running.version).map_err(Error::Entries)?;
            info!("boot entry removed version={version}");
        }
        Ok(())
    }
}

fn start_once(esp: &Esp, system: System) -> Result<(), Error> {
    let file = esp.file_of(system.version)?;
    let name = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = name.ok_or(Error::Entries(coracle_entries::Error::Absent { version: system.version }))?;
    firmware::start_once(name)?;
    info!("boot manager told to start an entry once entry={name}");
    Ok(())
}
