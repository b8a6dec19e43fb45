//! What can go wrong while a test boots something.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::Exit;

/// A harness that cannot go on, or a guest that did not do what was waited for.
///
/// Its debug form is the chain of causes in words: that is what a test that returns it prints.
#[derive(thiserror::Error)]
pub enum Error {
    /// A file or folder of the harness itself.
    #[error("{operation} {path:?}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program of the host cannot be started.
    #[error("run {program}")]
    Run {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program of the host failed.
    #[error("{program} ended with {status}: {output}")]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// An initramfs cannot be made.
    #[error("make an initramfs")]
    Initramfs {
        /// Why not.
        source: coracle_uki::initramfs::Error,
    },
    /// The report of a build does not say what is needed.
    #[error("{path:?} lacks {missing}")]
    Release {
        /// The report.
        path: PathBuf,
        /// What it does not say.
        missing: &'static str,
    },
    /// The log of a disk's writes is none.
    #[error("read the log {path:?}")]
    Log {
        /// The log.
        path: PathBuf,
        /// Why not.
        source: crate::writes::Flaw,
    },
    /// A disk has no readable partition table.
    #[error("read the partition table of {path:?}")]
    Table {
        /// The disk.
        path: PathBuf,
        /// Why not.
        source: coracle_gpt::Error,
    },
    /// A disk lacks a partition.
    #[error("disk {path:?} has no partition {label}")]
    NoPartition {
        /// The disk.
        path: PathBuf,
        /// The partition.
        label: &'static str,
    },
    /// QEMU ended before it listened.
    #[error("QEMU did not start: {stderr}")]
    NoStart {
        /// What it said.
        stderr: String,
    },
    /// The console cannot be read.
    #[error("read the console {path:?}")]
    ReadConsole {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The guest printed more than is accepted.
    #[error("the console has more than {limit} bytes and ends:\n{tail}")]
    ConsoleFlood {
        /// What is accepted.
        limit: usize,
        /// Its last lines.
        tail: String,
    },
    /// A line did not come.
    #[error("no line with {pattern:?} within {waited:.1?}; the console ends:\n{tail}")]
    Timeout {
        /// What was waited for.
        pattern: String,
        /// For how long.
        waited: Duration,
        /// The console's last lines.
        tail: String,
    },
    /// The guest ended before a line came.
    #[error("the guest ended ({exit:?}) without a line with {pattern:?}; the console ends:\n{tail}")]
    Ended {
        /// What was waited for.
        pattern: String,
        /// How it ended.
        exit: Exit,
        /// The console's last lines.
        tail: String,
    },
    /// The guest still runs.
    #[error("the guest still runs after {waited:.1?}; the console ends:\n{tail}")]
    StillRunning {
        /// How long its end was waited for.
        waited: Duration,
        /// The console's last lines.
        tail: String,
    },
    /// The monitor cannot be reached.
    #[error("monitor: {command}")]
    Qmp {
        /// What was to be sent.
        command: String,
        /// Why it was not.
        source: io::Error,
    },
    /// QEMU refused a command.
    #[error("monitor: {command} refused: {reason}")]
    QmpRefused {
        /// The command.
        command: String,
        /// QEMU's words.
        reason: String,
    },
    /// QEMU closed the monitor.
    #[error("monitor closed before {awaited}")]
    QmpClosed {
        /// The answer or event that was waited for.
        awaited: String,
    },
    /// The monitor said nothing.
    #[error("monitor: no {awaited} within {waited:.1?}")]
    QmpSilent {
        /// The answer or event that was waited for.
        awaited: String,
        /// For how long.
        waited: Duration,
    },
    /// The port was not forwarded.
    #[error("port {port} of the guest is not forwarded; QEMU says:\n{table}")]
    NotForwarded {
        /// The guest's port.
        port: u16,
        /// QEMU's table of connections.
        table: String,
    },
    /// Nobody answers for the update agent.
    #[error("ask the update agent at {socket:?}")]
    Operator {
        /// The machine's socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The update agent does not do it.
    #[error("the update agent refuses {request:?}: {why}")]
    Refused {
        /// What was asked.
        request: crate::operator::Request,
        /// Its words.
        why: String,
    },
    /// No complete HTTP response.
    #[error("GET http://{address}{path}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
