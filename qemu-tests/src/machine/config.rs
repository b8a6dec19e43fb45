//! What a machine is made of, as values, and as QEMU's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use coracle_layout::paths;

use super::hardware::{Board, Bus, Nic};
use super::line::{self, Line, file_option};
use crate::probe::Accelerator;

/// Words that every direct boot gets behind its own: the console, a reboot at once on panic, and no timer check, which
/// an emulated processor on a busy host fails.
const DIRECT_WORDS: &str = "console=ttyS0 panic=-1 no_timer_check";
/// The socket of the operator, in the machine's folder.
pub(super) const OPERATOR: &str = "operator";
/// The firmware and its empty variable store, as Debian installs them.
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
pub(super) const FIRMWARE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// How the machine comes to a kernel.
#[derive(Debug, Clone)]
pub(super) enum Boot {
    Direct { kernel: PathBuf, initrd: PathBuf, cmdline: String },
    Uefi { variables: PathBuf },
}

/// What becomes of the guest's writes to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// They go into the file.
    Stay,
    /// They are dropped with the machine.
    Vanish,
}

/// What a guest reaches outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outside {
    Nothing,
    /// The host's loopback interface, as 10.0.2.2.
    Host,
}

/// Who says what firmware boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// QEMU: the disks, in their order.
    Disks,
    /// The firmware's own variables.
    Firmware,
}

/// What a reset, asked for by the guest or done by its watchdog, leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// The machine's end.
    Ends,
    /// The next boot.
    Boots,
}

/// A machine to be started. Unless said otherwise: a PC with 256 MiB, one processor, virtio devices, network, entropy and
/// watchdog, no disk.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) boot: Boot,
    board: Board,
    memory_mib: u32,
    processors: u32,
    bus: Bus,
    disks: Vec<(PathBuf, Writes)>,
    recording: Option<PathBuf>,
    fault: Option<u64>,
    ports: Vec<u16>,
    nic: Option<Nic>,
    outside: Outside,
    order: Order,
    operator: bool,
    watchdog: bool,
    icount: Option<u8>,
    reset: Reset,
    options: Vec<(&'static str, String)>,
    pub(super) accelerator: Option<Accelerator>,
}

impl Config {
    /// Starts a kernel without firmware's help. Console, `panic=-1` and `no_timer_check` are added to its command line.
    pub fn direct(kernel: impl Into<PathBuf>, initrd: impl Into<PathBuf>, cmdline: &str) -> Self {
        let cmdline = format!("{} {DIRECT_WORDS}", cmdline.trim()).trim().to_owned();
        Self::new(Boot::Direct { kernel: kernel.into(), initrd: initrd.into(), cmdline })
    }

    /// Starts the firmware, which looks for a loader on the disks. The file keeps its variables; it is made if missing.
    pub fn uefi(variables: impl Into<PathBuf>) -> Self {
        Self::new(Boot::Uefi { variables: variables.into() })
    }

    fn new(boot: Boot) -> Self {
        Self {
            boot,
            board: Board::Q35,
            memory_mib: 256,
            processors: 1,
            bus: Bus::Virtio,
            disks: Vec::new(),
            recording: None,
            fault: None,
            ports: Vec::new(),
            nic: Some(Nic::Virtio),
            outside: Outside::Nothing,
            order: Order::Disks,
            operator: false,
            watchdog: true,
            icount: None,
            reset: Reset::Ends,
            options: Vec::new(),
            accelerator: None,
        }
    }

    /// Sets the initramfs of a direct boot.
    pub fn initrd(mut self, path: impl Into<PathBuf>) -> Self {
        if let Boot::Direct { initrd, .. } = &mut self.boot {
            *initrd = path.into();
        }
        self
    }

    /// Sets the board. One without PCI has no watchdog.
    pub fn board(self, board: Board) -> Self {
        Self { board, ..self }
    }

    /// Sets the memory.
    pub fn memory(self, mib: u32) -> Self {
        Self { memory_mib: mib, ..self }
    }

    /// Sets the number of processors.
    pub fn processors(self, processors: u32) -> Self {
        Self { processors, ..self }
    }

    /// Sets what disks hang on.
    pub fn bus(self, bus: Bus) -> Self {
        Self { bus, ..self }
    }

    /// Adds a raw disk.
    pub fn disk(mut self, path: impl Into<PathBuf>, writes: Writes) -> Self {
        self.disks.push((path.into(), writes));
        self
    }

    /// Keeps a log of every write to the first disk, see [`writes`](crate::writes), in this file, which must exist.
    pub fn record(self, log: impl Into<PathBuf>) -> Self {
        Self { recording: Some(log.into()), ..self }
    }

    /// Lets every write to the sector of the first disk at this byte fail.
    pub fn fail_writes(self, at: u64) -> Self {
        Self { fault: Some(at), ..self }
    }

    /// Forwards a free port of the host to this TCP port of the guest; see [`Machine::forwarded`](super::Machine::forwarded).
    pub fn forward(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Sets the network card.
    pub fn nic(self, nic: Nic) -> Self {
        Self { nic: Some(nic), ..self }
    }

    /// Leaves out the network card.
    pub fn without_network(self) -> Self {
        Self { nic: None, ..self }
    }

    /// Lets the guest reach what listens on the host's loopback interface, as 10.0.2.2.
    pub fn reach_host(self) -> Self {
        Self { outside: Outside::Host, ..self }
    }

    /// Leaves it to the firmware's variables what is booted, as on a real machine.
    pub fn firmware_decides(self) -> Self {
        Self { order: Order::Firmware, ..self }
    }

    /// Adds the serial port of the update agent; see [`Machine::operator`](super::Machine::operator).
    pub fn operator(self) -> Self {
        Self { operator: true, ..self }
    }

    /// Leaves out the watchdog.
    pub fn without_watchdog(self) -> Self {
        Self { watchdog: false, ..self }
    }

    /// Counts instructions: the guest's clock advances 2^`shift` nanoseconds with each. For measuring, not for speed.
    pub fn icount(self, shift: u8) -> Self {
        Self { icount: Some(shift), ..self }
    }

    /// Says what a reset leads to.
    pub fn on_reset(self, reset: Reset) -> Self {
        Self { reset, ..self }
    }

    /// Adds a device in QEMU's words, as `virtio-keyboard-pci`.
    pub fn device(self, device: &str) -> Self {
        self.option("-device", device)
    }

    /// Adds an option in QEMU's words, as `-machine` and `i8042=off`.
    pub fn option(mut self, option: &'static str, value: &str) -> Self {
        self.options.push((option, value.to_owned()));
        self
    }

    /// Sets the accelerator instead of probing for one.
    pub fn accelerator(self, accelerator: Accelerator) -> Self {
        Self { accelerator: Some(accelerator), ..self }
    }

    /// The command line of QEMU, with console and monitor in `folder`. The machine waits for the monitor's `cont`.
    pub(super) fn arguments(&self, folder: &Path, accelerator: Accelerator) -> Vec<OsString> {
        let mut line = Line::default();
        line.flags("-nodefaults -no-user-config -display none -S -cpu max");
        line.pair("-machine", self.board.name());
        line.pair("-accel", accelerator.name());
        line.pair("-m", format!("{}M", self.memory_mib));
        line.pair("-smp", self.processors.to_string());
        line.pair("-chardev", file_option("file,id=console,path=", &folder.join("console"), ""));
        line.pair("-serial", "chardev:console");
        line.pair("-qmp", file_option("unix:", &folder.join("monitor"), ",server=on,wait=off"));
        line.device(&self.board.virtio("rng"));
        if self.reset == Reset::Ends {
            line.flags("-no-reboot");
        }
        if let Some(shift) = self.icount {
            line.pair("-icount", format!("shift={shift}"));
        }
        if self.watchdog && self.board == Board::Q35 {
            line.device("i6300esb");
            line.pair("-action", "watchdog=reset");
        }
        if self.operator {
            let socket = folder.join(OPERATOR);
            line.pair("-chardev", file_option("socket,id=operator,server=on,wait=off,path=", &socket, ""));
            line.device("virtio-serial-pci");
            line.device(&format!("virtserialport,chardev=operator,name={}", paths::OPERATOR_PORT));
        }
        if let Some(nic) = self.nic {
            self.network_arguments(nic, &mut line);
        }
        self.boot_arguments(&mut line);
        self.disk_arguments(&mut line);
        for (option, value) in &self.options {
            line.pair(option, value);
        }
        line.words
    }

    fn disk_arguments(&self, line: &mut Line) {
        if let Some(controller) = self.bus.controller(self.board).filter(|_| !self.disks.is_empty()) {
            line.device(&controller);
        }
        for (index, (path, writes)) in self.disks.iter().enumerate() {
            let mut recorded = "";
            if let (0, Some(log)) = (index, &self.recording) {
                line.pair("-blockdev", line::recorder(path, log));
                recorded = line::RECORDED_DISK;
            } else if let (0, Some(at)) = (index, self.fault) {
                line.pair("-blockdev", line::faulty(path, at));
            } else {
                let snapshot = if *writes == Writes::Vanish { "on" } else { "off" };
                let options = format!(",if=none,id=disk{index},format=raw,cache=unsafe,snapshot={snapshot}");
                line.pair("-drive", file_option("file=", path, &options));
            }
            // A kernel given directly is itself what is booted first.
            let order = if matches!(self.boot, Boot::Uefi { .. }) && self.order == Order::Disks {
                format!(",bootindex={index}")
            } else {
                String::new()
            };
            line.device(&format!("{}{order}{recorded}", self.bus.disk(self.board, index)));
        }
    }

    /// Unless it was allowed to reach the host, only forwarded ports lead in and nothing leads out.
    fn network_arguments(&self, nic: Nic, line: &mut Line) {
        let restrict = if self.outside == Outside::Nothing { ",restrict=on" } else { "" };
        let mut network = format!("user,id=net0{restrict}");
        for port in &self.ports {
            network += &format!(",hostfwd=tcp:127.0.0.1:0-:{port}");
        }
        line.pair("-netdev", network);
        line.device(&nic.device(self.board));
    }

    fn boot_arguments(&self, line: &mut Line) {
        match &self.boot {
            Boot::Direct { kernel, initrd, cmdline } => {
                line.pair("-kernel", kernel);
                line.pair("-initrd", initrd);
                line.pair("-append", cmdline);
            }
            Boot::Uefi { variables } => {
                line.pair("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}"));
                line.pair("-drive", file_option("if=pflash,unit=1,format=raw,file=", variables, ""));
            }
        }
    }
}

#[cfg(test)]
mod tests;
