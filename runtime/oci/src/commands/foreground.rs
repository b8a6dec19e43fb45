//! Waiting for a process as its terminal would: signals are passed on, and its end is this command's.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use coracle_fence::signals;
use coracle_runtime::agent;
use nix::sys::{
    signal::{SigSet, SigmaskHow, Signal, sigprocmask},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, write},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
    stdio::{stdin, stdout},
    termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};

/// Keeps signals for whoever is started next; one that comes too early is not lost, and does not end this process. A program that is
/// started has them as any other.
pub fn hold_signals() -> Result<SignalFd> {
    let mut mask = SigSet::all();
    // These say that this program itself is wrong.
    for own in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
        mask.remove(own);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Waits for the end of a child, and passes signals on to it.
pub fn wait(pid: Pid, terminal: Option<OwnedFd>, signals: &SignalFd) -> Result<ExitCode> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut relay = terminal.map(Relay::new).transpose()?;
    loop {
        let mut polled = vec![
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        if let Some(relay) = &relay {
            polled.extend(relay.polled());
        }
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        drop(polled);
        while let Some(signal) = signals.read_signal()? {
            pass(process.as_fd(), signal.ssi_signo, relay.as_ref())?;
        }
        if let Some(relay) = &mut relay {
            relay.copy(ready.get(2) == Some(&true), ready.get(3) == Some(&true))?;
        }
        if ready.first() == Some(&true) {
            if let Some(relay) = &mut relay {
                relay.rest()?;
            }
            return reap(process.as_fd());
        }
    }
}

fn pass(process: BorrowedFd<'_>, number: u32, relay: Option<&Relay>) -> Result<()> {
    match (number as i32, relay) {
        (libc::SIGCHLD, _) => Ok(()),
        (libc::SIGWINCH, Some(relay)) => relay.resize(),
        (number, _) => match signals::send(process, number as u8) {
            // It has ended.
            Err(error) if error.errno() == Errno::SRCH => Ok(()),
            other => Ok(other?),
        },
    }
}

/// The end of a child, as shells say it.
pub fn reap(process: BorrowedFd<'_>) -> Result<ExitCode> {
    let status = loop {
        match waitid(WaitId::PidFd(process), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            other => break other?.context("no child")?,
        }
    };
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (_, Some(signal)) => 128 + signal,
        _ => bail!("a child that ended in no way"),
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The terminal's other side, as a child sends it.
pub fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let (_, terminal) = agent::receive(socket, &mut [0; 64])?;
    terminal.context("the container has sent no terminal")
}

/// This process's terminal and the container's, each the other's.
struct Relay {
    terminal: File,
    /// How this process's own was, if it has one.
    before: Option<Termios>,
    input: bool,
}

impl Relay {
    fn new(terminal: OwnedFd) -> Result<Self> {
        let before = if isatty(stdin()) { Some(tcgetattr(stdin())?) } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        }
        let relay = Self { terminal: terminal.into(), before, input: true };
        relay.resize()?;
        Ok(relay)
    }

    fn resize(&self) -> Result<()> {
        if self.before.is_some() {
            tcsetwinsize(&self.terminal, tcgetwinsize(stdin())?)?;
        }
        Ok(())
    }

    fn polled(&self) -> Vec<PollFd<'_>> {
        let mut polled = vec![PollFd::from_borrowed_fd(self.terminal.as_fd(), PollFlags::IN)];
        if self.input {
            polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        }
        polled
    }

    fn copy(&mut self, output: bool, input: bool) -> Result<()> {
        let mut bytes = [0; 4096];
        if output {
            match read(&self.terminal, &mut bytes) {
                Ok(len) => all(stdout(), &bytes[..len])?,
                // Nobody has it open any more.
                Err(Errno::IO) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if input && self.input {
            match read(stdin(), &mut bytes)? {
                0 => self.input = false,
                len => all(self.terminal.as_fd(), &bytes[..len])?,
            }
        }
        Ok(())
    }

    /// What was written before the end.
    fn rest(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let mut polled = [PollFd::from_borrowed_fd(self.terminal.as_fd(), PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut polled, Some(&now))? == 0 {
                return Ok(());
            }
            match read(&self.terminal, &mut bytes) {
                Ok(0) | Err(Errno::IO) => return Ok(()),
                Ok(len) => all(stdout(), &bytes[..len])?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is no other way to give it back.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Err(Errno::INTR) => {}
            other => bytes = bytes.get(other?..).unwrap_or_default(),
        }
    }
    Ok(())
}
