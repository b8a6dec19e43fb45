//! The mounts of PID 1, the folders it makes, and the cgroup tree.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::PermissionsExt},
};

use super::{Error, Machine};
use crate::{
    PODS_CGROUP, SERVICES_CGROUP,
    api::{self, By},
};
use coracle_layout::paths;
use coracle_runtime::cgroup::delegate;
use rustix::system::sysinfo;

/// What the host keeps of the memory at the least, in bytes: its budget for processes is 12 MiB, the rest is for the kernel.
const HOST_MEMORY: u64 = 24 << 20;

/// Mounts what stage 1 has not.
pub(super) fn filesystems(_: &mut Machine) -> Result<(), Error> {
    api::mount(By::Pid1)?;
    make(paths::RUN, 0o755)
}

/// Makes a folder with exactly that mode, whether it is there or not.
pub(crate) fn make(path: &str, mode: u32) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::os("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::os("set the mode of", path))
}

/// Hands the controllers down, and makes the two branches of the tree.
pub(super) fn cgroups(_: &mut Machine) -> Result<(), Error> {
    for folder in ["/sys/fs/cgroup", SERVICES_CGROUP, PODS_CGROUP] {
        fs::create_dir_all(folder).map_err(Error::os("make", folder))?;
        let opened = fs::File::open(folder).map_err(Error::os("open", folder))?;
        delegate(opened.as_fd()).map_err(|source| Error::Cgroup { folder, source })?;
    }
    for (file, value) in [("pids.max", most_processes()?), ("memory.max", most_memory())] {
        let path = format!("{PODS_CGROUP}/{file}");
        fs::write(&path, value.to_string()).map_err(Error::os("write", path))?;
    }
    Ok(())
}

/// The processes of all pods together: three quarters of what the kernel has room for. Pods without a limit of their own
/// leave the host enough to start others again.
fn most_processes() -> Result<u64, Error> {
    let most = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"].map(number);
    let [pids, threads] = most;
    Ok(pids?.min(threads?) / 4 * 3)
}

/// The memory of all pods together, in bytes: all but a sixteenth, and at the least [`HOST_MEMORY`]. Beyond it a pod ends,
/// and neither a service nor PID 1 goes without.
fn most_memory() -> u64 {
    let known = sysinfo();
    left_for_pods(known.totalram.saturating_mul(known.mem_unit.into()))
}

fn left_for_pods(total: u64) -> u64 {
    total.saturating_sub((total / 16).max(HOST_MEMORY))
}

fn number(path: &str) -> Result<u64, Error> {
    let text = fs::read_to_string(path).map_err(Error::os("read", path))?;
    text.trim().parse().map_err(|_| Error::os("read", path)(io::Error::from(io::ErrorKind::InvalidData)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_leave_the_host_its_part() {
        for (total, pods) in [(0, 0), (96 << 20, 72 << 20), (1 << 30, 960 << 20), (256 << 30, 240 << 30)] {
            assert_eq!(left_for_pods(total), pods, "{total}");
        }
    }
}
