//! `kill`, `pause` and `resume`.

use std::{
    fs,
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use coracle_fence::signals;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{
    cgroups,
    state::{Container, Status},
};

/// How long a cgroup may take to freeze.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signals a container's first process, or all of its processes.
pub fn kill(root: &Path, id: &str, signal: u8, all: bool) -> Result<()> {
    let container = Container::open(root, id)?;
    if all {
        return kill_all(&container.record.cgroup, signal);
    }
    let Some(process) = container.process() else { bail!("container not running: {id} is stopped") };
    signals::send(process.as_fd(), signal).with_context(|| format!("container {id}"))
}

fn kill_all(cgroup: &Path, signal: u8) -> Result<()> {
    if signal == 9 {
        return fs::write(cgroup.join("cgroup.kill"), "1").context("kill the cgroup");
    }
    for pid in cgroups::processes(cgroup).context("processes of the cgroup")? {
        let Some(pid) = Pid::from_raw(pid) else { continue };
        // What has ended in between needs no signal.
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = signals::send(process.as_fd(), signal);
        }
    }
    Ok(())
}

/// Freezes or thaws a container.
pub fn freeze(root: &Path, id: &str, frozen: bool) -> Result<()> {
    let container = Container::open(root, id)?;
    match (container.status(), frozen) {
        (Status::Running | Status::Created, true) | (Status::Paused, false) => {}
        (status, _) => bail!("container {id} is {}", status.as_str()),
    }
    let cgroup = &container.record.cgroup;
    let (value, want) = if frozen { ("1", "frozen 1") } else { ("0", "frozen 0") };
    fs::write(cgroup.join("cgroup.freeze"), value).context("freeze the cgroup")?;
    let begun = Instant::now();
    while !fs::read_to_string(cgroup.join("cgroup.events"))?.lines().any(|line| line == want) {
        if begun.elapsed() > PATIENCE {
            bail!("container {id}: its processes are not {}", if frozen { "frozen" } else { "thawed" });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
