//! The boot manager's variables, and the firmware's boot options.

use std::path::Path;

use coracle_firmware::{Efivars, Interface, Options, interface};
use coracle_layout::partition::Partition;
use coracle_uki::EntryName;
use rustix::mount::{MountFlags, mount_remount};

use super::{Error, machine::Machine};

const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// The entry that the boot manager started, by its name before its counter changed.
pub(crate) fn selected() -> Result<Option<EntryName>, Error> {
    let interface = Interface::read(&Efivars::at(Path::new(EFIVARS))).map_err(Error::Firmware)?;
    Ok(interface.selected.and_then(|name| name.parse().ok()))
}

/// Whether a firmware started what runs, from a partition: its boot manager says so, or else the UKI's own stub.
pub(crate) fn is_there() -> Result<bool, Error> {
    let interface = Interface::read(&Efivars::at(Path::new(EFIVARS))).map_err(Error::Firmware)?;
    Ok(interface.esp.is_some())
}

/// Has an entry started once.
pub(crate) fn start_once(name: &str) -> Result<(), Error> {
    changed(|efivars| interface::start_once(efivars, name))
}

/// Takes that back.
pub(crate) fn start_as_usual() -> Result<(), Error> {
    changed(interface::start_as_usual)
}

/// Sees to the firmware's boot options; how many variables were written.
pub(crate) fn ensure(machine: &Machine) -> Result<usize, Error> {
    let efivars = Efivars::at(Path::new(EFIVARS));
    let Some(guid) = Interface::read(&efivars).map_err(Error::Firmware)?.esp else { return Ok(0) };
    let place = machine.place(Partition::Esp)?;
    let esp = coracle_firmware::Partition {
        number: place.number,
        first_lba: place.first_lba,
        blocks: place.blocks,
        guid,
    };
    // Written only where something is amiss: the store of a firmware wears out.
    let options = Options::read(&efivars).map_err(Error::Firmware)?;
    let plan = coracle_firmware::Plan::new(options.found(), esp).map_err(Error::Firmware)?;
    if !plan.writes.is_empty() {
        changed(|_| options.ensure(esp).map(drop))?;
    }
    Ok(plan.writes.len())
}

/// Firmware variables are mounted read-only for everybody, and writable for this process while it writes.
fn changed(change: impl FnOnce(&Efivars) -> Result<(), coracle_firmware::Error>) -> Result<(), Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let remount = |flags| {
        mount_remount(EFIVARS, flags, c"").map_err(|errno| Error::file("remount", EFIVARS)(errno.into()))
    };
    remount(flags)?;
    let changed = change(&Efivars::at(Path::new(EFIVARS))).map_err(Error::Firmware);
    remount(flags | MountFlags::RDONLY)?;
    changed
}
