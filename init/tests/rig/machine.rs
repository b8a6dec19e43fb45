//! A machine under QEMU, from power-on to power-off.

use std::{
    env, fs,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use coracle_layout::RootHash;
use coracle_uki::initramfs::Archive;
use tempfile::TempDir;

use super::{Disk, PROBE, program};

/// Emulation on a busy machine is slow; a boot through firmware more so.
const LIMIT: Duration = Duration::from_secs(400);
/// One machine at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A machine to be switched on.
pub struct Machine {
    folder: TempDir,
    arguments: Vec<String>,
    disks: usize,
}

/// The kernel, from the environment.
pub fn kernel() -> PathBuf {
    let path = env::var_os("CORACLE_KERNEL");
    path.expect(
        "CORACLE_KERNEL is not set: it names the kernel to boot, as ./dev kernel --profile virtio prints it",
    )
    .into()
}

/// What a kernel needs besides the root hash.
pub fn command_line(root: &RootHash, more: &str) -> String {
    format!("console=ttyS0 panic=-1 no_timer_check roothash={root} {more}")
}

/// The initramfs, as the UKI holds it.
pub fn initramfs() -> Vec<u8> {
    let mut archive = Archive::new();
    for folder in ["dev", "proc", "sys", "run", "root", "sbin"] {
        archive.directory(folder, 0o755).unwrap();
    }
    archive.char_device("dev/console", 0o600, 5, 1).unwrap();
    archive.file("sbin/init", 0o755, &program(PROBE)).unwrap();
    archive.symlink("init", "/sbin/init").unwrap();
    archive.finish()
}

impl Machine {
    fn new(memory: u32) -> Self {
        let mut machine = Self { folder: tempfile::tempdir().unwrap(), arguments: vec![], disks: 0 };
        machine.add(&["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", &memory.to_string()]);
        machine.add(&["-display", "none", "-monitor", "none", "-serial", "stdio", "-net", "none"]);
        machine
    }

    /// A machine that starts the kernel itself and ends at its first reboot.
    pub fn direct(root: &RootHash, more: &str) -> Self {
        let mut machine = Self::new(128);
        let initramfs = machine.folder.path().join("initramfs");
        fs::write(&initramfs, super::machine::initramfs()).unwrap();
        let kernel = kernel();
        machine.add(&[
            "-no-reboot",
            "-kernel",
            kernel.to_str().unwrap(),
            "-initrd",
            initramfs.to_str().unwrap(),
        ]);
        machine.add(&["-append", &command_line(root, more)]);
        machine
    }

    /// A machine with UEFI firmware, which starts what is on its first disk, after each reboot anew.
    pub fn uefi() -> Self {
        let mut machine = Self::new(384);
        let variables = machine.folder.path().join("variables");
        fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
        machine
            .add(&["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"]);
        machine.add(&["-drive", &format!("if=pflash,format=raw,unit=1,file={}", variables.display())]);
        machine
    }

    pub fn add(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// Attaches the next disk: `/dev/vda`, `/dev/vdb`, ...
    pub fn disk(mut self, disk: &Disk) -> Self {
        let id = format!("d{}", self.disks);
        let path = disk.path().display();
        self.add(&["-drive", &format!("if=none,id={id},format=raw,cache=unsafe,file={path}")]);
        self.add(&["-device", &format!("virtio-blk-pci,drive={id},bootindex={}", self.disks + 1)]);
        self.disks += 1;
        self
    }

    /// Switches it on, waits until it is off, and gives what it said.
    pub fn run(self) -> String {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new("qemu-system-x86_64")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qemu-system-x86_64 does not start");
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let console = thread::spawn(move || {
            let mut bytes = vec![];
            out.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap()
        });
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("not off after {LIMIT:?}; it said:\n{}", console.join().unwrap());
            }
            thread::sleep(Duration::from_millis(50));
        };
        let mut complaint = String::new();
        err.read_to_string(&mut complaint).unwrap();
        let said = console.join().unwrap();
        assert!(status.success(), "qemu: {status}: {complaint}\n{said}");
        said
    }
}
