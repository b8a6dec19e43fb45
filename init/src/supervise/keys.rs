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
    io::Read,
    os::{fd::AsFd, fd::BorrowedFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
};

use nix::libc;

use super::shutdown::How;

const FOLDER: &str = "/dev/input";
const EVENT_LEN: usize = 24;
const TYPE_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
const KEY_POWER_2: u16 = 356;
const KEY_DELETE: u16 = 111;
const CONTROL: [u16; 2] = [29, 97];
const ALT: [u16; 2] = [56, 100];
/// Devices that are listened to; more is not a machine but an attempt.
const MAX_DEVICES: usize = 32;

/// Open devices, by path.
#[derive(Debug, Default)]
pub(crate) struct Keyboards {
    devices: BTreeMap<PathBuf, (File, Held)>,
}

impl Keyboards {
    /// Opens devices that have appeared; gives their places for [`Keyboards::read`].
    pub(crate) fn scan(&mut self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(FOLDER) else { return vec![] };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let fresh = paths.filter(|path| {
            let is_event = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event"));
            is_event && !self.devices.contains_key(path)
        });
        let room = MAX_DEVICES.saturating_sub(self.devices.len());
        let fresh: Vec<_> = fresh.take(room).collect();
        fresh.into_iter().filter(|path| self.open(path.clone())).collect()
    }

    fn open(&mut self, path: PathBuf) -> bool {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(&path);
        file.map(|file| self.devices.insert(path, (file, Held::default()))).is_ok()
    }

    /// To be polled.
    pub(crate) fn fd(&self, path: &PathBuf) -> Option<BorrowedFd<'_>> {
        self.devices.get(path).map(|(file, _)| file.as_fd())
    }

    /// The open devices.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.devices.keys().cloned().collect()
    }

    /// Reads what a device has, forgets it when it is gone, and says what its keys ask for.
    pub(crate) fn read(&mut self, path: &PathBuf) -> Option<How> {
        let (file, held) = self.devices.get_mut(path)?;
        let mut buffer = [0; EVENT_LEN * 64];
        match file.read(&mut buffer) {
            Ok(0) => {}
            Ok(len) => return held.take(buffer.get(..len)?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(_) => {}
        }
        self.devices.remove(path);
        None
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
    fn a_cut_event_is_passed_over() {
        assert_eq!(Held::default().take(&press(&[(KEY_POWER, 1)])[..23]), None);
    }
}
