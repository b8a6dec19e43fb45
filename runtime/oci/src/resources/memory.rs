//! `memory`. The limit of memory and swap together is one of swap alone in v2.

use std::fmt;

use coracle_runtime::cgroup::Setting;
use oci_spec::runtime::LinuxMemory;

use super::{Error, List, range, unsupported};

/// A number of bytes, or as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Most(u64),
    Unlimited,
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Most(bytes) => bytes.fmt(f),
            Self::Unlimited => f.write_str("max"),
        }
    }
}

/// The limits that must not be below what is used already: v1 refused them by itself, v2 kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    limit: Option<u64>,
    swap: Option<u64>,
}

impl Check {
    /// Whether they leave room beyond what is used of memory and of swap.
    ///
    /// # Errors
    /// [`Error::Used`].
    pub fn against(self, memory: u64, swap: u64) -> Result<(), Error> {
        let together = memory.saturating_add(swap);
        for (property, limit, used) in
            [("memory.limit", self.limit, memory), ("memory.swap", self.swap, together)]
        {
            match limit {
                Some(limit) if limit <= used => return Err(Error::Used { property, limit, used }),
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn lower(memory: &LinuxMemory, list: &mut List) -> Result<Option<Check>, Error> {
    refuse(memory)?;
    let limit = bytes("memory.limit", memory.limit())?;
    let swap = bytes("memory.swap", memory.swap())?;
    // Less swap first: what the lower limit of memory drives out goes there.
    if let Some(most) = swap_max(limit, swap)? {
        // In a kernel without swap any limit of it is kept.
        list.ask("memory.swap", Setting::new("memory.swap.max", most).or_skip());
    }
    match limit {
        Some(Bytes::Unlimited) => list.ask("memory.limit", Setting::new("memory.max", "max").or_skip()),
        Some(most) => list.ask("memory.limit", Setting::new("memory.max", most)),
        None => {}
    }
    match (memory.reservation(), bytes("memory.reservation", memory.reservation())?) {
        (_, Some(least)) => list.ask("memory.reservation", Setting::new("memory.low", least)),
        (Some(_), None) => list.ask("memory.reservation", Setting::new("memory.low", 0).or_skip()),
        (None, None) => {}
    }
    let number = |bytes| match bytes {
        Some(Bytes::Most(number)) => Some(number),
        _ => None,
    };
    let is_checked = memory.check_before_update() == Some(true);
    Ok(is_checked.then_some(Check { limit: number(limit), swap: number(swap) }))
}

/// What only v1 could do, and no value that asks for nothing.
fn refuse(memory: &LinuxMemory) -> Result<(), Error> {
    let kernel = [("memory.kernel", memory.kernel()), ("memory.kernelTCP", memory.kernel_tcp())];
    let kernel = kernel.map(|(property, limit)| (property, !matches!(limit, None | Some(0 | -1))));
    let others = [
        ("memory.swappiness", !matches!(memory.swappiness(), None | Some(0))),
        ("memory.disableOOMKiller", memory.disable_oom_killer() == Some(true)),
        // In v2 memory always counts for the cgroups above, too.
        ("memory.useHierarchy", memory.use_hierarchy() == Some(false)),
    ];
    match kernel.into_iter().chain(others).find(|(_, asks)| *asks) {
        Some((property, _)) => Err(unsupported(property)),
        None => Ok(()),
    }
}

/// 0 is no limit given, as with runc.
fn bytes(property: &str, value: Option<i64>) -> Result<Option<Bytes>, Error> {
    match value {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Bytes::Unlimited)),
        Some(number) => match number.try_into() {
            Ok(number) => Ok(Some(Bytes::Most(number))),
            Err(_) => Err(range(property, "a number of bytes, or -1")),
        },
    }
}

/// As runc and crun have it: swap alone is what both together leave beside memory, and without a limit of memory no such number
/// can be told. Whoever asks for memory without limit and says nothing of swap has both without, as in v1.
fn swap_max(memory: Option<Bytes>, both: Option<Bytes>) -> Result<Option<Bytes>, Error> {
    Ok(Some(match (memory, both) {
        (Some(Bytes::Unlimited), None) | (_, Some(Bytes::Unlimited)) => Bytes::Unlimited,
        (_, None) => return Ok(None),
        (Some(Bytes::Unlimited), Some(swap)) => swap,
        (None, Some(_)) => {
            return Err(range("memory.swap", "set with memory.limit alone, as it counts both"));
        }
        (Some(Bytes::Most(memory)), Some(Bytes::Most(both))) => match both.checked_sub(memory) {
            Some(swap) => Bytes::Most(swap),
            None => return Err(range("memory.swap", "no less than memory.limit, as it counts both")),
        },
    }))
}
