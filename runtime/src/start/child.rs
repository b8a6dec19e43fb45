//! What the child does between clone and exec, in order. Nothing here takes memory.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::{
    clone::{Namespaces, unshare},
    exec::Step,
    mounts::{Attributes, Reach},
    signals,
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fchown, fstat, open, openat},
    io::{Errno, fcntl_dupfd_cloexec},
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    process::{chdir, fchdir, pivot_root, setsid, umask},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    system::sethostname,
};

use super::{
    Start, api, etc, hide,
    layers::{Layers, Roots},
    network,
    prepared::{Kind, Prepared},
    rights::{self, limits, oom_score},
    stage::{At, Failure, Stage},
    tree,
};
use crate::plan::Namespace;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Becomes the program, or reports what failed.
pub(super) fn run(prepared: &Prepared, start: &Start<'_>, report: OwnedFd) -> u8 {
    match set_up(prepared, start) {
        Ok(()) => prepared.program.run(report, 0, |step, errno| {
            let stage = match step {
                Step::Close => Stage::Descriptors,
                Step::Filter => Stage::Seccomp,
                Step::Exec => Stage::Exec,
            };
            Failure { stage, item: 0, errno }.encode()
        }),
        Err(failure) => {
            // The reader sees the end of the pipe in any case; there is nobody else to tell.
            let _ = rustix::io::write(&report, &failure.encode());
            127
        }
    }
}

fn set_up(prepared: &Prepared, start: &Start<'_>) -> Result<(), Failure> {
    stdio(prepared, start).at(Stage::Stdio)?;
    setsid().at(Stage::Session)?;
    umask(Mode::empty());
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change(c"/", private).at(Stage::Propagation)?;
    let proc = procfs(prepared).at(Stage::Proc)?;
    settings(prepared, proc.as_fd())?;
    let root = match &prepared.root {
        Kind::Host => host(prepared, proc.as_fd())?,
        Kind::Image { image, memory, scratch, sealed, terminal_group } => {
            unshare(Namespaces::CGROUP).at(Stage::CgroupNamespace)?;
            let scratch = scratch.as_deref().map(|path| start.scratch.map_or(path, |own| own.as_c_str()));
            let layers = Layers { image, userns: prepared.userns(), memory, scratch, sealed: *sealed };
            let roots = layers.mount()?;
            furnish(prepared, &roots, proc.as_fd(), terminal_group)?;
            if *sealed {
                tree::restrict(roots.root.as_fd(), Reach::One, Attributes::RDONLY).at(Stage::SealRoot)?;
            }
            pivot(roots.root.as_fd()).at(Stage::Pivot)?;
            sethostname(prepared.hostname.to_bytes()).at(Stage::Hostname)?;
            roots.root
        }
    };
    limits().at(Stage::ResourceLimits)?;
    if let Some(userns) = prepared.userns() {
        rights::enter(userns)?;
    }
    prepared.rights.take()?;
    enter(root.as_fd(), &prepared.cwd).at(Stage::WorkingDirectory)?;
    umask(Mode::from_raw_mode(0o022));
    signals::reset().at(Stage::Signals)
}

/// First of all, so that no descriptor opened later has one of the three numbers.
fn stdio(prepared: &Prepared, start: &Start<'_>) -> Result<(), Errno> {
    // The output may itself have one of these numbers.
    let output = fcntl_dupfd_cloexec(start.output, 3)?;
    let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let null = fcntl_dupfd_cloexec(&null, 3)?;
    dup2_stdin(&null)?;
    dup2_stdout(&output)?;
    dup2_stderr(&output)?;
    // Programs that open /dev/stdout by name come to the pipe's own permissions.
    if FileType::from_raw_mode(fstat(&output)?.st_mode) == FileType::Fifo {
        fchown(&output, Some(prepared.user), None)?;
    }
    Ok(())
}

/// A procfs that no image has touched: one of its own for a container, the host's for a service in the host's process namespace.
fn procfs(prepared: &Prepared) -> Result<OwnedFd, Errno> {
    match (&prepared.root, prepared.pid) {
        (_, Namespace::Own) => api::proc(api::Visible::All),
        (Kind::Image { .. }, Namespace::Host) => api::proc(api::Visible::Own),
        (Kind::Host, Namespace::Host) => openat(CWD, c"/proc", FOLDER, Mode::empty()),
    }
}

/// What is set through files of procfs and by sockets, before either can be covered.
fn settings(prepared: &Prepared, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    if prepared.net == Namespace::Own {
        network::loopback().at(Stage::Loopback)?;
        network::open_low_ports_and_ping(proc).at(Stage::Sysctl)?;
    }
    oom_score(proc, prepared.oom_score_adj.to_bytes()).at(Stage::OomScore)
}

/// A service sees the host's root, without what is masked.
fn host(prepared: &Prepared, proc: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let root = openat(CWD, c"/", FOLDER, Mode::empty()).at(Stage::Proc)?;
    if prepared.pid == Namespace::Own {
        tree::put_at(proc, root.as_fd(), c"proc").at(Stage::Proc)?;
    }
    hide::seal(root.as_fd(), &prepared.readonly)?;
    hide::mask(root.as_fd(), &prepared.masked)?;
    Ok(root)
}

/// Mounts all that belongs into a container's root.
fn furnish(
    prepared: &Prepared,
    roots: &Roots,
    proc: BorrowedFd<'_>,
    terminal_group: &CStr,
) -> Result<(), Failure> {
    let (root, owner) = (roots.root.as_fd(), prepared.owner);
    etc::share(root, roots.staging.as_fd(), &prepared.hostname, owner).at(Stage::Etc)?;
    let target = tree::folder(root, c"proc", owner).at(Stage::Proc)?;
    tree::put(proc, target.as_fd()).at(Stage::Proc)?;
    api::sys(root, owner)?;
    let dev = api::dev(root, owner, terminal_group)?;
    let null = openat(&dev, c"null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at(Stage::Dev)?;
    dup2_stdin(&null).at(Stage::Stdio)?;
    hide::seal(root, &prepared.readonly)?;
    hide::mask(root, &prepared.masked)
}

/// The old root ends up on top of the new one's place, and is taken away whole (pivot_root(2), "pivot_root(".", ".")").
pub(super) fn pivot(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    chdir(c"/")
}

/// The image names the folder: a link of the kernel's in it could lead to what the parent has open (CVE-2024-21626).
pub(super) fn enter(root: BorrowedFd<'_>, cwd: &CStr) -> Result<(), Errno> {
    fchdir(tree::linked(root, cwd, OFlags::DIRECTORY)?)
}
