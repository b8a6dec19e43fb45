//! `kill`, `pause` and `resume`.

use std::{os::fd::AsFd, path::Path};

use anyhow::{Context, Result, bail};
use coracle_fence::signals;
use coracle_runtime::plan::Signal;

use crate::state::{Container, Status};

/// Signals a container's first process, or all of its processes.
pub fn kill(root: &Path, id: &str, signal: u8, all: bool) -> Result<()> {
    let container = Container::open(root, id)?;
    if all {
        return match container.cgroup()? {
            Some(cgroup) => Ok(cgroup.signal(Signal::new(signal)?)?),
            None => Ok(()),
        };
    }
    let Some(process) = container.process() else { bail!("container not running: {id} is stopped") };
    signals::send(process.as_fd(), signal).with_context(|| format!("container {id}"))
}

/// Freezes or thaws a container.
pub fn freeze(root: &Path, id: &str, frozen: bool) -> Result<()> {
    let container = Container::open(root, id)?;
    let cgroup = container.cgroup()?.context("the container's cgroup is gone")?;
    match (container.status(), frozen) {
        (Status::Running | Status::Created, true) => Ok(cgroup.freeze()?),
        (Status::Paused, false) => Ok(cgroup.thaw()?),
        (status, _) => bail!("container {id} is {}", status.as_str()),
    }
}
