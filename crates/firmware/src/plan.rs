//! Which boot options have to be written so that a machine comes up by itself: a decision, without a byte moved.
//!
//! Four options named `Coracle` start the boot manager, since a firmware that comes back from one goes on to the next: an entry
//! that does not even load uses its three tries up, without anyone at the machine, and the fourth starts the one before. One named
//! `Coracle fallback` is the last of ours. The boot order has ours first, then whatever else was there, as it was. Options of others
//! are never changed or removed.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | each option that is missing is written: over one of ours that leads elsewhere, or under a number that nothing has | the old order; what it names is there, ours perhaps leading where they should already |
//! | 2 | the boot order, if it is another | the old order or the new one, as the firmware keeps its promise; all that either names is there |
//! | 3 | options of ours that lead elsewhere, and are left, are removed | the new order, which names none of them |
//!
//! An option is ours by its name. Where it starts another file, or the same on another partition, it leads elsewhere: a machine
//! whose disk was replaced has as many options as before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::path::{Partition, Place};
use crate::{Error, LoadOption};

/// What the options that start the boot manager are called.
pub const NAME: &str = "Coracle";
/// And what they start.
pub const LOADER: &str = "\\EFI\\systemd\\systemd-bootx64.efi";
/// How many there are at least: one more than a new entry has tries. With three, what follows the last try is the fallback.
pub const LOADERS: usize = 4;
/// What the one that starts the fallback is called.
pub const FALLBACK_NAME: &str = "Coracle fallback";
/// And what it starts.
pub const FALLBACK: &str = "\\EFI\\coracle\\fallback.efi";

/// The number of a boot option, which names its variable: `Boot001F`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u16);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boot{:04X}", self.0)
    }
}

/// It is not the name of a boot option's variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a boot option's variable")]
pub struct NotBootOption;

impl FromStr for Number {
    type Err = NotBootOption;

    fn from_str(name: &str) -> Result<Self, NotBootOption> {
        let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4).ok_or(NotBootOption)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        if !digits.bytes().all(is_digit) {
            return Err(NotBootOption);
        }
        u16::from_str_radix(digits, 16).map(Self).map_err(|_| NotBootOption)
    }
}

/// What a firmware has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Every option; `None` for one that cannot be read, which is not ours.
    pub options: BTreeMap<Number, Option<LoadOption>>,
    /// The order, as it is.
    pub order: Vec<Number>,
}

/// One variable to be written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// This option gets this value.
    Option(Number, LoadOption),
    /// The order gets this value.
    Order(Vec<Number>),
    /// This option goes.
    Remove(Number),
}

/// What has to be done, in this order. Nothing, where it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each write.
    pub writes: Vec<Write>,
}

/// What of a kind is there, and what is missing.
struct Kind {
    option: LoadOption,
    right: Vec<Number>,
    missing: usize,
}

impl Kind {
    fn of(found: &Found, option: LoadOption, wanted: usize) -> Self {
        let is_right = |own: &LoadOption| {
            let is_there = own.place.as_ref().zip(option.place.as_ref()).is_some_and(|(a, b)| a.is(b));
            own.description == option.description && own.is_active() && is_there
        };
        let right = found.options.iter().filter(|(_, own)| own.as_ref().is_some_and(is_right));
        let mut right: Vec<_> = right.map(|(number, _)| *number).collect();
        let place = |number: &Number| found.order.iter().position(|own| own == number);
        right.sort_by_key(|number| place(number).unwrap_or(usize::MAX));
        let missing = wanted.saturating_sub(right.len());
        Self { option, right, missing }
    }
}

impl Plan {
    /// What makes a firmware start the boot manager, and at last the fallback, on this partition.
    ///
    /// # Errors
    /// [`Error::NoNumber`].
    pub fn new(found: &Found, esp: Partition) -> Result<Self, Error> {
        let starting =
            |name, file: &str| LoadOption::starting(name, Place { partition: esp, file: file.to_owned() });
        let mut kinds = [
            Kind::of(found, starting(NAME, LOADER), LOADERS),
            Kind::of(found, starting(FALLBACK_NAME, FALLBACK), 1),
        ];
        let right: BTreeSet<_> = kinds.iter().flat_map(|kind| kind.right.iter().copied()).collect();
        let ours = found.options.iter().filter(|(_, option)| option.as_ref().is_some_and(is_ours));
        let ours: BTreeSet<_> = ours.map(|(number, _)| *number).collect();
        let mut elsewhere = ours.difference(&right).copied();
        let mut free = (0..=u16::MAX).map(Number).filter(|number| !found.options.contains_key(number));

        let mut writes = Vec::new();
        for kind in &mut kinds {
            for _ in 0..kind.missing {
                let number = elsewhere.next().or_else(|| free.next());
                let number = number.ok_or(Error::NoNumber { last: Number(u16::MAX) })?;
                writes.push(Write::Option(number, kind.option.clone()));
                kind.right.push(number);
            }
        }
        let mut order: Vec<_> = kinds.into_iter().flat_map(|kind| kind.right).collect();
        let kept = kept(found);
        order.extend(kept.iter().copied().filter(|number| !ours.contains(number)));
        if order != kept {
            writes.push(Write::Order(order));
        }
        writes.extend(elsewhere.map(Write::Remove));
        Ok(Self { writes })
    }
}

fn is_ours(option: &LoadOption) -> bool {
    [NAME, FALLBACK_NAME].contains(&option.description.as_str())
}

/// The order without what is not there, and without repetitions: a firmware passes over both.
fn kept(found: &Found) -> Vec<Number> {
    let mut seen = BTreeSet::new();
    let is_kept = |number: &Number| found.options.contains_key(number) && seen.insert(*number);
    found.order.iter().copied().filter(is_kept).collect()
}

#[cfg(test)]
mod tests;
