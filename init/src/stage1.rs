//! Stage 1: the program in the UKI's initramfs until the verified root is open.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | mounts `/proc`, `/sys`, `/dev`, `/run`, and where they are `efivarfs` and `pstore` | nothing happened |
//! | 2 | starts the watchdog | nothing happened |
//! | 3 | waits for the disk, `rootwait=` seconds at most | nothing happened |
//! | 4 | counts what the last attempt left as evidence, counts this attempt, writes the boot record | counted or not: the record alternates between two sectors |
//! | 5 | a rotten entry without a counter: renames it to exhausted if another is good, and reboots | the old name or the new |
//! | 6 | opens the slot whose tree has the root hash of the command line, mounts it | an attempt without evidence |
//! | 7 | leaves its facts in `/run/coracle/stage1`, empties the initramfs, makes the root `/` | the same |
//!
//! What fails is said on the console and in the kernel's log, written into the boot record as evidence, and ends in a reboot.
//!
//! It hands over with `/proc`, `/sys`, `/dev` and `/run` mounted, with what is mounted below them. It leaves the records in
//! pstore for PID 1 to save, and never changes a partition but the boot record and, in step 5, the ESP.

mod entry;
mod error;
mod evidence;
mod facts;
mod find;
mod handover;
mod loader;
mod root;
mod slots;

use std::{fs, path::Path, thread, time::Duration};

use coracle_gpt::Side;
use coracle_layout::{
    RootHash,
    boot_record::Evidence,
    cmdline::{self, Cmdline},
    partition::Partition,
};

use crate::{
    api::{self, By},
    clock,
    disk::Devices,
    log::{Chain, error, info, warning},
    record::Record,
    watchdog,
};
use error::Error;
use facts::Facts;
use loader::Loader;

/// How long to wait for the disk unless the command line says otherwise.
const DISK_WAIT: Duration = Duration::from_secs(30);
/// The longest that a failure is shown: well within the watchdog's time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Not even the reboot came about. Should PID 1 end now, the kernel panics, which restarts the machine, too.
#[derive(Debug)]
pub struct GivenUp;

/// Opens the root; afterwards it is `/`. What fails is told and kept, and the machine restarts.
pub fn run() -> Result<(), GivenUp> {
    let mut boot = Boot::default();
    open(&mut boot).map_err(|failure| {
        boot.give_up(&failure);
        GivenUp
    })
}

/// What a failure needs to be told, and what PID 1 will be told.
#[derive(Default)]
struct Boot {
    root: Option<RootHash>,
    record: Option<Record>,
    pause: Duration,
    facts: Facts,
}

fn open(boot: &mut Boot) -> Result<(), Error> {
    boot.facts.reached("began");
    api::mount(By::Stage1)?;
    boot.facts.reached("mounted");

    let watchdog = watchdog::start(Path::new(watchdog::CLASS), Path::new("/dev"));
    let line = fs::read_to_string("/proc/cmdline").map_err(Error::on("read", "/proc/cmdline"))?;
    let line = Cmdline::new(&line);
    boot.pause = pause(line);
    let root = wanted(line)?;
    boot.root = Some(root);
    boot.facts.root = Some(root);
    let loader = Loader::read(Path::new("/sys/firmware/efi/efivars"))?;
    boot.facts.entry = entry::started(&loader).map(|(_, assessment)| assessment);

    let mut progress = || watchdog.iter().for_each(watchdog::Watchdog::feed);
    let found = find::wait(&Devices::real(), loader.esp, &root, patience(line), &mut progress)?;
    boot.facts.disk = Some(found.disk.path.clone());
    boot.facts.reached("found");
    if found.disk.side == Side::Backup {
        warning!("partition table read from its backup disk={}", found.disk.name);
    }

    let rotten = boot.note_attempt(&found.disk, entry::is_first_try(&loader));
    boot.facts.reached("noted");
    if rotten == Rotten::Yes && give_way(&found.disk, &loader, &root) {
        return Err(Error::GaveWay);
    }

    let (slot, superblock) = slots::choose(&found.disk.name, found.slots)?;
    boot.facts.slot = Some(slot);
    root::open(&found.disk, slot, &superblock, &root)?;
    boot.facts.reached("opened");
    root::mount()?;
    boot.facts.reached("root");

    handover::run(&mut boot.facts)
}

/// The root that the command line names.
fn wanted(line: Cmdline<'_>) -> Result<RootHash, Error> {
    line.value(cmdline::ROOT_HASH).ok_or(Error::NoRootHash)?.parse().map_err(Error::RootHash)
}

/// How long to wait for the disk.
fn patience(line: Cmdline<'_>) -> Duration {
    let seconds = line.value(cmdline::ROOT_WAIT).and_then(|seconds| seconds.parse().ok());
    seconds.map_or(DISK_WAIT, Duration::from_secs)
}

/// How long a failure stays on the screen: as long as a panic of the kernel would, so that one word rules both. Our kernels
/// do not wait unless told, and a machine that would wait for ever (`panic=0`) is none that nobody can log in to: it gets
/// the longest pause.
fn pause(line: Cmdline<'_>) -> Duration {
    match line.value(cmdline::PANIC).and_then(|seconds| seconds.parse::<i64>().ok()) {
        Some(0) => LONGEST_PAUSE,
        Some(seconds) => Duration::from_secs(seconds.max(0).unsigned_abs()).min(LONGEST_PAUSE),
        None => Duration::ZERO,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotten {
    Yes,
    No,
}

impl Boot {
    /// Counts this attempt, after what the last one left as evidence.
    ///
    /// On the first try of an entry what an earlier installation of the same root came to is forgotten: it is judged anew.
    ///
    /// A record that cannot be read or written is said and survived: it only helps to choose between systems, and must not
    /// be what keeps the only one from booting.
    fn note_attempt(&mut self, disk: &crate::disk::Disk, is_first_try: bool) -> Rotten {
        let Some(root) = self.root else { return Rotten::No };
        let record = disk.partition(Partition::BootRecord).map_err(Error::Disk);
        let opened = record.and_then(|device| {
            Record::open(&device.path).map_err(Error::on("read", device.path.display().to_string()))
        });
        let mut record = match opened {
            Ok(record) => record,
            Err(error) => {
                warning!("boot record not read error={:?}", Chain(&error).to_string());
                return Rotten::No;
            }
        };
        let traces = evidence::Traces::read(Path::new("/sys/fs/pstore"), Path::new(watchdog::CLASS));
        if let Some(finding) = evidence::of_last_attempt(record.known.latest(), traces) {
            record.known.fail(finding.root, finding.evidence, &finding.reason);
        }
        if is_first_try {
            record.known.forget(&root);
        }
        let rotten = if record.known.is_rotten(&root) { Rotten::Yes } else { Rotten::No };
        record.known.begin(root);
        self.facts.attempt = record.known.entry(&root).map(|entry| entry.attempts);
        if let Err(error) = record.write() {
            warning!("boot record not written error={:?}", Chain(&error).to_string());
        }
        self.record = Some(record);
        rotten
    }

    /// Says why, keeps the reason, reboots.
    fn give_up(&mut self, failure: &Error) {
        if let Error::GaveWay = failure {
            info!("rebooting into another entry");
        } else {
            let reason = Chain(failure).to_string();
            error!("stage 1 failed reason={reason:?}");
            self.keep(&reason);
            thread::sleep(self.pause);
        }
        // What was written was synced when it was written.
        if let Err(errno) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
            error!("reboot refused errno={errno}");
        }
    }

    fn keep(&mut self, reason: &str) {
        let (Some(record), Some(root)) = (&mut self.record, self.root) else { return };
        record.known.fail(root, Evidence::Stage1, reason);
        if let Err(error) = record.write() {
            error!("reason not kept error={:?}", Chain(&error).to_string());
        }
    }
}

/// Whether our boot entry, whose root fails again and again, was renamed so that another boots.
fn give_way(disk: &crate::disk::Disk, loader: &Loader, root: &RootHash) -> bool {
    let Some(own) = entry::own(loader) else { return false };
    let device = disk.partition(Partition::Esp).map_err(Error::Disk);
    match device.and_then(|device| entry::demote(&device.path, own, root)) {
        Ok(entry::Outcome::Renamed(name)) => {
            warning!("entry demoted entry={own} now={name}");
            true
        }
        Ok(entry::Outcome::Kept(why)) => {
            warning!("rotten entry kept entry={own} reason={why:?}");
            false
        }
        Err(error) => {
            warning!("rotten entry kept entry={own} error={:?}", Chain(&error).to_string());
            false
        }
    }
}

/// Seconds and nanoseconds since the kernel's clock began, in one number.
fn now() -> u128 {
    clock::since_boot().as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_the_root_and_the_patience() {
        let hash = RootHash::new([0xab; 32]);
        let line = format!("quiet roothash={hash} rootwait=7 roothash=00");
        assert_eq!(wanted(Cmdline::new(&line)).unwrap(), hash);
        assert!(matches!(wanted(Cmdline::new("quiet roothash")), Err(Error::NoRootHash)));
        assert!(matches!(wanted(Cmdline::new("roothash=abc")), Err(Error::RootHash(_))));
        assert_eq!(patience(Cmdline::new(&line)), Duration::from_secs(7));
        for none in ["", "rootwait", "rootwait=soon", "rootwait=-1"] {
            assert_eq!(patience(Cmdline::new(none)), DISK_WAIT, "{none}");
        }
    }

    #[test]
    fn a_failure_is_shown_as_long_as_a_panic() {
        for (line, seconds) in
            [("", 0), ("panic=-1", 0), ("panic=10", 10), ("panic=86400", 30), ("panic=0", 30), ("panic=x", 0)]
        {
            assert_eq!(pause(Cmdline::new(line)), Duration::from_secs(seconds), "{line}");
        }
    }
}
