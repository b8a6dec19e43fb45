//! `hooks`: programs of the host's that are told the container's state.
//!
//! A hook has the environment that the configuration gives it and nothing of the container's: what an image says must not come to
//! a program of the host's (CVE-2025-23266).

use std::{
    ffi::CString,
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
    time::{Duration, Instant},
};

use coracle_fence::{
    clone::{Namespaces, spawn},
    exec::Program,
    filter::Filter,
    signals,
};
use oci_spec::runtime::Hook;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, fcntl_dupfd_cloexec},
    pipe::{PipeFlags, pipe_with},
    process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, set_parent_process_death_signal, waitid},
    stdio::dup2_stdin,
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its path is not absolute, or a text of its holds a NUL byte.
    #[error("hooks.{kind}: {}: an absolute path, and no NUL byte in any text", path.display())]
    Invalid {
        /// The kind of hook.
        kind: &'static str,
        /// The hook.
        path: PathBuf,
    },
    /// It was not started.
    #[error("hooks.{kind}: start {}", path.display())]
    Start {
        /// The kind of hook.
        kind: &'static str,
        /// The hook.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// It has failed.
    #[error("hooks.{kind}: {} ended with {end}", path.display())]
    Failed {
        /// The kind of hook.
        kind: &'static str,
        /// The hook.
        path: PathBuf,
        /// How.
        end: String,
    },
    /// It took too long and was killed.
    #[error("hooks.{kind}: {} took longer than {seconds} s", path.display())]
    TimedOut {
        /// The kind of hook.
        kind: &'static str,
        /// The hook.
        path: PathBuf,
        /// How long it may take.
        seconds: u64,
    },
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In the namespaces of the runtime.
    Runtime,
    /// In these namespaces of a container, held by its first process.
    Container(BorrowedFd<'a>, ThreadNameSpaceType),
}

/// Runs hooks of one kind in their order, up to the first that fails.
///
/// # Errors
/// [`Error`].
pub fn run(
    kind: &'static str,
    hooks: Option<&Vec<Hook>>,
    state: &serde_json::Value,
    place: Place<'_>,
) -> Result<(), Error> {
    hooks.into_iter().flatten().try_for_each(|hook| one(kind, hook, state, place))
}

fn one(kind: &'static str, hook: &Hook, state: &serde_json::Value, place: Place<'_>) -> Result<(), Error> {
    let path = hook.path().clone();
    let program = program(hook).ok_or_else(|| Error::Invalid { kind, path: path.clone() })?;
    let failed = |errno: Errno| Error::Start { kind, path: path.clone(), source: errno.into() };
    let (input, told) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (report, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // The child's standard descriptors have the numbers below, and its copy is the only one that stays.
    let mut tell = {
        let low = tell;
        Some(fcntl_dupfd_cloexec(&low, 3).map_err(failed)?)
    };
    let mut told = Some(told);
    let child = spawn(Namespaces::NONE, None, || {
        // Its own copy: who reads to the end would not see it while another has it open.
        drop(told.take());
        match place {
            Place::Runtime => become_hook(&program, tell.take(), input.as_fd()),
            Place::Container(first, spaces) => {
                let inside = move_into_thread_name_spaces(first, spaces).and_then(|()| {
                    let own = || become_hook(&program, tell.take(), input.as_fd());
                    spawn(Namespaces::NONE, None, own).map_err(|error| error.errno())
                });
                match (inside, tell.take()) {
                    // A process namespace takes in children alone: this one ends as that one does.
                    (Ok(inside), tell) => {
                        drop(tell);
                        code(inside.pidfd.as_fd())
                    }
                    (Err(errno), tell) => refuse(tell, errno),
                }
            }
        }
    })
    .map_err(|error| failed(error.errno()))?;
    drop((tell, input));
    let mut why = [0; 8];
    if rustix::io::read(&report, &mut why).map_err(failed)? == why.len() {
        let [a, b, c, d, ..] = why;
        let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
        return Err(failed(Errno::from_raw_os_error(i32::from_le_bytes([a, b, c, d]))));
    }
    // A hook need not read it, and a pipe holds it.
    if let Some(told) = told {
        let _ = File::from(told).write_all(state.to_string().as_bytes());
    }
    let limit = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0);
    if !ended(child.pidfd.as_fd(), limit.map(Duration::from_secs)).map_err(failed)? {
        pidfd_send_signal(&child.pidfd, Signal::KILL).map_err(failed)?;
        let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
        return Err(Error::TimedOut { kind, path, seconds: limit.unwrap_or_default() });
    }
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(failed)?;
    match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(0), _)) => Ok(()),
        Some((Some(code), _)) => Err(Error::Failed { kind, path, end: format!("code {code}") }),
        Some((_, Some(signal))) => Err(Error::Failed { kind, path, end: format!("signal {signal}") }),
        _ => Err(Error::Failed { kind, path, end: "no status".to_owned() }),
    }
}

/// The program itself, which does not outlive whoever waits for it.
fn become_hook(program: &Program, tell: Option<OwnedFd>, input: BorrowedFd<'_>) -> u8 {
    let ready = set_parent_process_death_signal(Some(Signal::KILL))
        .and_then(|()| dup2_stdin(input))
        .and_then(|()| signals::reset().map_err(|error| error.errno()));
    match (ready, tell) {
        (Ok(()), Some(tell)) => program.run(tell, 0, |_, errno| word(errno)),
        (Ok(()), None) => 127,
        (Err(errno), tell) => refuse(tell, errno),
    }
}

fn refuse(tell: Option<OwnedFd>, errno: Errno) -> u8 {
    if let Some(tell) = tell {
        // The reader sees the end of the pipe in any case; there is nobody else to tell.
        let _ = rustix::io::write(&tell, &word(errno));
    }
    127
}

fn code(process: BorrowedFd<'_>) -> u8 {
    loop {
        match waitid(WaitId::PidFd(process), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Ok(Some(status)) => {
                let signal = status.terminating_signal().map(|signal| signal + 128);
                return status
                    .exit_status()
                    .or(signal)
                    .and_then(|code| code.try_into().ok())
                    .unwrap_or(u8::MAX);
            }
            Ok(None) | Err(_) => return u8::MAX,
        }
    }
}

fn word(errno: Errno) -> [u8; 8] {
    let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}

fn program(hook: &Hook) -> Option<Program> {
    let texts = |texts: Option<&Vec<String>>| -> Option<Vec<CString>> {
        texts.into_iter().flatten().map(|text| CString::new(text.as_bytes()).ok()).collect()
    };
    let path = hook.path().is_absolute().then(|| CString::new(hook.path().as_os_str().as_bytes()).ok())??;
    let mut argv = texts(hook.args().as_ref())?;
    if argv.is_empty() {
        argv.push(path.clone());
    }
    Some(Program::new(&[path], &argv, &texts(hook.env().as_ref())?, Filter::default()))
}

/// Waits for the end of a process; whether it came in time.
fn ended(process: BorrowedFd<'_>, limit: Option<Duration>) -> Result<bool, Errno> {
    let begun = Instant::now();
    loop {
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        let left =
            left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match poll(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            other => return other.map(|ready| ready > 0),
        }
    }
}
