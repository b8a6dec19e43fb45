//! Starting a bundle: a child that makes its own surroundings and becomes the program.
//!
//! As for a [`Plan`](crate::plan::Plan), the child is the host's root until everything is mounted. What a container's own root may
//! do with its capabilities hangs on who owns its namespaces, and a bundle may ask for a user namespace and capabilities over
//! the others:
//!
//! * Without a user namespace the child is born into all of them.
//! * With one, network, IPC and UTS are born with it, beforehand. Mounts are made in a namespace of the host's; the last step
//!   takes a copy of it into the user namespace, in which the kernel locks them all: no mask can be taken away again.
//! * The process namespace cannot be born before its first process. So a twin is made early, in the user namespace, as the first
//!   process of its own process namespace, and waits; `/proc` is mounted by a third process, which is in that namespace and
//!   the host's root. The twin goes on with the last steps and becomes the program.

mod copy_up;
mod devices;
mod line;
mod mounts;
mod ready;
mod targets;
mod terminal;
mod twin;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_fence::{
    clone::{Child, Namespaces, spawn, spawn_sibling, unshare},
    exec::Step,
    filter,
    mounts::{Attributes, Propagation, Reach, change},
    process, signals,
};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::{Errno, fcntl_dupfd_cloexec, write},
    mount::{MountPropagationFlags, MoveMountFlags, mount_change, move_mount},
    net::{SocketFlags, acceptfrom_with},
    process::{chdir, chroot, fchdir, setrlimit, setsid, umask},
    system::{setdomainname, sethostname},
    thread::{
        LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
        sched_setaffinity,
    },
};

use self::{
    line::Childs,
    targets::{Links, Missing, target},
    twin::Twin,
};
use super::{
    api, child, hide,
    rights::{enter, oom_score},
    stage::{At, Failure, Of, Stage},
    tree::{copy, put, restrict},
};
use crate::{
    Error,
    bundle::{Access, From, Space, Switch},
};
pub use line::{Line, Word};
pub use ready::{Actor, Ready};

/// What differs from start to start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doors<'a> {
    /// A listening socket at which the child waits before it becomes the program; the connection then has what was the line.
    pub gate: Option<BorrowedFd<'a>>,
    /// A connected socket to which the other side of the terminal is sent.
    pub console: Option<BorrowedFd<'a>>,
    /// Whether the terminal is the container's console, too.
    pub shows_console: bool,
    /// Whether the child waits once everything is mounted.
    pub waits: bool,
}

/// Starts a bundle in a cgroup.
///
/// # Errors
/// [`Error::Clone`] and [`Error::Report`]; everything later is said on the line.
pub fn create(ready: &Ready, cgroup: BorrowedFd<'_>, doors: Doors<'_>) -> Result<(Child, Line), Error> {
    let (ours, childs) = Line::new()?;
    let start = || spawn(ready.own, Some(cgroup), || run(ready, doors, &childs)).map_err(Error::Clone);
    let child = match ready.bundle.spaces.pid.joined() {
        None => start()?,
        // A process namespace takes in children alone, and only this one is meant.
        Some(other) => {
            let failed = |source| Error::UserNamespace { step: "pid", source };
            let processes = ThreadNameSpaceType::PROCESS_ID;
            let own = openat(CWD, c"/proc/self/ns/pid", OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
            move_into_thread_name_spaces(other, processes).map_err(failed)?;
            let child = start();
            move_into_thread_name_spaces(own.as_fd(), processes).map_err(failed)?;
            child?
        }
    };
    Ok((child, ours))
}

/// Starts another process in a container, in its cgroup. `spaces` are those of its first process that this process is not in.
///
/// # Errors
/// [`Error::Clone`] and [`Error::Report`]; everything later is said on the line.
pub fn join(
    actor: &Actor,
    first: BorrowedFd<'_>,
    spaces: ThreadNameSpaceType,
    cgroup: BorrowedFd<'_>,
    doors: Doors<'_>,
) -> Result<(Child, Line), Error> {
    let (ours, childs) = Line::new()?;
    let child = spawn(Namespaces::NONE, Some(cgroup), || {
        let Ok(line) = Childs::new(&childs, actor.process.kept) else { return 127 };
        let joined = enter_all(actor, first, spaces).and_then(|()| {
            let last = || line.again().map_or(127, |line| finish(actor, doors, line));
            // A process namespace takes in children alone; both are children of whoever started this one.
            let twin = spawn_sibling(Namespaces::NONE, last).at(Stage::Join)?;
            line.process(twin.pid)
        });
        match joined {
            Ok(()) => 0,
            Err(failure) => {
                line.failed(failure);
                127
            }
        }
    })
    .map_err(Error::Clone)?;
    Ok((child, ours))
}

fn enter_all(actor: &Actor, first: BorrowedFd<'_>, spaces: ThreadNameSpaceType) -> Result<(), Failure> {
    let proc = api::proc(api::Visible::All).at(Stage::Proc)?;
    actor.inherits(proc.as_fd())?;
    move_into_thread_name_spaces(first, spaces).at(Stage::Join)
}

fn run(ready: &Ready, doors: Doors<'_>, line: &OwnedFd) -> u8 {
    let line = match Childs::new(line, ready.actor.process.kept) {
        Ok(line) => line,
        Err(_) => return 127,
    };
    match set_up(ready, doors, &line) {
        Ok(None) => finish(&ready.actor, doors, line),
        // The twin goes on.
        Ok(Some(())) => 0,
        Err(failure) => {
            line.failed(failure);
            127
        }
    }
}

/// Everything that the host's root does. `Some` if the twin does the rest.
fn set_up(ready: &Ready, doors: Doors<'_>, line: &Childs) -> Result<Option<()>, Failure> {
    let bundle = &ready.bundle;
    umask(Mode::empty());
    let spaces = &bundle.spaces;
    for (space, kind) in [
        (&spaces.net, LinkNameSpaceType::Network),
        (&spaces.ipc, LinkNameSpaceType::InterProcessCommunication),
        (&spaces.uts, LinkNameSpaceType::HostNameAndNISDomainName),
        (&spaces.cgroup, LinkNameSpaceType::ControlGroup),
        (&spaces.time, LinkNameSpaceType::Time),
    ] {
        if let Some(space) = space.joined() {
            move_into_link_name_space(space, Some(kind)).at(Stage::Join)?;
        }
    }
    for born in ready.born() {
        move_into_link_name_space(born, None).at(Stage::Join)?;
    }
    let own = if spaces.cgroup.is_own() { Namespaces::CGROUP } else { Namespaces::NONE };
    unshare(own).at(Stage::Namespaces)?;
    let proc = api::proc(api::Visible::All).at(Stage::Proc)?;
    if let Some(offsets) = &bundle.time_offsets {
        unshare(Namespaces::TIME).at(Stage::Namespaces)?;
        let file = openat(&proc, c"self/timens_offsets", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        file.and_then(|file| write(file, offsets.to_bytes())).at(Stage::Namespaces)?;
    }
    ready.actor.inherits(proc.as_fd())?;
    let twin = match &ready.userns {
        Some(userns) if spaces.pid.is_own() => {
            let twin = Twin::new(userns.as_fd(), line, |line| finish(&ready.actor, doors, line))?;
            line.process(twin.pid())?;
            Some(twin)
        }
        _ => None,
    };
    furnish(ready, doors, line, twin.as_ref())?;
    settings(ready, proc.as_fd())?;
    match twin {
        Some(twin) => twin.go_on().map(Some),
        None => match &ready.userns {
            Some(userns) => {
                enter(userns.as_fd())?;
                unshare(Namespaces::MOUNT).at(Stage::Namespaces).map(|()| None)
            }
            None => Ok(None),
        },
    }
}

/// The container's root and all in it; in the end it is the only one.
fn furnish(ready: &Ready, doors: Doors<'_>, line: &Childs, twin: Option<&Twin>) -> Result<(), Failure> {
    let (bundle, owner) = (&ready.bundle, ready.actor.owner);
    // What the host mounts later may still arrive, nothing of the container's goes out.
    let slave = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    mount_change(c"/", slave).at(Stage::Propagation)?;
    let root = root(ready).at(Stage::RootFolder)?;
    let root = root.as_fd();
    for (item, mount) in bundle.mounts.iter().enumerate() {
        let is_proc = matches!(&mount.from, From::New { kind, .. } if kind.as_c_str() == c"proc");
        match twin {
            Some(twin) if is_proc => twin.beside(line, || mounts::attach(mount, root, owner).of(item))?,
            _ => mounts::attach(mount, root, owner).of(item)?,
        }
    }
    if let Some(devices) = &bundle.devices {
        devices::make(devices, root, owner)?;
    }
    if doors.waits {
        line.furnished()?;
    }
    target(root, &bundle.process.cwd, Links::Followed, Missing::Folder, owner).at(Stage::WorkingDirectory)?;
    hide::seal(root, &bundle.readonly)?;
    hide::mask(root, &bundle.masked)?;
    if bundle.access == Access::ReadOnly {
        restrict(root, Reach::One, Attributes::RDONLY).at(Stage::SealRoot)?;
    }
    match bundle.switch {
        Switch::Pivot => child::pivot(root),
        Switch::Move => over(root),
    }
    .at(Stage::Pivot)?;
    match bundle.spread {
        Some(spread) => change(root, spread.reach, Attributes::NONE, Attributes::NONE, spread.propagation)
            .at(Stage::Propagation),
        None => Ok(()),
    }
}

/// The root folder, mounted on itself: a root has to be a mount.
fn root(ready: &Ready) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = openat(CWD, &ready.bundle.rootfs, flags, Mode::empty())?;
    let tree = copy(place.as_fd(), c"", Reach::Tree)?;
    let private = Propagation::Private;
    change(tree.as_fd(), Reach::One, Attributes::NONE, Attributes::NONE, private).map_err(|e| e.errno())?;
    put(tree.as_fd(), place.as_fd())?;
    Ok(tree)
}

fn over(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    move_mount(root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    chroot(c".")?;
    chdir(c"/")
}

fn settings(ready: &Ready, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    let bundle = &ready.bundle;
    if let Some(name) = &bundle.hostname {
        sethostname(name.to_bytes()).at(Stage::Hostname)?;
    }
    if let Some(name) = &bundle.domainname {
        setdomainname(name.to_bytes()).at(Stage::Domainname)?;
    }
    for (item, (path, value)) in bundle.sysctls.iter().enumerate() {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(proc, path, flags, Mode::empty(), resolve).at(Stage::Setting).of(item)?;
        write(&file, value.to_bytes()).at(Stage::Setting).of(item)?;
    }
    if matches!(bundle.spaces.net, Space::Own) {
        super::network::loopback().at(Stage::Loopback)?;
    }
    Ok(())
}

impl Actor {
    /// What the host's root has to set, and every child gets from its parent.
    fn inherits(&self, proc: BorrowedFd<'_>) -> Result<(), Failure> {
        if let Some(adjustment) = &self.oom_score_adj {
            oom_score(proc, adjustment.to_bytes()).at(Stage::OomScore)?;
        }
        for (item, (resource, limit)) in self.process.limits.iter().enumerate() {
            setrlimit(*resource, *limit).at(Stage::ResourceLimits).of(item)?;
        }
        if let Some(schedule) = self.process.schedule {
            process::schedule(schedule).at(Stage::Schedule)?;
        }
        if let Some(priority) = self.process.io_priority {
            process::io_priority(priority).at(Stage::IoPriority)?;
        }
        if let Some(processors) = &self.process.processors {
            sched_setaffinity(None, processors).at(Stage::Processors)?;
        }
        match self.process.personality {
            Some(personality) => process::personality(personality).at(Stage::Personality),
            None => Ok(()),
        }
    }
}

/// The last steps, in all namespaces of the container.
fn finish(actor: &Actor, doors: Doors<'_>, line: Childs) -> u8 {
    match settle(actor, doors, &line) {
        Ok(None) => become_program(actor, line.into_inner()),
        Ok(Some(gate)) => {
            drop(line);
            become_program(actor, gate)
        }
        Err(failure) => {
            line.failed(failure);
            127
        }
    }
}

/// Becomes everything but the program. `Some` with the connection of whoever opened the gate.
fn settle(actor: &Actor, doors: Doors<'_>, line: &Childs) -> Result<Option<OwnedFd>, Failure> {
    let wanted = &actor.process;
    setsid().at(Stage::Session)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, c"/", flags, Mode::empty()).at(Stage::WorkingDirectory)?;
    if let (Some(size), Some(socket)) = (wanted.terminal, doors.console) {
        let terminal = terminal::open(root.as_fd(), socket, size, actor.user).at(Stage::Terminal)?;
        if doors.shows_console {
            terminal::show(root.as_fd(), terminal.as_fd(), actor.owner).at(Stage::Terminal)?;
        }
    }
    if wanted.notifies {
        let listener = filter::listen(&actor.early, wanted.seccomp_flags).at(Stage::Seccomp)?;
        line.listener(listener.as_fd())?;
    } else if !actor.early.is_empty() {
        filter::install(&actor.early, wanted.seccomp_flags).at(Stage::Seccomp)?;
    }
    actor.rights.take()?;
    child::enter(root.as_fd(), &wanted.cwd).at(Stage::WorkingDirectory)?;
    umask(Mode::from_raw_mode(wanted.umask));
    signals::reset().at(Stage::Signals)?;
    actor.program.find().at(Stage::Exec)?;
    let Some(gate) = doors.gate else { return Ok(None) };
    line.created()?;
    let opened = acceptfrom_with(gate, SocketFlags::CLOEXEC).at(Stage::Line)?.0;
    fcntl_dupfd_cloexec(&opened, line::above(wanted.kept)).at(Stage::Line).map(Some)
}

fn become_program(actor: &Actor, report: OwnedFd) -> ! {
    actor.program.run(report, actor.process.kept, |step, errno| {
        let stage = match step {
            Step::Close => Stage::Descriptors,
            Step::Filter => Stage::Seccomp,
            Step::Exec => Stage::Exec,
        };
        Failure { stage, item: 0, errno }.encode()
    })
}
