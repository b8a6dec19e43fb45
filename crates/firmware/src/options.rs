//! The firmware's boot options, as variables.

use crate::option::LoadOption;
use crate::path::Partition;
use crate::plan::{Found, Number, Plan, Write};
use crate::{Efivars, Error, Vendor};

const ORDER: &str = "BootOrder";
/// More are not read.
const MAX_OPTIONS: usize = 256;

/// What a firmware has, and where.
#[derive(Debug)]
pub struct Options<'a> {
    efivars: &'a Efivars,
    found: Found,
}

impl<'a> Options<'a> {
    /// Reads all of them. An option that is no option, or longer than any, is there and not ours.
    ///
    /// # Errors
    /// [`Error::TooMany`]; [`Error::Malformed`] of the order; those of [`Efivars::read`].
    pub fn read(efivars: &'a Efivars) -> Result<Self, Error> {
        let names = efivars.names(Vendor::Firmware)?;
        let numbers: Vec<Number> = names.iter().filter_map(|name| name.parse().ok()).collect();
        if numbers.len() > MAX_OPTIONS {
            return Err(Error::TooMany { what: "boot options", max: MAX_OPTIONS });
        }
        let mut found = Found { order: order(efivars)?, ..Found::default() };
        for number in numbers {
            let option = match efivars.read(&number.to_string(), Vendor::Firmware) {
                // A file that was never written is no variable, and its number is free.
                Ok(None) => continue,
                Ok(Some(value)) => LoadOption::parse(&value),
                Err(Error::TooLong { .. } | Error::Malformed { .. }) => None,
                Err(error) => return Err(error),
            };
            found.options.insert(number, option);
        }
        Ok(Self { efivars, found })
    }

    /// What was read.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Sees to it that the firmware starts the boot manager of this partition, and at last the fallback on it, as
    /// [`plan`](crate::plan) says. Returns what was written: nothing, where all was so already.
    ///
    /// # Errors
    /// [`Error::NoNumber`] before anything is written; [`Error::Full`]; those of [`Efivars::write`]. After any of them the order
    /// is the old one, or options that lead elsewhere were not removed. It may be repeated.
    pub fn ensure(self, esp: Partition) -> Result<Plan, Error> {
        let plan = Plan::new(&self.found, esp)?;
        carry_out(&plan, |write| self.perform(write))?;
        Ok(plan)
    }

    fn perform(&self, write: &Write) -> Result<(), Error> {
        let (name, value) = variable(write);
        match value {
            Some(value) => self.efivars.write(&name, Vendor::Firmware, &value),
            None => self.efivars.remove(&name, Vendor::Firmware),
        }
    }
}

/// Each write in its order. One that finds no room is tried once more, as some firmware clears up when it is full; the second
/// answer of the kind, whichever write it is for, is the last.
fn carry_out(plan: &Plan, mut perform: impl FnMut(&Write) -> Result<(), Error>) -> Result<(), Error> {
    let mut was_full = false;
    for write in &plan.writes {
        let mut result = perform(write);
        if !was_full && result.as_ref().is_err_and(Error::is_full) {
            was_full = true;
            result = perform(write);
        }
        match result {
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => {
                return Err(Error::Full { variable: variable(write).0, source });
            }
            other => other?,
        }
    }
    Ok(())
}

/// A variable's name, and the value that it is to have.
fn variable(write: &Write) -> (String, Option<Vec<u8>>) {
    match write {
        Write::Option(number, option) => (number.to_string(), option.encode()),
        Write::Order(order) => {
            let value = order.iter().flat_map(|number| number.0.to_le_bytes()).collect();
            (ORDER.to_owned(), Some(value))
        }
        Write::Remove(number) => (number.to_string(), None),
    }
}

fn order(efivars: &Efivars) -> Result<Vec<Number>, Error> {
    let value = efivars.read(ORDER, Vendor::Firmware)?.unwrap_or_default();
    let (numbers, rest) = value.as_chunks();
    if !rest.is_empty() {
        return Err(Error::Malformed { variable: ORDER.to_owned() });
    }
    Ok(numbers.iter().map(|number| Number(u16::from_le_bytes(*number))).collect())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::path::tests::{partition, place};

    const ESP: Partition =
        Partition { number: 1, first_lba: 2048, blocks: 4096, guid: coracle_gpt::Guid::ZERO };

    fn full() -> Error {
        Error::File { operation: "write", path: PathBuf::new(), source: io::ErrorKind::StorageFull.into() }
    }

    #[test]
    fn options_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        let other = LoadOption::starting("Debian", place(7, "\\EFI\\debian\\shimx64.efi"));
        efivars.write("Boot0001", Vendor::Firmware, &other.encode().unwrap()).unwrap();
        efivars.write("Boot0002", Vendor::Firmware, b"nothing").unwrap();
        std::fs::write(folder.path().join("Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "").unwrap();
        efivars.write(ORDER, Vendor::Firmware, b"\x02\0\x01\0").unwrap();
        let options = Options::read(&efivars).unwrap();
        assert_eq!(options.found().options.len(), 2);
        assert_eq!(options.ensure(ESP).unwrap().writes.len(), 6);
        let value = efivars.read(ORDER, Vendor::Firmware).unwrap().unwrap();
        assert_eq!(value, [0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 2, 0, 1, 0]);
        assert_eq!(Options::read(&efivars).unwrap().ensure(ESP).unwrap(), Plan::default());
        let moved = partition(9);
        assert_eq!(Options::read(&efivars).unwrap().ensure(moved).unwrap().writes.len(), 5);
        assert_eq!(Options::read(&efivars).unwrap().found().options.len(), 7);
        assert_eq!(efivars.read("Boot0002", Vendor::Firmware).unwrap().as_deref(), Some(&b"nothing"[..]));
        efivars.write(ORDER, Vendor::Firmware, b"odd").unwrap();
        assert!(matches!(Options::read(&efivars), Err(Error::Malformed { .. })));
    }

    #[test]
    fn too_many_options_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        for number in 0..257 {
            efivars.write(&Number(number).to_string(), Vendor::Firmware, b"x").unwrap();
        }
        assert!(matches!(Options::read(&efivars), Err(Error::TooMany { max: 256, .. })));
    }

    /// At which writes the firmware has no room, and how many are tried.
    #[test]
    fn a_full_firmware_is_asked_once_more() {
        let plan = Plan::new(&Found::default(), ESP).unwrap();
        for (full_at, tried, works) in
            [(&[][..], 6, true), (&[1], 7, true), (&[5], 7, true), (&[1, 2], 3, false), (&[0, 3], 4, false)]
        {
            let mut count = 0;
            let result = carry_out(&plan, |_| {
                count += 1;
                if full_at.contains(&(count - 1)) { Err(full()) } else { Ok(()) }
            });
            assert_eq!((result.is_ok(), count), (works, tried), "{full_at:?}");
            assert!(works || matches!(result, Err(Error::Full { .. })));
        }
        let mut count = 0;
        let result = carry_out(&plan, |_| {
            count += 1;
            Err(Error::Malformed { variable: String::new() })
        });
        assert!(matches!(result, Err(Error::Malformed { .. })) && count == 1);
    }
}
