//! The boot manager's variables, and the firmware's boot options.

use coracle_uki::EntryName;

use super::{Error, machine::Machine};

/// The entry that the boot manager started, by its name before its counter changed.
pub(crate) fn selected() -> Result<Option<EntryName>, Error> {
    Ok(None)
}
pub(crate) fn start_once(_name: &str) -> Result<(), Error> {
    Ok(())
}
pub(crate) fn start_none() -> Result<(), Error> {
    Ok(())
}
pub(crate) fn ensure(_machine: &Machine) -> Result<usize, Error> {
    Ok(0)
}
