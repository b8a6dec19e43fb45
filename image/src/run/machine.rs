//! What a machine is made of, as values, and as QEMU's command line. Nothing here opens a file or starts a program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use coracle_layout::paths;

use super::values::{Forward, Memory};

/// The program.
pub const QEMU: &str = "qemu-system-x86_64";

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accelerator {
    /// Its name on QEMU's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// How the machine comes to a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// QEMU loads it.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// Stage 1.
        initrd: PathBuf,
        /// The command line.
        cmdline: String,
    },
    /// UEFI firmware looks for a boot manager on the disk.
    Uefi {
        /// The firmware, read only.
        code: PathBuf,
        /// Its variables, written by the guest.
        variables: PathBuf,
    },
}

/// What becomes of the guest's writes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// They go into the file.
    Stay,
    /// They are dropped when QEMU ends.
    Vanish,
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// QEMU's name of its format; named, so that no content makes QEMU take it for another.
    pub driver: &'static str,
    /// What becomes of writes.
    pub writes: Writes,
}

/// A machine: q35 with a disk, network, entropy and a watchdog, its serial console on the terminal.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What runs its instructions.
    pub accelerator: Accelerator,
    /// Its memory.
    pub memory: Memory,
    /// Its processors.
    pub processors: u32,
    /// How it boots.
    pub boot: Boot,
    /// What it boots from.
    pub disk: Disk,
    /// TCP ports that lead in.
    pub forwards: Vec<Forward>,
    /// The socket at which its update agent is reached.
    pub control: Option<PathBuf>,
}

impl Machine {
    /// The arguments behind [`QEMU`]. A reset, also the watchdog's, leads to the next boot.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut line = Line::default();
        line.flags("-nodefaults -no-user-config -display none -machine q35 -cpu max");
        line.pair("-accel", self.accelerator.name());
        line.pair("-m", format!("{}M", self.memory.mib()));
        line.pair("-smp", self.processors.to_string());
        // Console and monitor share the terminal; Ctrl-C goes to the guest.
        line.pair("-serial", "mon:stdio");
        line.pair("-device", "virtio-rng-pci");
        line.pair("-device", "i6300esb");
        line.pair("-action", "watchdog=reset");
        if let Some(socket) = &self.control {
            line.pair("-chardev", with_path("socket,id=control,server=on,wait=off,path=", socket, ""));
            line.pair("-device", "virtio-serial-pci");
            line.pair("-device", format!("virtserialport,chardev=control,name={}", paths::OPERATOR_PORT));
        }
        self.network(&mut line);
        self.boot(&mut line);
        let Disk { path, driver, writes } = &self.disk;
        let snapshot = if *writes == Writes::Vanish { "on" } else { "off" };
        let options = format!(",if=none,id=disk,format={driver},snapshot={snapshot}");
        line.pair("-drive", with_path("file=", path, &options));
        // The first place is taken by a kernel that QEMU loads itself.
        line.pair("-device", "virtio-blk-pci,drive=disk,bootindex=1");
        line.0
    }

    fn network(&self, line: &mut Line) {
        let rules = self
            .forwards
            .iter()
            .map(|rule| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", rule.host(), rule.guest()));
        line.pair("-netdev", format!("user,id=net{}", rules.collect::<String>()));
        // Without its option ROM: nothing is booted from the network.
        line.pair("-device", "virtio-net-pci,netdev=net,romfile=");
    }

    fn boot(&self, line: &mut Line) {
        match &self.boot {
            Boot::Direct { kernel, initrd, cmdline } => {
                line.pair("-kernel", kernel);
                line.pair("-initrd", initrd);
                line.pair("-append", cmdline);
            }
            Boot::Uefi { code, variables } => {
                line.pair("-drive", with_path("if=pflash,unit=0,format=raw,readonly=on,file=", code, ""));
                line.pair("-drive", with_path("if=pflash,unit=1,format=raw,file=", variables, ""));
            }
        }
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flags(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.0.extend([option.into(), value.into()]);
    }
}

/// A path inside a list of options: QEMU reads a doubled comma as one.
fn with_path(before: &str, path: &Path, after: &str) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let mut bytes = before.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    bytes.extend(after.as_bytes());
    OsString::from_vec(bytes)
}

/// The command line as a shell would take it.
pub fn shown(arguments: &[OsString]) -> String {
    let quoted = |word: &OsString| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.into_owned(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    };
    std::iter::once(QEMU.to_owned()).chain(arguments.iter().map(quoted)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(boot: Boot) -> Machine {
        Machine {
            accelerator: Accelerator::Tcg,
            memory: "512M".parse().unwrap(),
            processors: 2,
            boot,
            disk: Disk { path: "/a, b".into(), driver: "qcow2", writes: Writes::Vanish },
            forwards: vec!["8080:80".parse().unwrap(), "8443:443".parse().unwrap()],
            control: None,
        }
    }

    #[test]
    fn a_machine_becomes_a_command_line() {
        let direct =
            machine(Boot::Direct { kernel: "/k".into(), initrd: "/i".into(), cmdline: "a=1 b".into() });
        let want = "qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 -cpu max -accel tcg -m 512M \
            -smp 2 -serial mon:stdio -device virtio-rng-pci -device i6300esb -action watchdog=reset \
            -netdev user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:8443-:443 \
            -device virtio-net-pci,netdev=net,romfile= -kernel /k -initrd /i -append 'a=1 b' \
            -drive 'file=/a,, b,if=none,id=disk,format=qcow2,snapshot=on' -device virtio-blk-pci,drive=disk,bootindex=1";
        assert_eq!(shown(&direct.arguments()), want);
    }

    #[test]
    fn firmware_and_kept_writes() {
        let mut uefi = machine(Boot::Uefi { code: "/c,d".into(), variables: "/v".into() });
        (uefi.disk.writes, uefi.accelerator) = (Writes::Stay, Accelerator::Kvm);
        uefi.control = Some("/s".into());
        let line = shown(&uefi.arguments());
        for part in [
            "-chardev socket,id=control,server=on,wait=off,path=/s -device virtio-serial-pci \
             -device virtserialport,chardev=control,name=org.coracle.update",
            "-drive if=pflash,unit=0,format=raw,readonly=on,file=/c,,d -drive if=pflash,unit=1,format=raw,file=/v ",
            "snapshot=off",
            "-accel kvm",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("-kernel") && !line.contains("-no-reboot"), "{line}");
    }

    #[test]
    fn a_shell_reads_back_what_is_shown() {
        let words: Vec<OsString> =
            ["it's", "", "a b", "$x", "\"q\"", "plain=1,2"].map(OsString::from).to_vec();
        let script = format!("set -- {}; shift; printf '%s\\n' \"$@\"", shown(&words));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "it's\n\na b\n$x\n\"q\"\nplain=1,2\n");
    }
}
