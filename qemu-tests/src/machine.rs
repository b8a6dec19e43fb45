//! A guest in QEMU: started, watched, ended, and killed when nobody holds it any more.

mod config;
mod hardware;
mod line;

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub use config::{Config, Reset, Writes};
pub use hardware::{Board, Bus, Nic};

use crate::console::Console;
use crate::probe::{self, Accelerator};
use crate::{Deadline, Error, qmp};

/// How long QEMU may take to listen on its monitor, or to end once it said it would.
const QEMU_SECONDS: u64 = 60;

/// How a guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It switched itself off.
    PowerOff,
    /// It asked for a reset; after a panic, too, since guests run with `panic=-1`.
    Reset,
    /// Its watchdog was not fed.
    Watchdog,
    /// The host ended it.
    Host,
    /// QEMU itself failed.
    Qemu(ExitStatus),
}

/// A running guest.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    accelerator: Accelerator,
    run: Run,
    /// Boots that the host may still spoil.
    retries: u8,
}

/// One process of QEMU and the lines to it.
#[derive(Debug)]
struct Run {
    process: Child,
    console: Console,
    monitor: qmp::Client,
    folder: TempDir,
}

impl Machine {
    /// Starts the machine. If the kernel panics because the host is slow, it is started a second time.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Run`], [`Error::NoStart`] and those of the monitor.
    pub fn start(config: Config) -> Result<Self, Error> {
        let accelerator = match config.accelerator {
            Some(accelerator) => accelerator,
            None => probe::accelerator()?,
        };
        if let config::Boot::Uefi { variables } = &config.boot
            && !variables.exists()
        {
            copy(Path::new(config::FIRMWARE_VARIABLES), variables)?;
        }
        let run = Run::start(&config, accelerator)?;
        Ok(Self { config, accelerator, run, retries: 1 })
    }

    /// Waits until a line of the console contains `pattern` and returns that line.
    ///
    /// # Errors
    /// [`Error::Timeout`] or [`Error::Ended`], with the console's tail.
    pub fn wait_for(&mut self, pattern: &str, deadline: Deadline) -> Result<String, Error> {
        loop {
            let ended = self.run.poll()?;
            self.run.console.refresh()?;
            if let Some(line) = self.run.console.find(pattern) {
                return Ok(line);
            }
            if let Some(status) = ended {
                if self.retry()? {
                    continue;
                }
                let (exit, tail) = (self.run.exit(status), self.run.console.tail());
                return Err(Error::Ended { pattern: pattern.to_owned(), exit, tail });
            }
            if !deadline.pause() {
                return Err(self.run.console.timeout(pattern, deadline.waited()));
            }
        }
    }

    /// Waits until the guest has ended and says how.
    ///
    /// # Errors
    /// [`Error::StillRunning`] with the console's tail.
    pub fn wait_exit(&mut self, deadline: Deadline) -> Result<Exit, Error> {
        loop {
            let ended = self.run.poll()?;
            self.run.console.refresh()?;
            if let Some(status) = ended {
                if self.retry()? {
                    continue;
                }
                return Ok(self.run.exit(status));
            }
            if !deadline.pause() {
                let tail = self.run.console.tail();
                return Err(Error::StillRunning { waited: deadline.waited(), tail });
            }
        }
    }

    /// Presses the power button and waits for the end.
    ///
    /// # Errors
    /// Those of the monitor and of [`wait_exit`](Self::wait_exit).
    pub fn power_off(&mut self, deadline: Deadline) -> Result<Exit, Error> {
        self.run.monitor.system_powerdown()?;
        self.wait_exit(deadline)
    }

    /// Cuts the power: what the guest has not written is lost.
    ///
    /// # Errors
    /// [`Error::Run`] if QEMU cannot be waited for.
    pub fn cut_power(mut self) -> Result<(), Error> {
        self.run.end().map(drop).map_err(|source| Error::Run { program: "qemu".into(), source })
    }

    /// The console.
    pub fn console(&mut self) -> &mut Console {
        &mut self.run.console
    }

    /// The monitor.
    pub fn monitor(&mut self) -> &mut qmp::Client {
        &mut self.run.monitor
    }

    /// Where on the host the forwarded port of the guest is. Ask after the first wait: a second start has other ports.
    ///
    /// # Errors
    /// [`Error::NotForwarded`] and those of the monitor.
    pub fn forwarded(&mut self, port: u16) -> Result<SocketAddr, Error> {
        let table = self.run.monitor.human("info usernet")?;
        match host_port(&table, port) {
            Some(found) => Ok((Ipv4Addr::LOCALHOST, found).into()),
            None => Err(Error::NotForwarded { port, table }),
        }
    }

    /// The socket at which the guest's update agent is reached. Ask anew after each wait: a second start has another.
    pub fn operator(&self) -> PathBuf {
        self.run.folder.path().join(config::OPERATOR)
    }

    /// Processor time that QEMU has used so far: the measure that a busy host disturbs least.
    ///
    /// # Errors
    /// [`Error::File`] if the kernel does not tell, as after the end.
    pub fn processor_time(&self) -> Result<Duration, Error> {
        let path = PathBuf::from(format!("/proc/{}/stat", self.run.process.id()));
        fs::read_to_string(&path)
            .and_then(|stat| processor_time(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into()))
            .map_err(|source| Error::File { operation: "read", path, source })
    }

    /// Starts the machine again if the host spoiled this boot for the first time.
    fn retry(&mut self) -> Result<bool, Error> {
        let spoiled = self.retries > 0 && self.run.console.blames_host();
        if spoiled {
            self.retries -= 1;
            eprintln!("the kernel's timer check failed under emulation: booting once more");
            self.run = Run::start(&self.config, self.accelerator)?;
        }
        Ok(spoiled)
    }
}

impl Run {
    fn start(config: &Config, accelerator: Accelerator) -> Result<Self, Error> {
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("coracle-vm-")
            .tempdir_in(&temporary)
            .map_err(|source| Error::File { operation: "create a folder in", path: temporary, source })?;
        let create = |name: &str| {
            let path = folder.path().join(name);
            File::create(&path).map(|file| (file, path.clone())).map_err(|source| Error::File {
                operation: "create",
                path,
                source,
            })
        };
        let (_, console) = create("console")?;
        let (stderr, stderr_path) = create("stderr")?;
        // The guest ends with this process, however that ends.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(config.arguments(folder.path(), accelerator))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|source| Error::Run { program: "setpriv".into(), source })?;
        let connected = connect(&mut process, &folder.path().join("monitor"), &stderr_path)
            .and_then(|monitor| Ok((monitor, Console::follow(&console)?)));
        match connected {
            Ok((monitor, console)) => {
                let mut run = Self { process, console, monitor, folder };
                run.monitor.resume()?;
                Ok(run)
            }
            Err(error) => {
                kill(&mut process).map_err(|source| Error::Run { program: "qemu".into(), source })?;
                Err(error)
            }
        }
    }

    fn poll(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process.try_wait().map_err(|source| Error::Run { program: "qemu".into(), source })
    }

    /// What the monitor's last events say about the end of a process that ended like this.
    fn exit(&mut self, status: ExitStatus) -> Exit {
        let events = self.monitor.all_events(Deadline::seconds(QEMU_SECONDS));
        let watchdog = events.iter().any(|event| event.name == "WATCHDOG");
        let reason =
            events.iter().rev().find(|event| event.name == "SHUTDOWN").and_then(|event| event.text("reason"));
        match reason {
            Some("guest-reset") if watchdog => Exit::Watchdog,
            Some("guest-reset") => Exit::Reset,
            Some("guest-shutdown") => Exit::PowerOff,
            Some("host-qmp-quit" | "host-signal" | "host-qmp-system-reset") => Exit::Host,
            _ => Exit::Qemu(status),
        }
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        kill(&mut self.process)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nothing is left to do about a process that cannot be killed; a dead one is not an error.
        let _ = self.end();
        if std::thread::panicking() {
            // Without it, the tail below is only shorter.
            let _ = self.console.refresh();
            eprintln!("the console of {:?} ends:\n{}", self.folder.path(), self.console.tail());
        }
    }
}

/// Kills without mercy and reaps. Fine on a process that was reaped already.
fn kill(process: &mut Child) -> io::Result<ExitStatus> {
    process.kill()?;
    process.wait()
}

/// Connects to the monitor as soon as QEMU listens. It may listen first and then refuse its own command line.
fn connect(process: &mut Child, socket: &Path, stderr: &Path) -> Result<qmp::Client, Error> {
    let deadline = Deadline::seconds(QEMU_SECONDS);
    loop {
        let failure = match UnixStream::connect(socket) {
            Ok(stream) => match qmp::Client::over(stream) {
                Ok(client) => return Ok(client),
                Err(error) => Some(error),
            },
            Err(_) => None,
        };
        let ended = process.try_wait().is_ok_and(|status| status.is_some());
        if ended || !deadline.pause() {
            let stderr = fs::read(stderr).map_err(|source| Error::File {
                operation: "read",
                path: stderr.to_owned(),
                source,
            })?;
            let stderr = String::from_utf8_lossy(&stderr).into_owned();
            return Err(failure.filter(|_| stderr.is_empty()).unwrap_or(Error::NoStart { stderr }));
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(|source| Error::File {
        operation: "copy",
        path: from.to_owned(),
        source,
    })
}

/// Finds the host's port in the table that `info usernet` prints:
/// `  TCP[HOST_FORWARD]  12   127.0.0.1 34567   10.0.2.15  8080   0   0`.
fn host_port(table: &str, guest: u16) -> Option<u16> {
    table.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["TCP[HOST_FORWARD]", _, _, host, _, port, ..] if port.parse() == Ok(guest) => host.parse().ok(),
            _ => None,
        }
    })
}

/// User and system time from `/proc/PID/stat`, fields 14 and 15 in hundredths of a second; the second field is the name in
/// parentheses, which may itself have any character.
fn processor_time(stat: &str) -> Option<Duration> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(14)? + ticks(15)?) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_ports_are_found_in_the_table_of_qemu() {
        let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[HOST_FORWARD]  14       127.0.0.1 41203       10.0.2.15    80     0     0\r\n  \
            TCP[HOST_FORWARD]  13       127.0.0.1 37001       10.0.2.15  8080     0     0\r\n  \
            TCP[ESTABLISHED]   15       127.0.0.1 37002       10.0.2.15  9090     0     0\r\n";
        assert_eq!(host_port(table, 8080), Some(37001));
        assert_eq!(host_port(table, 80), Some(41203));
        assert_eq!(host_port(table, 9090), None, "a connection is no forwarding");
        assert_eq!(host_port("", 80), None);
    }

    #[test]
    fn processor_time_is_user_and_system_time() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 25 99 99 20 0";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(processor_time("12 (a) S 1"), None);
    }
}
