//! Resources on a cgroup: a new one, or one that is there.

use std::os::fd::BorrowedFd;

use coracle_runtime::{
    cgroup::{Absent, Cgroup, Path, Setting},
    devices::Devices,
};
use oci_spec::runtime::LinuxResources;
use serde_json::Value;

use super::{Asked, Check, Error, Lowered, lower};

/// Makes a container's cgroup below the root of a cgroup2 mount. Nothing is left behind if anything fails.
///
/// # Errors
/// [`Error::Controller`], [`Error::Refused`] and [`Error::Cgroup`].
pub fn create(root: BorrowedFd<'_>, path: &Path, lowered: &Lowered) -> Result<Cgroup, Error> {
    let needed: Vec<&str> = lowered.needed().into_keys().collect();
    let settings = lowered.settings.iter().map(|asked| &asked.setting);
    let made = Cgroup::make_at(root, path, &needed, Devices::Only(&lowered.devices), settings);
    made.map_err(|source| blame(lowered, source))
}

/// Changes the resources of a container: what `change` names has its value, the rest those of `current`. What they are now is
/// returned, to be `current` the next time. If one cannot be had, those of before are written again as far as that goes.
///
/// # Errors
/// [`Error`].
pub fn update(
    root: BorrowedFd<'_>,
    path: &Path,
    current: &LinuxResources,
    change: &LinuxResources,
) -> Result<LinuxResources, Error> {
    let (joined, before) = (join(current, change)?, lower(current)?);
    let wanted = lower(&joined)?;
    if wanted.devices != before.devices {
        return Err(Error::DevicesChange);
    }
    let needed: Vec<&str> = wanted.needed().into_keys().collect();
    let cgroup = Cgroup::open_with(root, path, &needed).map_err(|source| blame(&wanted, source))?;
    match wanted.check {
        Some(check) if change.memory().is_some() => check_use(&cgroup, check)?,
        _ => {}
    }
    if let Err(source) = set(&cgroup, &wanted) {
        // The first error is the one to report.
        let _ = set(&cgroup, &before);
        return Err(blame(&wanted, source));
    }
    Ok(joined)
}

fn set(cgroup: &Cgroup, lowered: &Lowered) -> Result<(), coracle_runtime::Error> {
    lowered.settings.iter().try_for_each(|asked| cgroup.set(&asked.setting))
}

fn check_use(cgroup: &Cgroup, check: Check) -> Result<(), Error> {
    let used = cgroup.texts(|file| matches!(file, "memory.current" | "memory.swap.current"));
    let used = used.map_err(Error::Cgroup)?;
    let number = |file| used.get(file).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    check.against(number("memory.current"), number("memory.swap.current"))
}

/// Names the property that an error is about.
fn blame(lowered: &Lowered, source: coracle_runtime::Error) -> Error {
    use coracle_runtime::Error as Runtime;
    let property = match &source {
        Runtime::NoController { controller } => {
            if let Some(property) = lowered.needed().get(controller.as_str()) {
                let (property, controller) = ((*property).to_owned(), controller.clone());
                return Error::Controller { property, controller };
            }
            None
        }
        Runtime::Devices(_) | Runtime::ProgramTooLong { .. } => Some("devices"),
        Runtime::Cgroup { file, .. } => {
            let asked = lowered.settings.iter().rfind(|asked| fills(&asked.setting, file));
            asked.map(|Asked { property, .. }| property.as_str())
        }
        _ => None,
    };
    match property {
        Some(property) => Error::Refused { property: property.to_owned(), source },
        None => Error::Cgroup(source),
    }
}

fn fills(setting: &Setting, file: &str) -> bool {
    setting.file == file || matches!(&setting.absent, Absent::Instead(other) if fills(other, file))
}

/// Objects are joined property by property; anything else, lists too, takes the place of what was there.
fn join(current: &LinuxResources, change: &LinuxResources) -> Result<LinuxResources, Error> {
    fn put(current: &mut Value, change: Value) {
        match (current, change) {
            (Value::Object(current), Value::Object(change)) => {
                for (name, value) in change {
                    put(current.entry(name).or_insert(Value::Null), value);
                }
            }
            (current, change) => *current = change,
        }
    }
    let failed = |error: serde_json::Error| Error::Join(error.to_string());
    let mut joined = serde_json::to_value(current).map_err(failed)?;
    put(&mut joined, serde_json::to_value(change).map_err(failed)?);
    serde_json::from_value(joined).map_err(failed)
}

#[cfg(test)]
mod tests;
