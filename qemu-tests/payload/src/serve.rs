//! The server: one request at a time, in one thread, so that a container out of processes still answers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::request::Request;
use crate::{facts, faults, orders};

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_REQUEST: usize = 4096;
const MAX_FILE: u64 = 64 << 10;

/// A status and a body.
type Answer = (u16, Vec<u8>);

/// What is done once the answer is out.
enum After {
    Nothing,
    Exit(i32),
    ExhaustMemory(u64),
    CrashInit,
    KillAll,
    Flood(u64),
}

struct Server {
    /// Whether SIGTERM is ignored.
    stubborn: bool,
    /// Memory that a limited exhaustion holds.
    held: Vec<Vec<u8>>,
}

/// Serves until SIGTERM. Reaps, since it may be PID 1 of its container.
pub fn run(port: u16) -> io::Result<()> {
    let mut awaited = SigSet::empty();
    awaited.add(Signal::SIGTERM);
    awaited.add(Signal::SIGCHLD);
    awaited.thread_block()?;
    let signals = SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    // The line that tests wait for; its port matters where 0 was asked for.
    println!("payload: serving port={}", listener.local_addr()?.port());
    let mut server = Server { stubborn: false, held: Vec::new() };
    loop {
        let mut sources = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let asked = sources[1].any() == Some(true);
        while let Some(signal) = signals.read_signal()? {
            if signal.ssi_signo == Signal::SIGTERM as u32 && !server.stubborn {
                println!("payload: told to end");
                return Ok(());
            }
        }
        reap();
        if asked && let Ok((stream, _)) = listener.accept() {
            // A client that breaks off is its own affair.
            let _ = server.converse(stream);
        }
    }
}

fn reap() {
    while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
}

impl Server {
    fn converse(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut head = Vec::new();
        let mut chunk = [0; 512];
        while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < MAX_REQUEST {
            match stream.read(&mut chunk)? {
                0 => break,
                len => head.extend_from_slice(&chunk[..len]),
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let ((status, body), after) = match head.lines().next().and_then(Request::parse) {
            Some(request) => self.answer(request),
            None => ((400, b"only GET is served\n".to_vec()), After::Nothing),
        };
        let mut response =
            format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())
                .into_bytes();
        response.extend(body);
        stream.write_all(&response)?;
        drop(stream);
        self.act(after)
    }

    fn answer(&mut self, request: Request<'_>) -> (Answer, After) {
        let later = |text: &str, after| ((200, format!("{text}\n").into_bytes()), after);
        let now = |result: io::Result<Vec<u8>>, failure| match result {
            Ok(body) => ((200, body), After::Nothing),
            Err(error) => ((failure, error.to_string().into_bytes()), After::Nothing),
        };
        match request.path {
            "/" => later("hello from coracle-payload", After::Nothing),
            "/facts" => now(Ok(facts::own().to_string().into_bytes()), 500),
            "/processes" => now(Ok(facts::processes().to_string().into_bytes()), 500),
            "/read" => now(read(request.text("path").unwrap_or_default()), 404),
            "/write" => {
                let path = request.text("path").unwrap_or("/written");
                let bytes = request.number("bytes").unwrap_or(1 << 20);
                now(faults::write_file(path, bytes).map(|()| b"written\n".to_vec()), 507)
            }
            "/node" => {
                let path = request.text("path").unwrap_or_default();
                let number = |name| request.number(name).unwrap_or_default();
                let made = faults::make_node(path, number("major"), number("minor"));
                now(made.map(|()| b"made\n".to_vec()), 507)
            }
            "/set" => {
                let path = request.text("path").unwrap_or_default();
                let value = request.text("value").unwrap_or_default();
                now(std::fs::write(path, value).map(|()| b"set\n".to_vec()), 507)
            }
            "/freeze-init" => now(faults::freeze_init().map(|()| b"frozen\n".to_vec()), 500),
            "/orphans" => {
                let count = request.number("n").unwrap_or(1000);
                let orphans = faults::orphans(count, request.number("batch").unwrap_or(1000));
                now(orphans.map(|()| b"left behind\n".to_vec()), 500)
            }
            "/fork-bomb" => {
                let bomb = faults::start_bomb(request.number("seconds").unwrap_or(10));
                now(bomb.map(|()| b"started\n".to_vec()), 500)
            }
            "/apart" => {
                let port = request.number("port").unwrap_or_default().to_string();
                now(faults::start(&[orders::APART, &port]).map(|()| b"started\n".to_vec()), 500)
            }
            "/say" => {
                let uid = request.number("uid").unwrap_or_default() as u32;
                now(orders::say_as(uid, request.text("text").unwrap_or_default()), 500)
            }
            "/visit" => {
                let times = request.number("n").unwrap_or(1);
                now(orders::visit(times).map(|()| b"visited\n".to_vec()), 500)
            }
            "/flood-orders" => {
                let connections = request.number("n").unwrap_or(100);
                now(orders::flood(connections).map(|()| b"flooded\n".to_vec()), 500)
            }
            "/stubborn" => {
                self.stubborn = true;
                later("stubborn", After::Nothing)
            }
            "/exhaust-memory" => {
                later("taking memory", After::ExhaustMemory(request.number("mib").unwrap_or(u64::MAX)))
            }
            "/crash-init" => later("crashing", After::CrashInit),
            "/kill-all" => later("killing", After::KillAll),
            "/flood-output" => later("flooding", After::Flood(request.number("mib").unwrap_or(64))),
            "/exit" => later("ending", After::Exit(request.number("code").unwrap_or(0) as i32)),
            _ => ((404, b"no such path\n".to_vec()), After::Nothing),
        }
    }

    fn act(&mut self, after: After) -> io::Result<()> {
        match after {
            After::Nothing => Ok(()),
            After::Exit(code) => std::process::exit(code),
            After::ExhaustMemory(mib) => {
                self.held = faults::exhaust_memory(mib);
                Ok(())
            }
            After::CrashInit => faults::crash_init(),
            After::KillAll => faults::kill_all(),
            After::Flood(mib) => faults::flood(&mut io::stdout().lock(), mib),
        }
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
