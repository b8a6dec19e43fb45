//! The watchdog: started before anything can hang, fed while the disk is waited for and then while PID 1's loop comes
//! round, never stopped.
//!
//! The start of PID 1 closes it, which feeds it once more and leaves it running; PID 1 has its timeout to open it again.
//! (The kernel then says that it did not stop. Kept open, it could be fed by nobody: the device opens once only, and what
//! is inherited as a bare number cannot be owned without unsafe code.)

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use coracle_fence::watchdog as device;

use crate::log::{Chain, warning};

/// Where the kernel shows them.
pub(crate) const CLASS: &str = "/sys/class/watchdog";
/// Seconds until a machine that hangs restarts: longer than the slowest step, shorter than anyone's patience.
const TIMEOUT: i32 = 60;
/// How often PID 1's loop comes round at the least: three meals may fail.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);
/// What the kernel's own timer calls itself; it does not survive what a chip does.
const SOFTWARE: &str = "Software Watchdog";
/// `WDIOF_CARDRESET` of linux/watchdog.h: the last restart was the watchdog's.
const CARD_RESET: u64 = 0x20;

/// A running watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    file: File,
    path: PathBuf,
}

/// Starts the best watchdog under `class`. That there is none, or that it does not obey, is no reason not to boot.
pub(crate) fn start(class: &Path, dev: &Path) -> Option<Watchdog> {
    let known: Vec<_> = names(class)
        .into_iter()
        .map(|name| (fs::read_to_string(class.join(&name).join("identity")).unwrap_or_default(), name))
        .collect();
    let path = dev.join(choose(&known)?);
    match open(&path) {
        Ok(watchdog) => Some(watchdog),
        Err(error) => {
            warning!("watchdog not started device={} error={:?}", path.display(), Chain(&error).to_string());
            None
        }
    }
}

/// Whether a watchdog says that it caused the last restart.
pub(crate) fn fired(class: &Path) -> bool {
    names(class).iter().any(|name| {
        let status = fs::read_to_string(class.join(name).join("bootstatus")).unwrap_or_default();
        status.trim().parse::<u64>().is_ok_and(|bits| bits & CARD_RESET != 0)
    })
}

/// The watchdogs there are, in the order of their numbers.
fn names(class: &Path) -> Vec<String> {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

/// The first that is hardware, else the first. Pairs of identity and name.
fn choose(known: &[(String, String)]) -> Option<&str> {
    let hardware = known.iter().find(|(identity, _)| identity.trim() != SOFTWARE);
    hardware.or(known.first()).map(|(_, name)| name.as_str())
}

fn open(path: &Path) -> io::Result<Watchdog> {
    let file = OpenOptions::new().write(true).open(path)?;
    if let Err(error) = device::set_timeout(file.as_fd(), TIMEOUT) {
        let error = Chain(&error).to_string();
        warning!("watchdog keeps its timeout device={} error={error:?}", path.display());
    }
    let watchdog = Watchdog { file, path: path.to_owned() };
    watchdog.feed();
    Ok(watchdog)
}

impl Watchdog {
    /// The machine lives one more timeout.
    pub(crate) fn feed(&self) {
        if let Err(error) = device::feed(self.file.as_fd()) {
            warning!("watchdog not fed device={} error={:?}", self.path.display(), Chain(&error).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_goes_before_software_and_low_numbers_before_high() {
        let pair = |identity: &str, name: &str| (identity.to_owned(), name.to_owned());
        let (soft, chip, other) = (
            pair("Software Watchdog\n", "watchdog0"),
            pair("iTCO_wdt\n", "watchdog1"),
            pair("i6300ESB timer\n", "watchdog2"),
        );
        for (known, want) in [
            (vec![], None),
            (vec![soft.clone()], Some("watchdog0")),
            (vec![soft, chip.clone(), other.clone()], Some("watchdog1")),
            (vec![other, chip], Some("watchdog2")),
        ] {
            assert_eq!(choose(&known), want, "{known:?}");
        }
    }

    #[test]
    fn a_watchdog_says_whether_it_fired() {
        let folder = tempfile::tempdir().unwrap();
        for (name, status) in [("watchdog10", "0\n"), ("watchdog2", "x"), ("watchdog0", "1\n")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("bootstatus"), status).unwrap();
        }
        assert_eq!(names(folder.path()), ["watchdog0", "watchdog2", "watchdog10"]);
        assert!(!fired(folder.path()) && !fired(&folder.path().join("missing")));
        fs::write(folder.path().join("watchdog10/bootstatus"), "33\n").unwrap();
        assert!(fired(folder.path()));
    }

    #[test]
    fn what_is_no_watchdog_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("watchdog0")).unwrap();
        assert!(start(folder.path(), folder.path()).is_none());
        assert!(start(&folder.path().join("missing"), folder.path()).is_none());
    }
}
