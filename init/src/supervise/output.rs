//! What programs write to standard output and error: line by line into the kernel's log, within a budget.
//!
//! A program that writes more than its budget is not read for the rest of the interval; its pipe fills, and it waits. So a
//! flood slows only the one that makes it, and PID 1 holds at most one line of each program.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Bytes that a program may write in one interval.
const BUDGET: usize = 8 * 1024;
/// Bytes of the longest line; a longer one is broken there.
const MAX_LINE: usize = 512;

/// The reading end of a program's output.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: File,
    line: Vec<u8>,
    left: usize,
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more later.
    Open,
    /// The budget is used up: do not poll until [`Output::refill`].
    Spent,
    /// Every writer is gone.
    Closed,
}

impl Output {
    /// Takes a pipe that does not block.
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: pipe.into(), line: Vec::with_capacity(MAX_LINE), left: BUDGET }
    }

    /// To be polled.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// A new interval.
    pub(crate) fn refill(&mut self) {
        self.left = BUDGET;
    }

    /// Reads what is there and logs whole lines under `name`.
    pub(crate) fn read(&mut self, name: &str) -> Progress {
        let mut buffer = [0; 4096];
        while self.left > 0 {
            let room = self.left.min(buffer.len());
            match self.pipe.read(buffer.get_mut(..room).unwrap_or_default()) {
                Ok(0) => {
                    self.flush(name);
                    return Progress::Closed;
                }
                Ok(len) => {
                    self.left -= len;
                    self.take(name, buffer.get(..len).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Closed,
            }
        }
        Progress::Spent
    }

    fn take(&mut self, name: &str, bytes: &[u8]) {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
            }
            if *byte == b'\n' || self.line.len() >= MAX_LINE {
                self.flush(name);
            }
        }
    }

    fn flush(&mut self, name: &str) {
        if !self.line.is_empty() {
            log(&shown(name, &self.line));
            self.line.clear();
        }
    }
}

/// A line for the kernel's log, with what could steer a terminal taken out.
///
/// What is no text becomes a question mark and not U+FFFD, which has three bytes: of the longest line these would be more
/// than the 1024 bytes that `/dev/kmsg` takes at once, and the whole line would be lost.
fn shown(name: &str, line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let is_foreign = |c: char| c.is_control() && c != '\t' || c == char::REPLACEMENT_CHARACTER;
    let plain: String = text.chars().map(|c| if is_foreign(c) { '?' } else { c }).collect();
    format!("<6>{name}: {plain}\n")
}

fn log(line: &str) {
    if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        // A line that the kernel does not take is lost, as one beyond its buffer is.
        let _ = log.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::{fcntl::OFlag, unistd::pipe2};

    /// What `/dev/kmsg` takes at once: `PRINTKRB_RECORD_MAX` of the kernel.
    const KMSG_LIMIT: usize = 1024;

    #[test]
    fn a_flood_is_read_within_the_budget_and_goes_on_after_a_refill() {
        let (reader, writer) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let mut writer = File::from(writer);
        let mut output = Output::new(reader);
        assert_eq!(output.read("test"), Progress::Open);
        writer.write_all(&[b'x'; BUDGET + 100]).unwrap();
        assert_eq!(output.read("test"), Progress::Spent);
        assert_eq!(output.read("test"), Progress::Spent, "nothing more in this interval");
        assert!(output.line.len() < MAX_LINE);
        output.refill();
        drop(writer);
        assert_eq!(output.read("test"), Progress::Closed);
        assert!(output.line.is_empty(), "the last line needs no end");
    }

    #[test]
    fn a_line_cannot_steer_a_terminal() {
        assert_eq!(shown("web", b"a\x1b[2Jb\tc\r\xff"), "<6>web: a?[2Jb\tc??\n");
    }

    #[test]
    fn the_longest_line_is_taken_whatever_is_in_it() {
        let name = "n".repeat(128);
        for worst in [[0xff; MAX_LINE], [0x1b; MAX_LINE], [b'x'; MAX_LINE]] {
            let line = shown(&name, &worst);
            assert!(line.len() <= KMSG_LIMIT, "{} bytes", line.len());
        }
        assert_eq!(shown("web", "grün €\u{85}".as_bytes()), "<6>web: grün €?\n");
    }
}
