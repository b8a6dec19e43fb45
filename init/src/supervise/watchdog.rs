//! The hardware watchdog: armed from stage 1 on, fed only while the loop comes round, never disarmed.

use std::{
    fs::{self, File, OpenOptions},
    os::fd::AsFd,
    time::Duration,
};

use coracle_fence::watchdog;

use crate::log::{info, warning};

/// Seconds without food after which the hardware resets the machine.
const TIMEOUT: i32 = 60;
/// How often the loop comes round at the least: three meals may fail.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);
/// A watchdog in software dies with the kernel that it should watch: it is taken only where there is no other.
const SOFTWARE: &str = "Software Watchdog";

/// An armed watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    device: File,
    is_failing: bool,
}

impl Watchdog {
    /// Opens the machine's watchdog, which arms it. `None` where there is none.
    pub(crate) fn open() -> Option<Self> {
        let (name, identity) = find()?;
        let device = match OpenOptions::new().write(true).open(format!("/dev/{name}")) {
            Ok(device) => device,
            Err(error) => {
                warning!("the watchdog does not open device={name} error={error:?}");
                return None;
            }
        };
        match watchdog::set_timeout(device.as_fd(), TIMEOUT) {
            Ok(seconds) => info!("watchdog armed device={name} identity={identity:?} timeout={seconds}s"),
            Err(error) => warning!("the watchdog keeps its own timeout device={name} error={error:?}"),
        }
        Some(Self { device, is_failing: false })
    }

    /// Keeps the machine from being reset for another [`TIMEOUT`].
    pub(crate) fn feed(&mut self) {
        let outcome = watchdog::feed(self.device.as_fd());
        if let (Err(error), false) = (&outcome, self.is_failing) {
            warning!("the watchdog refuses its food error={error:?}");
        }
        self.is_failing = outcome.is_err();
    }
}

/// Name and identity of the best device.
fn find() -> Option<(String, String)> {
    let mut found: Vec<_> = fs::read_dir("/sys/class/watchdog")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| {
            let identity = fs::read_to_string(entry.path().join("identity")).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), identity.trim().to_owned())
        })
        .collect();
    found.sort_by_key(|(name, identity)| (identity == SOFTWARE, name.clone()));
    found.into_iter().next()
}
