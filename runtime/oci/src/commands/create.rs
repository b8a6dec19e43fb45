//! `create` and `run`.

use std::{
    ffi::CString,
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use coracle_fence::process;
use coracle_runtime::{
    bundle::{Switch, User},
    cgroup::Cgroup,
    start::bundle::{Doors, Ready, Word, create as begin},
};
use oci_spec::runtime::Spec;
use rustix::{
    io::Errno,
    process::{Pid, set_child_subreaper},
};

use super::{
    foreground, notify,
    start::{self, spaces_of},
};
use crate::{
    cgroups_path::Hierarchy,
    cli::{Create, Global},
    config::{Config, LONGEST},
    failure,
    hooks::{self, Place},
    log, lower,
    resources::{self, apply},
    state::{Container, GATE, Id, Identity, Record, Status},
};

/// Makes a container that waits at its gate.
pub fn create(global: &Global, how: &Create, id: Id) -> Result<()> {
    let made = Made::new(global, how, id, Until::Start)?;
    made.write_pid_file(how)
}

/// Makes a container and starts its program; without `detach` its end is waited for, and it is removed unless `keep`.
pub fn run(global: &Global, how: &Create, detach: bool, keep: bool, id: Id) -> Result<ExitCode> {
    let until = if how.console_socket.is_some() || detach { Until::Created } else { Until::Ended };
    let signals = if detach { None } else { Some(foreground::hold_signals()?) };
    let mut made = Made::new(global, how, id, until)?;
    made.write_pid_file(how)?;
    if made.gate {
        start::open(&made.container, &made.spec)?;
    }
    start::poststart(&made.container, &made.spec)?;
    let Some(signals) = signals else { return Ok(ExitCode::SUCCESS) };
    let code = foreground::wait(made.pid, made.terminal.take(), &signals)?;
    if !keep {
        super::delete::remove(made.container, &made.spec)?;
    }
    Ok(code)
}

/// How long this process stays with the container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// It waits for the start, which is another command's.
    Start,
    /// It runs.
    Created,
    /// It has ended. Its terminal is this process's business.
    Ended,
}

struct Made {
    container: Container,
    spec: Spec,
    pid: Pid,
    /// Whether it waits at its gate.
    gate: bool,
    /// The other side of its terminal, if it came here.
    terminal: Option<OwnedFd>,
}

impl Made {
    fn new(global: &Global, how: &Create, id: Id, until: Until) -> Result<Self> {
        let folder = how.bundle.as_deref().unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).with_context(|| format!("bundle {}", folder.display()))?;
        let bytes = read(&folder.join("config.json"))?;
        let Config { spec, unknown } = Config::parse(&bytes)?;
        for property in unknown {
            log::warn(global, &format!("config.json: {property} is not known and is ignored"));
        }
        let mut bundle = lower::bundle(&spec, &folder)?;
        bundle.process.kept = how.preserve_fds;
        if how.no_pivot {
            bundle.switch = Switch::Move;
        }
        let here = until == Until::Ended;
        let console = console(bundle.process.terminal.is_some(), how.console_socket.as_deref(), here)?;
        let gate = until == Until::Start
            || spec.hooks().as_ref().is_some_and(|hooks| hooks.start_container().is_some());
        // The first process of a user namespace's own process namespace comes here when those who made it are gone.
        if !matches!(bundle.spaces.user, User::Host) {
            set_child_subreaper(Some(rustix::process::getpid()))?;
        }
        let linux = spec.linux().as_ref();
        let named = linux.and_then(|linux| linux.cgroups_path().as_deref()).map(Path::to_str);
        let named = named.map(|path| path.context("linux.cgroupsPath is not UTF-8")).transpose()?;
        let hierarchy = Hierarchy::open()?;
        let path = hierarchy.place(named, id.as_str())?;
        let asked = linux.and_then(|linux| linux.resources().clone()).unwrap_or_default();
        let resources = resources::lower(&asked)?;
        let created = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
        let cgroup = path.as_str().to_owned();
        let record = Record { process: None, bundle: folder, cgroup, resources: None, created };
        let ready = Ready::new(bundle)?;
        if !how.no_new_keyring {
            keyring(id.as_str())?;
        }
        let container = Container::make(&global.root, id, record, &bytes)?;
        // Nobody knows a container before its state is written, and then whatever is left of it is found.
        let make = || apply::create(hierarchy.root.as_fd(), &path, &resources);
        match fill(container, &spec, ready, make, console, gate) {
            Ok((container, pid, terminal)) => Ok(Self { container, spec, pid, gate, terminal }),
            Err((container, error)) => {
                // The first error is the one to report; what stays is found by `delete --force`.
                let _ = super::delete::remove(*container, &spec);
                Err(error)
            }
        }
    }

    fn write_pid_file(&self, how: &Create) -> Result<()> {
        let Some(path) = &how.pid_file else { return Ok(()) };
        write_pid(path, self.pid)
    }
}

/// What a program puts into its session's keyring is not for the caller's; a kernel may have none.
fn keyring(id: &str) -> Result<()> {
    let name = CString::new(format!("_ses.{id}")).context("container id")?;
    match process::new_session_keyring(&name) {
        Err(error) if error.errno() == Errno::NOSYS => Ok(()),
        other => other.context("session keyring"),
    }
}

/// Whole or not at all: others wait for this file.
pub fn write_pid(path: &Path, pid: Pid) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, pid.as_raw_nonzero().to_string())
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("write {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {}", path.display()))?;
    Ok(bytes)
}

/// Where a terminal's other side goes to: the caller's socket, or one whose other end is kept.
pub struct Console {
    /// Given to the child.
    pub socket: OwnedFd,
    /// The other end, if it is this process's.
    pub here: Option<UnixStream>,
}

impl Console {
    /// The terminal's other side, if it comes here.
    pub fn terminal(self) -> Result<Option<OwnedFd>> {
        self.here.map(|socket| foreground::receive(socket.as_fd())).transpose()
    }
}

/// Connects to the caller's socket, or makes a pair.
pub fn console(terminal: bool, socket: Option<&Path>, here: bool) -> Result<Option<Console>> {
    match (terminal, socket) {
        (true, Some(path)) => {
            let socket =
                UnixStream::connect(path).with_context(|| format!("--console-socket {}", path.display()))?;
            Ok(Some(Console { socket: socket.into(), here: None }))
        }
        (true, None) if here => {
            let (ours, childs) = UnixStream::pair()?;
            Ok(Some(Console { socket: childs.into(), here: Some(ours) }))
        }
        (true, None) => {
            bail!("process.terminal: nobody is there to hold the terminal; give --console-socket")
        }
        (false, Some(_)) => {
            bail!("--console-socket: process.terminal is false, so there is no terminal to send")
        }
        (false, None) => Ok(None),
    }
}

type Filled = (Container, Pid, Option<OwnedFd>);

fn fill(
    mut container: Container,
    spec: &Spec,
    ready: Ready,
    cgroup: impl FnOnce() -> Result<Cgroup, resources::Error>,
    console: Option<Console>,
    gate: bool,
) -> Result<Filled, (Box<Container>, anyhow::Error)> {
    match try_fill(&mut container, spec, &ready, cgroup, console, gate) {
        Ok((pid, terminal)) => Ok((container, pid, terminal)),
        Err(error) => Err((Box::new(container), error)),
    }
}

fn try_fill(
    container: &mut Container,
    spec: &Spec,
    ready: &Ready,
    cgroup: impl FnOnce() -> Result<Cgroup, resources::Error>,
    console: Option<Console>,
    gate: bool,
) -> Result<(Pid, Option<OwnedFd>)> {
    let listener = if gate { Some(listen(container.path())?) } else { None };
    let cgroup = cgroup()?;
    let named = spec.hooks().as_ref();
    let waits = named.is_some_and(|hooks| {
        let early = [hooks.prestart(), hooks.create_runtime(), hooks.create_container()];
        early.iter().any(|hooks| hooks.is_some())
    });
    let doors = Doors {
        gate: listener.as_ref().map(AsFd::as_fd),
        console: console.as_ref().map(|console| console.socket.as_fd()),
        shows_console: true,
        waits,
    };
    let (child, line) = begin(ready, cgroup.as_fd(), doors)?;
    let mut pid = child.pid;
    let note = |container: &mut Container, pid| {
        container.record.process = Identity::of(pid);
        container.write()
    };
    loop {
        match line.next()? {
            Word::Process(first) => pid = first,
            Word::Furnished => {
                note(container, pid)?;
                let state = container.show(spec, Status::Creating);
                run_hooks(named, &state, pid)?;
                line.go_on()?;
            }
            Word::Listener(listener) => {
                note(container, pid)?;
                let state = container.show(spec, Status::Creating);
                notify::agent(spec, &state, pid, &listener)?;
            }
            Word::Created => break,
            Word::Failed(failure) => return Err(failure::describe(failure, spec)),
            Word::End if gate => bail!("the container was killed before it was made"),
            Word::End => break,
        }
    }
    if pid != child.pid {
        foreground::reap(child.pidfd.as_fd())?;
    }
    note(container, pid)?;
    Ok((pid, console.map_or(Ok(None), Console::terminal)?))
}

fn run_hooks(named: Option<&oci_spec::runtime::Hooks>, state: &serde_json::Value, pid: Pid) -> Result<()> {
    let Some(named) = named else { return Ok(()) };
    hooks::run("prestart", named.prestart().as_ref(), state, Place::Runtime)?;
    hooks::run("createRuntime", named.create_runtime().as_ref(), state, Place::Runtime)?;
    if named.create_container().is_some() {
        let (first, spaces) = spaces_of(pid)?;
        hooks::run(
            "createContainer",
            named.create_container().as_ref(),
            state,
            Place::Container(first.as_fd(), spaces),
        )?;
    }
    Ok(())
}

/// A socket's address is short, so it is bound below the folder's descriptor.
fn listen(folder: &Path) -> Result<UnixListener> {
    let held = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{GATE}", held.as_raw_fd()));
    listener.with_context(|| format!("listen at {}", folder.join(GATE).display()))
}
