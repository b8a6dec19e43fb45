//! The serial console: what the guest printed so far, read from the file that QEMU appends to.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Deadline, Error};

/// Lines of the tail that errors show.
const TAIL_LINES: usize = 60;
/// A guest that prints more has run wild.
const MAX_BYTES: usize = 64 << 20;
/// The panic of a kernel whose timer check met an emulated timer that came too late. Only a busy host under emulation
/// causes it, before the kernel has touched any disk; `no_timer_check` skips the check where we own the command line.
const HOST_FAULTS: [&str; 2] =
    ["8254 timer not connected to IO-APIC", "not syncing: IO-APIC + timer doesn't work"];

/// A console being read.
#[derive(Debug)]
pub struct Console {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
    mark: usize,
}

impl Console {
    /// Follows the file at `path`, which must exist.
    ///
    /// # Errors
    /// [`Error::ReadConsole`].
    pub fn follow(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::ReadConsole { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, bytes: Vec::new(), mark: 0 })
    }

    /// Takes in what was printed since the last look.
    ///
    /// # Errors
    /// [`Error::ReadConsole`]; [`Error::ConsoleFlood`] beyond 64 MiB.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let room = (MAX_BYTES + 1 - self.bytes.len()) as u64;
        (&self.file)
            .take(room)
            .read_to_end(&mut self.bytes)
            .map_err(|source| Error::ReadConsole { path: self.path.clone(), source })?;
        if self.bytes.len() > MAX_BYTES {
            return Err(Error::ConsoleFlood { limit: MAX_BYTES, tail: self.tail() });
        }
        Ok(())
    }

    /// The first complete line after the mark that contains `pattern`, as far as [`refresh`](Self::refresh) has read.
    pub fn find(&self, pattern: &str) -> Option<String> {
        let unread = &self.bytes[self.mark..];
        let complete = unread.iter().rposition(|byte| *byte == b'\n')?;
        text(&unread[..complete]).lines().find(|line| line.contains(pattern)).map(str::to_owned)
    }

    /// Waits until a line contains `pattern` and returns that line. Only what comes after the mark counts.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the tail of the console; what [`refresh`](Self::refresh) says.
    pub fn wait_for(&mut self, pattern: &str, deadline: Deadline) -> Result<String, Error> {
        loop {
            self.refresh()?;
            if let Some(line) = self.find(pattern) {
                return Ok(line);
            }
            if !deadline.pause() {
                return Err(self.timeout(pattern, deadline.waited()));
            }
        }
    }

    /// Sets the mark: what was read so far does not count for later waits.
    pub fn skip(&mut self) {
        self.mark = self.bytes.len();
    }

    /// Everything that was read, without carriage returns.
    pub fn text(&self) -> String {
        text(&self.bytes)
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Whether the kernel died of the host's slowness instead of a fault of its own.
    pub fn blames_host(&self) -> bool {
        let text = self.text();
        text.contains("Kernel panic") && HOST_FAULTS.iter().any(|fault| text.contains(fault))
    }

    pub(crate) fn timeout(&self, pattern: &str, waited: Duration) -> Error {
        Error::Timeout { pattern: pattern.to_owned(), waited, tail: self.tail() }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn console() -> (tempfile::NamedTempFile, Console) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let console = Console::follow(file.path()).unwrap();
        (file, console)
    }

    #[test]
    fn a_line_counts_once_it_is_complete() {
        let (mut file, mut console) = console();
        file.write_all(b"one\r\ntwo: ha").unwrap();
        console.refresh().unwrap();
        assert_eq!(console.find("one").as_deref(), Some("one"));
        assert_eq!(console.find("two"), None);
        file.write_all(b"lf\xff\n").unwrap();
        console.refresh().unwrap();
        assert_eq!(console.find("two").as_deref(), Some("two: half\u{fffd}"));
        console.skip();
        assert_eq!(console.find("two"), None, "behind the mark");
    }

    #[test]
    fn a_wait_sees_what_is_printed_meanwhile() {
        let (mut file, mut console) = console();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            file.write_all(b"now\n").unwrap();
            file
        });
        assert_eq!(console.wait_for("now", Deadline::seconds(20)).unwrap(), "now");
        writer.join().unwrap();
    }

    #[test]
    fn a_timeout_shows_the_tail_and_the_pattern() {
        let (mut file, mut console) = console();
        for line in 0..TAIL_LINES + 5 {
            writeln!(file, "line {line}.").unwrap();
        }
        let error = console.wait_for("never", Deadline::after(Duration::ZERO)).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains("\"never\"") && shown.ends_with("line 64."), "{shown}");
        assert!(shown.contains("line 5.") && !shown.contains("line 4."), "{shown}");
    }

    #[test]
    fn only_the_timer_panic_blames_the_host() {
        let ours = "Kernel panic - not syncing: Attempted to kill init!\n";
        let hosts = "..MP-BIOS bug: 8254 timer not connected to IO-APIC\n";
        let panic = "Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\n";
        for (log, blamed) in [(ours, false), (hosts, false), (panic, true), (&format!("{hosts}{ours}"), true)]
        {
            let (mut file, mut console) = console();
            file.write_all(log.as_bytes()).unwrap();
            console.refresh().unwrap();
            assert_eq!(console.blames_host(), blamed, "{log}");
        }
    }
}
