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
use oci_spec::runtime::Spec;
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
    if status != Status::Created {
        bail!("container {id} is {}; one that is created can be started", status.as_str());
    }
    let spec = container.config()?.spec;
    open(&container, &spec)?;
    poststart(&container, &spec)
}

/// Lets a container that waits at its gate start its program, and waits until it runs.
pub fn open(container: &Container, spec: &Spec) -> Result<()> {
    if let Some(hooks) = spec.hooks().as_ref().and_then(|hooks| hooks.start_container().as_ref()) {
        let process = container.record.process.and_then(|process| Pid::from_raw(process.pid));
        let (first, spaces) = spaces_of(process.context("the container has no process")?)?;
        let state = container.show(spec, Status::Created);
        hooks::run("startContainer", Some(hooks), &state, Place::Container(first.as_fd(), spaces))?;
    }
    let ended = || format!("container {} has ended", container.id().as_str());
    let mut gate = connect(container.path()).with_context(ended)?;
    fs::remove_file(container.path().join(GATE)).context("remove the gate")?;
    let mut word = [0; 8];
    let mut len = 0;
    // One word, or the end: the program runs.
    while let Some(rest @ [_, ..]) = word.get_mut(len..) {
        match gate.read(rest)? {
            0 => break,
            more => len += more,
        }
    }
    if len > 0 { Err(failure::describe(Failure::decode(word, len)?, spec)) } else { Ok(()) }
}

/// Tells the hooks that its program runs.
pub fn poststart(container: &Container, spec: &Spec) -> Result<()> {
    let hooks = spec.hooks().as_ref().and_then(|hooks| hooks.poststart().as_ref());
    Ok(hooks::run("poststart", hooks, &container.show(spec, Status::Running), Place::Runtime)?)
}

fn connect(folder: &Path) -> std::io::Result<UnixStream> {
    let held = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{GATE}", held.as_raw_fd()))
}

/// Holds a container's first process, and the namespaces of it in which this process is not.
pub fn spaces_of(pid: Pid) -> Result<(OwnedFd, ThreadNameSpaceType)> {
    Ok((pidfd_open(pid, PidfdFlags::empty())?, namespaces::others(pid)?))
}
