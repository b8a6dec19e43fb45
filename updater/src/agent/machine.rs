//! The machine as it runs: what stage 1 found, which partition is where, what the image says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_layout::{RootHash, Slot, cmdline, cmdline::Cmdline, pairs, partition::Partition, paths};
use coracle_rollout::machine::{Entry, Running};
use coracle_rollout::{Epoch, Settings, System};
use coracle_uki::Assessment;

use super::{Error, esp::Esp, firmware};

/// The unit of sysfs, whatever the blocks of the disk.
const UNIT: u64 = 512;
/// The fact that is missing where no boot manager started what runs.
const ENTRY: &str = "entry";

/// Where a partition is, in the disk's own blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its number, from 1.
    pub number: u32,
    pub first_lba: u64,
    pub blocks: u64,
}

/// The image's settings, and what trust begins with.
#[derive(Debug)]
pub(crate) struct Image {
    pub settings: Settings,
    /// Root metadata.
    pub root: Vec<u8>,
}

/// The machine as it runs.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub running: Running,
    /// How its boot entry stood when it was started, or the one that was before it, in vain; good, if the boot manager started none.
    pub entry: Entry,
    /// How long a boot may take to prove itself.
    pub deadline: Duration,
    /// The disk's name, such as `vda`.
    disk: String,
    sys: PathBuf,
    dev: PathBuf,
}

impl Image {
    /// Reads the folder that the builder made.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(Error::file("read", path))
        };
        let settings = Settings::parse(&read(paths::UPDATE_SETTINGS)?).map_err(Error::Settings)?;
        Ok(Self { settings, root: read(paths::UPDATE_ROOT)? })
    }
}

impl Machine {
    /// What is below `/`.
    pub fn read(settings: &Settings) -> Result<Self, Error> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::file("read", path));
        let line = read("/proc/cmdline")?;
        let line = Cmdline::new(&line);
        let root = line.value(cmdline::ROOT_HASH).and_then(|hash| hash.parse().ok());
        let seconds = line.value(cmdline::DEADLINE).and_then(|seconds| seconds.parse().ok());
        let deadline = seconds.map_or(cmdline::DEFAULT_DEADLINE, Duration::from_secs);
        let stage1 = read(paths::STAGE1_FACTS)?;
        let machine = Self::from_facts(&stage1, &read("/usr/lib/os-release")?, root, settings.epoch)?;
        if told(&stage1).is_none() && !machine.is_fallback()? {
            return Err(Error::Fact { name: ENTRY });
        }
        Ok(Self { deadline, ..machine })
    }

    /// Whether the firmware passed the boot manager over, and started a copy of what was blessed.
    fn is_fallback(&self) -> Result<bool, Error> {
        Ok(firmware::is_there()? && Esp::look(self)?.was_blessed(&self.running)?)
    }

    fn from_facts(
        stage1: &str,
        os_release: &str,
        root: Option<RootHash>,
        epoch: Epoch,
    ) -> Result<Self, Error> {
        let (facts, release) = (pairs(stage1), pairs(os_release));
        let fact = |name| facts.get(name).map(String::as_str).ok_or(Error::Fact { name });
        let slot = match fact("slot")? {
            "A" => Slot::A,
            "B" => Slot::B,
            _ => return Err(Error::Fact { name: "slot" }),
        };
        let version = release.get("IMAGE_VERSION").and_then(|version| version.parse().ok());
        let version = version.ok_or(Error::Fact { name: "IMAGE_VERSION" })?;
        let system = System { version, root: root.ok_or(Error::Fact { name: cmdline::ROOT_HASH })? };
        let disk = fact("disk")?;
        Ok(Self {
            running: Running { slot, system, epoch },
            entry: told(stage1).unwrap_or(Entry::Good),
            deadline: cmdline::DEFAULT_DEADLINE,
            disk: disk.strip_prefix("/dev/").unwrap_or(disk).to_owned(),
            sys: "/sys/class/block".into(),
            dev: "/dev".into(),
        })
    }

    /// The node of a partition, by its label among the partitions of the disk that this system was booted from.
    pub fn node(&self, which: Partition) -> Result<PathBuf, Error> {
        let folder = self.sys.join(&self.disk);
        let label = format!("PARTNAME={}", which.label());
        for entry in fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
            let entry = entry.map_err(Error::file("list", &folder))?;
            let Ok(uevent) = fs::read_to_string(entry.path().join("uevent")) else { continue };
            if uevent.lines().any(|line| line == label) {
                return Ok(self.dev.join(entry.file_name()));
            }
        }
        Err(Error::NoPartition { disk: self.disk.clone(), label: which.label() })
    }

    /// The size of a partition, in bytes.
    pub fn size(&self, which: Partition) -> Result<u64, Error> {
        let name = self.node(which)?;
        Ok(self.number(Path::new(name.file_name().unwrap_or_default()), "size")?.saturating_mul(UNIT))
    }

    /// Where a partition is, in the disk's own blocks.
    pub fn place(&self, which: Partition) -> Result<Place, Error> {
        let node = self.node(which)?;
        let name = Path::new(node.file_name().unwrap_or_default());
        let block = self.number(Path::new(&self.disk), "queue/logical_block_size")?.max(UNIT);
        let blocks = |units: u64| units.saturating_mul(UNIT) / block;
        Ok(Place {
            number: u32::try_from(self.number(name, "partition")?).unwrap_or(u32::MAX),
            first_lba: blocks(self.number(name, "start")?),
            blocks: blocks(self.number(name, "size")?),
        })
    }

    fn number(&self, device: &Path, file: &'static str) -> Result<u64, Error> {
        let path = self.sys.join(device).join(file);
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        text.trim().parse().map_err(|_| Error::Fact { name: file })
    }
}

/// How the boot entry stood that the boot manager started, if it started one.
fn told(stage1: &str) -> Option<Entry> {
    Some(match pairs(stage1).get(ENTRY)? {
        word if word == Assessment::Good.word() => Entry::Good,
        word if word == Assessment::Indeterminate.word() => Entry::OnTrial,
        _ => Entry::Exhausted,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn read(stage1: &str) -> Result<Machine, Error> {
        let root = Some(RootHash::new([5; 32]));
        Machine::from_facts(stage1, "ID=coracle\nIMAGE_VERSION=\"1.2.0\"\n", root, Epoch(3))
    }

    #[test]
    fn a_machine_knows_what_it_runs() {
        let machine = read("slot=B\ndisk=/dev/vda\nentry=indeterminate\n").unwrap();
        assert_eq!(machine.running.slot, Slot::B);
        assert_eq!(machine.running.system.version.to_string(), "1.2.0");
        assert_eq!((machine.entry, machine.disk.as_str()), (Entry::OnTrial, "vda"));
        // Booted without a boot manager: nothing counts.
        let alone = "slot=A\ndisk=/dev/vda\n";
        assert_eq!((told(alone), read(alone).unwrap().entry), (None, Entry::Good));
        assert!(matches!(read("slot=C\ndisk=/dev/vda\nentry=good\n"), Err(Error::Fact { name: "slot" })));
    }

    #[test]
    fn partitions_are_those_of_the_booted_disk() {
        let folder = tempfile::tempdir().unwrap();
        for (disk, part, label) in
            [("vda", "vda1", "esp"), ("vda", "vda4", "root-b"), ("vdb", "vdb4", "root-b")]
        {
            let path = folder.path().join(disk).join(part);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("uevent"), format!("DEVNAME={part}\nPARTNAME={label}\n")).unwrap();
        }
        let mut machine = read("slot=A\ndisk=/dev/vda\nentry=good\n").unwrap();
        machine.sys = folder.path().to_owned();
        assert_eq!(machine.node(Partition::Root(Slot::B)).unwrap(), Path::new("/dev/vda4"));
        let missing = machine.node(Partition::Verity(Slot::B)).unwrap_err();
        assert_eq!(missing.to_string(), "disk vda has no partition verity-b");
    }
}
