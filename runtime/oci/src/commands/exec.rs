//! `exec`.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use coracle_runtime::{
    bundle::{Ids, User},
    plan::CapMask,
    start::bundle::{Actor, Doors, Word, join},
};
use oci_spec::runtime::{Process, Spec};
use rustix::process::Pid;

use super::{create, foreground, notify};
use crate::{
    cli::{Exec, Global},
    config::LONGEST,
    failure, lower, namespaces,
    state::{Container, Status},
};

/// Starts a program in a container; without `detach` its end is waited for.
pub fn exec(global: &Global, how: &Exec, id: &str) -> Result<ExitCode> {
    let signals = if how.detach { None } else { Some(foreground::hold_signals()?) };
    let (pid, terminal) = begin(global, how, id)?;
    if let Some(path) = &how.pid_file {
        create::write_pid(path, pid)?;
    }
    match signals {
        None => Ok(ExitCode::SUCCESS),
        Some(signals) => foreground::wait(pid, terminal, &signals),
    }
}

fn begin(global: &Global, how: &Exec, id: &str) -> Result<(Pid, Option<OwnedFd>)> {
    let container = Container::open(&global.root, id)?;
    let status = container.status();
    match status {
        Status::Running | Status::Created => {}
        Status::Paused if how.ignore_paused => {}
        _ => bail!("container {id} is {}; a program can join one that runs", status.as_str()),
    }
    let identity = container.record.process.context("the container has no process")?;
    let first = identity.hold().context("the container has ended")?;
    let spaces = namespaces::others(Pid::from_raw(identity.pid).context("process id")?)?;
    let spec = container.config()?.spec;
    let named = named(how, &spec)?;
    let mut process = lower::process(&named)?;
    if let Some(linux) = spec.linux() {
        process = lower::filtered(process, linux)?;
    }
    process.kept = how.preserve_fds;
    for name in &how.caps {
        let added = lower::capability(name)?;
        for set in [&mut process.caps.bounding, &mut process.caps.permitted, &mut process.caps.effective] {
            *set = CapMask::new(set.bits() | added.bits())?;
        }
    }
    let console = create::console(process.terminal.is_some(), how.console_socket.as_deref(), !how.detach)?;
    let ids = ids(&spec)?;
    let actor = Actor::new(process, ids.as_ref())?;
    let cgroup = container.cgroup()?.context("the container's cgroup is gone")?;
    let doors = Doors { console: console.as_ref().map(|console| console.socket.as_fd()), ..Doors::default() };
    let (child, line) = join(&actor, first.as_fd(), spaces, cgroup.as_fd(), doors)?;
    // The process may speak before its maker has said who it is.
    let (mut pid, mut listener) = (None, None);
    loop {
        if let (Some(pid), Some(listener)) = (pid, listener.take_if(|_| pid.is_some())) {
            notify::agent(&spec, &container.show(&spec, status), pid, &listener)?;
        }
        match line.next()? {
            Word::Process(twin) => pid = Some(twin),
            Word::Listener(descriptor) => listener = Some(descriptor),
            Word::Failed(failure) => {
                let mut spec = Spec::default();
                spec.set_process(Some(named));
                return Err(failure::describe(failure, &spec));
            }
            Word::End => break,
            Word::Furnished | Word::Created => {}
        }
    }
    foreground::reap(child.pidfd.as_fd())?;
    let pid = pid.context("the program was killed before it ran")?;
    Ok((pid, console.map_or(Ok(None), create::Console::terminal)?))
}

/// The process of a file, or the container's own with what the command line says.
fn named(how: &Exec, spec: &Spec) -> Result<Process> {
    if let Some(path) = &how.process {
        return read(path);
    }
    let mut process = spec.process().clone().context("the container has no process to take after")?;
    process.set_args(Some(how.command.clone()));
    process.set_terminal(Some(how.tty));
    process.set_console_size(None);
    if let Some(cwd) = &how.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(how.env.iter().cloned());
    process.set_env(Some(env));
    if let Some((uid, gid)) = how.user {
        process.user_mut().set_uid(uid);
        process.user_mut().set_gid(gid.unwrap_or(0));
    }
    if !how.groups.is_empty() {
        let mut groups = process.user().additional_gids().clone().unwrap_or_default();
        groups.extend(&how.groups);
        process.user_mut().set_additional_gids(Some(groups));
    }
    if how.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    Ok(process)
}

fn read(path: &Path) -> Result<Process> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(LONGEST as u64).read_to_end(&mut bytes)?;
    serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))
}

fn ids(spec: &Spec) -> Result<Option<Ids>> {
    let Some(linux) = spec.linux() else { return Ok(None) };
    Ok(match lower::user(linux)? {
        User::Host => None,
        User::Own(ids) | User::Joined(_, ids) => Some(ids),
    })
}
