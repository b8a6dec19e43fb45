//! What the host's root, or somebody who would like to be, says to PID 1 at its control socket.
//!
//! Wants the host's processes and all capabilities: the socket is reached through PID 1's root.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Argument of a server that outlives its pod.
pub const APART: &str = "apart";
/// Argument of a process that says one thing at the socket that is its standard input.
pub const SAY: &str = "say";

const SOCKET: &str = "/proc/1/root/run/coracle/control";
/// The host's cgroup of everything.
const EVERYBODY: &str = "/proc/1/root/sys/fs/cgroup/cgroup.procs";
const MAX_ANSWER: usize = 256 << 10;
/// Seconds that an answer may take.
const PATIENCE: i64 = 20;
/// Garbage said over one connection.
const PACKETS: usize = 10;

/// Leaves the pod's cgroup, so that what ends the pod spares this process.
pub fn move_apart() -> io::Result<()> {
    // Only within its own cgroup namespace may a process be moved.
    setns(File::open("/proc/1/ns/cgroup")?, CloneFlags::CLONE_NEWCGROUP)?;
    fs::write(EVERYBODY, "0")
}

/// Says something as a user; the answer, which is empty where the connection was closed.
pub fn say_as(uid: u32, text: &str) -> io::Result<Vec<u8>> {
    let path = Path::new(SOCKET);
    // Whoever it is: the socket's file lets everybody in meanwhile, so that it is PID 1 who has to refuse.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    let named = File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open(path)?;
    let mut command = Command::new("/proc/self/exe");
    let output = command.args([SAY, text]).uid(uid).stdin(Stdio::from(named)).output();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let output = output?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(output.stdout)
}

/// Says it at the socket that is the standard input, and prints the answer.
pub fn say(text: &str) -> io::Result<()> {
    let answer = Connection::new("/proc/self/fd/0")?.ask(text.as_bytes())?;
    io::Write::write_all(&mut io::stdout(), &answer)
}

/// One connection after another, each with a request that is answered.
pub fn visit(times: u64) -> io::Result<()> {
    (0..times).try_for_each(|time| match Connection::new(SOCKET)?.ask(b"status")? {
        answer if answer.starts_with(b"ok\n") => Ok(()),
        answer => Err(io::Error::other(format!("visit {time}: {answer:?}"))),
    })
}

/// Connections with garbage of every length whose answers are not read, some of them kept open until the end.
pub fn flood(connections: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for number in 0..connections {
        let connection = Connection::new(SOCKET)?;
        for packet in 0..PACKETS {
            let garbage = vec![number as u8; 1 << packet];
            match send(connection.0.as_raw_fd(), &garbage, MsgFlags::MSG_NOSIGNAL) {
                // It was closed: there were too many.
                Err(Errno::EPIPE | Errno::ECONNRESET) => break,
                sent => sent.map(drop)?,
            }
        }
        if number % 10 == 0 && kept.len() < 100 {
            kept.push(connection);
        }
    }
    Ok(())
}

struct Connection(OwnedFd);

impl Connection {
    fn new(path: &str) -> io::Result<Self> {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        let patience = TimeVal::seconds(PATIENCE);
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
        setsockopt(&socket, sockopt::SendTimeout, &patience)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Self(socket))
    }

    fn ask(&self, packet: &[u8]) -> io::Result<Vec<u8>> {
        match send(self.0.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EPIPE | Errno::ECONNRESET) => return Ok(Vec::new()),
            sent => sent?,
        };
        let mut answer = vec![0; MAX_ANSWER];
        let len = match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
            Err(Errno::ECONNRESET) => 0,
            len => len?,
        };
        answer.truncate(len);
        Ok(answer)
    }
}
