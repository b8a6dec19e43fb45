//! A container's cgroup, below the mount of the host's cgroups.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long the processes of a cgroup may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the host has mounted cgroup2.
pub fn mount() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let line = mounts.lines().rfind(|line| line.contains(" - cgroup2 "));
    let path = line.and_then(|line| line.split(' ').nth(4));
    path.map(PathBuf::from).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no cgroup2 is mounted"))
}

/// The folder of a container: what the configuration says, below the mount.
pub fn folder(named: Option<&Path>, id: &str) -> io::Result<PathBuf> {
    let mount = mount()?;
    Ok(match named {
        Some(path) => mount.join(path.strip_prefix("/").unwrap_or(path)),
        None => mount.join(id),
    })
}

/// Makes it.
pub fn make(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    File::open(folder)
}

/// Process ids in it.
pub fn processes(folder: &Path) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(folder.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Kills all in it and removes it.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::write(folder.join("cgroup.kill"), "1") {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    let begun = Instant::now();
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}
