//! What a container must not get away with.
//!
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coracle_fence::clone::{Namespaces, spawn};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, sync};

/// Argument of a process that starts many others, which end at once, and ends without waiting for them.
pub const BATCH: &str = "batch";
/// Argument of a process that starts others like itself.
pub const BOMB: &str = "bomb";
/// Argument of a process that crashes PID 1.
pub const CRASH: &str = "crash-init";
/// Argument of a process that holds PID 1.
pub const FREEZE: &str = "freeze-init";
/// Argument of a server that ends by itself after so many seconds.
pub const FALTER: &str = "falter";

const MIB: usize = 1 << 20;

/// Takes memory and touches every page of it, a MiB at a time, up to a limit.
pub fn exhaust_memory(limit_mib: u64) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    for _ in 0..limit_mib {
        // Not zero: a page of zeros may be shared until it is written.
        taken.push(vec![1; MIB]);
    }
    taken
}

/// Starts the first process of a bomb that goes off until `seconds` from now.
pub fn start_bomb(seconds: u64) -> io::Result<()> {
    let until = now() + Duration::from_secs(seconds);
    start(&[BOMB, &until.as_millis().to_string()])
}

/// Starts others like itself until the time in milliseconds since the epoch, then ends. Refusals only slow it down.
pub fn bomb(until: &str) -> io::Result<()> {
    let end = Duration::from_millis(until.parse().map_err(|_| io::ErrorKind::InvalidInput)?);
    while now() < end {
        if start(&[BOMB, until]).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// Leaves `count` dead grandchildren behind, up to `batch` of them at the same moment.
pub fn orphans(count: u64, batch: u64) -> io::Result<()> {
    let mut left = count;
    while left > 0 {
        let now = left.min(batch.max(1));
        let status = again().args([BATCH, &now.to_string()]).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("a batch of {now} ended with {status}")));
        }
        left -= now;
    }
    Ok(())
}

/// Starts `count` processes that end at once and waits for none. A program each would take an emulated machine minutes.
pub fn batch(count: &str) -> io::Result<()> {
    let count: u64 = count.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    (0..count).try_for_each(|_| spawn(Namespaces::NONE, None, || 0).map(drop)).map_err(io::Error::other)
}

/// SIGKILL to every process that may be signalled, this one and PID 1 aside.
pub fn kill_all() -> io::Result<()> {
    Ok(kill(Pid::from_raw(-1), Signal::SIGKILL)?)
}

/// Ends this process after so long, as a bug would.
pub fn end_after(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
    std::process::exit(1);
}

/// Does nothing, for as long as the machine runs.
pub fn stay() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Holds PID 1 as a debugger does, for as long as this process is there.
pub fn freeze_init() -> io::Result<()> {
    let init = Pid::from_raw(1);
    ptrace::seize(init, ptrace::Options::empty())?;
    ptrace::interrupt(init)?;
    waitpid(init, Some(WaitPidFlag::__WALL))?;
    Ok(())
}

/// Fills PID 1's code with breakpoints: whatever it does next, it ends as by a bug of its own.
pub fn crash_init() -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/1/maps")?;
    let bounds = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        rest.starts_with("r-xp").then_some(())?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    };
    let code = maps.lines().find_map(bounds).ok_or(io::ErrorKind::NotFound)?;
    let memory = File::options().write(true).open("/proc/1/mem")?;
    memory.write_all_at(&vec![0xcc; (code.1 - code.0) as usize], code.0)
}

/// Writes lines of 64 bytes.
pub fn flood(output: &mut impl Write, mib: u64) -> io::Result<()> {
    let line = [[b'x'; 63].as_slice(), b"\n"].concat();
    let chunk = line.repeat(MIB / line.len());
    (0..mib).try_for_each(|_| output.write_all(&chunk))?;
    output.flush()
}

/// Writes a file of this many bytes, or as many as fit, and makes it durable. A container's layer leaves out what syncs one
/// file, as it is new after each start.
pub fn write_file(path: &str, bytes: u64) -> io::Result<()> {
    let written = File::create(path).and_then(|mut file| {
        let chunk = vec![b'x'; MIB];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(MIB as u64);
            file.write_all(&chunk[..now as usize])?;
            left -= now;
        }
        Ok(())
    });
    sync();
    written
}

/// Starts this program again and never waits for it: whoever reaps it does.
pub fn start(arguments: &[&str]) -> io::Result<()> {
    again().args(arguments).spawn().map(drop)
}

fn again() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The wall clock: a later process must read the same one.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Makes a node of a block device.
pub fn make_node(path: &str, major: u64, minor: u64) -> io::Result<()> {
    Ok(mknod(path, SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, makedev(major, minor))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_up_to_the_limit() {
        let taken = exhaust_memory(3);
        assert!(taken.len() == 3 && taken.iter().all(|block| block.len() == MIB && block[MIB - 1] == 1));
    }

    #[test]
    fn a_flood_is_as_large_as_asked_and_in_lines() {
        let mut output = Vec::new();
        flood(&mut output, 2).unwrap();
        assert_eq!(output.len(), 2 * MIB);
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2 * MIB / 64);
    }

    #[test]
    fn files_get_the_length_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_file(path.to_str().unwrap(), MIB as u64 + 5).unwrap();
        assert_eq!(path.metadata().unwrap().len(), MIB as u64 + 5);
        assert_eq!(write_file("/dev/full", 1).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
