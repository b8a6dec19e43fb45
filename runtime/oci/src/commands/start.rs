//! `start`.

use std::{
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use anyhow::{Context, Result, bail};
use coracle_runtime::start::Failure;
use rustix::{
    process::{Pid, PidfdFlags, pidfd_open},
    thread::ThreadNameSpaceType,
};

use crate::{
    failure,
    hooks::{self, Place},
    namespaces,
    state::{Container, GATE, Status},
};

/// Opens the gate of a container and waits until its program runs.
pub fn start(root: &Path, id: &str) -> Result<()> {
    let container = Container::open(root, id)?;
    let status = container.status();
    let (Status::Created, Some(process)) = (status, container.record.process) else {
        bail!("container {id} is {}; one that is created can be started", status.as_str());
    };
    let spec = container.config()?.spec;
    let named = spec.hooks().as_ref();
    if let Some(hooks) = named.and_then(|hooks| hooks.start_container().as_ref()) {
        let pid = Pid::from_raw(process.pid).context("process id")?;
        let (first, spaces) = spaces_of(pid)?;
        let state = container.show(&spec, Status::Created);
        hooks::run("startContainer", Some(hooks), &state, Place::Container(first.as_fd(), spaces))?;
    }
    let mut gate = connect(container.path()).with_context(|| format!("container {id} has ended"))?;
    fs::remove_file(container.path().join(GATE)).context("remove the gate")?;
    let mut word = [0; 8];
    let mut len = 0;
    // One word, or the end: the program runs.
    while len < word.len() {
        match gate.read(&mut word[len..])? {
            0 => break,
            more => len += more,
        }
    }
    if len > 0 {
        return Err(failure::describe(Failure::decode(word, len)?, &spec));
    }
    if let Some(hooks) = named.and_then(|hooks| hooks.poststart().as_ref()) {
        hooks::run("poststart", Some(hooks), &container.show(&spec, Status::Running), Place::Runtime)?;
    }
    Ok(())
}

fn connect(folder: &Path) -> std::io::Result<UnixStream> {
    let held = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{GATE}", held.as_raw_fd()))
}

/// Holds a container's first process, and the namespaces of it in which this process is not, but for that of processes: it
/// takes in children alone.
pub fn spaces_of(pid: Pid) -> Result<(OwnedFd, ThreadNameSpaceType)> {
    let first = pidfd_open(pid, PidfdFlags::empty())?;
    let spaces = namespaces::others(pid)?;
    Ok((first, spaces.difference(ThreadNameSpaceType::PROCESS_ID)))
}
