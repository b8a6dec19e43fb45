//! The power button and ctrl-alt-del, from the kernel's input devices.
//!
//! One `struct input_event` (include/uapi/linux/input.h) on a 64-bit machine, little endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 16 | time |
//! | 16 | 2 | type; 1 is a key |
//! | 18 | 2 | code |
//! | 20 | 4 | value: 0 up, 1 down, 2 held |

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::libc;

use super::{
    polled::{Polled, Token},
    shutdown::How,
};
use crate::log::warning;

/// Where the devices appear.
pub(crate) const FOLDER: &str = "/dev/input";
const EVENT_LEN: usize = 24;
const TYPE_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
const KEY_POWER_2: u16 = 356;
const KEY_DELETE: u16 = 111;
const CONTROL: [u16; 2] = [29, 97];
const ALT: [u16; 2] = [56, 100];
/// Devices that are listened to; more is not a machine but an attempt.
const MAX_DEVICES: usize = 32;
/// How often new ones are looked for at most.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Open devices, by path.
#[derive(Debug)]
pub(crate) struct Keyboards {
    folder: PathBuf,
    scanned: Option<Duration>,
    devices: BTreeMap<PathBuf, (File, Held)>,
}

impl Keyboards {
    /// None yet, of those that appear in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), scanned: None, devices: BTreeMap::new() }
    }

    /// Listens to devices that have appeared, if it has been a while.
    pub(crate) fn scan(&mut self, polled: &Polled, now: Duration) {
        if self.scanned.is_some_and(|scanned| now.saturating_sub(scanned) < SCAN_INTERVAL) {
            return;
        }
        self.scanned = Some(now);
        // A machine without keys has no folder.
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let is_event = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event"));
            if is_event && !self.devices.contains_key(&path) && self.devices.len() < MAX_DEVICES {
                self.open(path, polled);
            }
        }
    }

    fn open(&mut self, path: PathBuf, polled: &Polled) {
        // One that is already gone again, or not ready, is tried again.
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else { return };
        if let Err(errno) = polled.add(&file, Token::Keyboards) {
            warning!("keys are not heard device={} error={errno}", path.display());
        }
        self.devices.insert(path, (file, Held::default()));
    }

    /// Reads what there is, forgets devices that are gone, and says what the keys ask for.
    pub(crate) fn read(&mut self, polled: &Polled) -> Option<How> {
        let mut asked = None;
        self.devices.retain(|_, (file, held)| {
            let mut buffer = [0; EVENT_LEN * 64];
            match file.read(&mut buffer) {
                Ok(len) if len > 0 => {
                    asked = asked.or(held.take(buffer.get(..len).unwrap_or_default()));
                    true
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => true,
                _ => {
                    // Closing is not enough: a child on its way to a program has a copy, and as long as that is open the
                    // epoll reports a device that is gone, without end.
                    polled.remove(file);
                    false
                }
            }
        });
        asked
    }
}

/// Modifier keys that are down.
#[derive(Debug, Default)]
struct Held(BTreeSet<u16>);

impl Held {
    fn take(&mut self, bytes: &[u8]) -> Option<How> {
        bytes.as_chunks::<EVENT_LEN>().0.iter().filter_map(|event| self.key(event)).last()
    }

    fn key(&mut self, event: &[u8; EVENT_LEN]) -> Option<How> {
        let [.., t0, t1, c0, c1, v0, v1, v2, v3] = *event;
        let (kind, code) = (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([c0, c1]));
        if kind != TYPE_KEY {
            return None;
        }
        let is_modifier = CONTROL.contains(&code) || ALT.contains(&code);
        match (i32::from_le_bytes([v0, v1, v2, v3]), code) {
            (0, code) => {
                self.0.remove(&code);
                None
            }
            (1, KEY_POWER | KEY_POWER_2) => Some(How::PowerOff),
            (1, KEY_DELETE) => {
                let down = |keys: [u16; 2]| keys.iter().any(|key| self.0.contains(key));
                (down(CONTROL) && down(ALT)).then_some(How::Reboot)
            }
            (1, code) if is_modifier => {
                self.0.insert(code);
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    type Keys<'a> = &'a [(u16, i32)];

    fn press(keys: Keys<'_>) -> Vec<u8> {
        let event = |(code, value): &(u16, i32)| {
            let mut event = vec![0; 16];
            event.extend(TYPE_KEY.to_le_bytes());
            event.extend(code.to_le_bytes());
            event.extend(value.to_le_bytes());
            event
        };
        keys.iter().flat_map(event).collect()
    }

    #[test]
    fn keys_ask_for_what_is_written_on_them() {
        let cases: [(Keys<'_>, Option<How>); 7] = [
            (&[(KEY_POWER, 1), (KEY_POWER, 0)], Some(How::PowerOff)),
            (&[(KEY_POWER, 0)], None),
            (&[(KEY_POWER, 2)], None),
            (&[(29, 1), (56, 1), (KEY_DELETE, 1)], Some(How::Reboot)),
            (&[(97, 1), (100, 1), (KEY_DELETE, 1), (KEY_DELETE, 0)], Some(How::Reboot)),
            (&[(29, 1), (56, 1), (56, 0), (KEY_DELETE, 1)], None),
            (&[(KEY_DELETE, 1), (29, 1), (56, 1)], None),
        ];
        for (keys, want) in cases {
            assert_eq!(Held::default().take(&press(keys)), want, "{keys:?}");
        }
        let mut other = press(&[(KEY_POWER, 1)]);
        other.splice(16..18, [5, 0]);
        assert_eq!(Held::default().take(&other), None, "a switch is not a key");
    }

    #[test]
    fn a_device_that_is_gone_is_no_longer_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event3");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let polled = Polled::new().unwrap();
        let mut keyboards = Keyboards::new(folder.path());
        keyboards.scan(&polled, Duration::ZERO);
        let mut device = OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut device, &press(&[(KEY_POWER, 1)])).unwrap();
        assert_eq!(polled.wait(Duration::ZERO), Ok(vec![Token::Keyboards]));
        assert_eq!(keyboards.read(&polled), Some(How::PowerOff));
        assert_eq!((keyboards.read(&polled), polled.wait(Duration::ZERO)), (None, Ok(vec![])));

        let copy_of_a_child = keyboards.devices[&path].0.try_clone().unwrap();
        drop(device);
        assert_eq!(polled.wait(Duration::ZERO), Ok(vec![Token::Keyboards]));
        assert_eq!(keyboards.read(&polled), None);
        assert_eq!((keyboards.devices.len(), polled.wait(Duration::ZERO)), (0, Ok(vec![])));
        drop(copy_of_a_child);
        keyboards.scan(&polled, Duration::from_millis(999));
        assert_eq!(keyboards.devices.len(), 0, "too early");
        keyboards.scan(&polled, Duration::from_secs(1));
        assert_eq!(keyboards.devices.len(), 1);
    }

    #[test]
    fn a_cut_event_is_passed_over() {
        assert_eq!(Held::default().take(&press(&[(KEY_POWER, 1)])[..23]), None);
    }
}
