//! What stage 1 tells PID 1: `/run/coracle/stage1`, one `key=value` a line. A key is missing where its fact is.
//!
//! | key | value |
//! |---|---|
//! | `slot` | `A` or `B` |
//! | `disk` | the device node of the disk, such as `/dev/vda` |
//! | `root` | the root hash |
//! | `attempt` | boots of this root since the last that came to a good end, this one included |
//! | `entry` | how the boot entry stood when it was started: `good`, `bad` or `indeterminate` |
//! | `time.STEP` | when `STEP` was reached, in nanoseconds since the kernel's clock began; `STEP` is, in this order, `began`, `mounted`, `found` (the disk), `noted` (the attempt), `opened` (the verity device), `root` (mounted), `handed` (over) |

use std::{fmt::Write as _, path::PathBuf};

use coracle_layout::{RootHash, Slot};
use coracle_uki::Assessment;

use super::now;

/// The facts, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) slot: Option<Slot>,
    pub(crate) disk: Option<PathBuf>,
    pub(crate) root: Option<RootHash>,
    pub(crate) attempt: Option<u16>,
    pub(crate) entry: Option<Assessment>,
    times: Vec<(&'static str, u128)>,
}

impl Facts {
    /// Notes the time of a step.
    pub(crate) fn reached(&mut self, step: &'static str) {
        self.times.push((step, now()));
    }

    /// The text of the file.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::with_capacity(512);
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key}={value}");
            }
        };
        line("slot", self.slot.map(|slot| slot.to_string()));
        line("disk", self.disk.as_ref().map(|path| path.display().to_string()));
        line("root", self.root.map(|root| root.to_string()));
        line("attempt", self.attempt.map(|attempt| attempt.to_string()));
        line("entry", self.entry.map(|entry| entry.word().to_owned()));
        for (step, time) in &self.times {
            line(&format!("time.{step}"), Some(time.to_string()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_facts_are_written_one_a_line() {
        assert_eq!(Facts::default().encode(), "");
        let facts = Facts {
            slot: Some(Slot::B),
            disk: Some("/dev/vda".into()),
            root: Some(RootHash::new([0x5a; 32])),
            attempt: Some(2),
            entry: Some(Assessment::Indeterminate),
            times: vec![("began", 1_234_567_890), ("found", 2_000_000_000)],
        };
        let want = [
            "slot=B",
            "disk=/dev/vda",
            &format!("root={}", "5a".repeat(32)),
            "attempt=2",
            "entry=indeterminate",
            "time.began=1234567890",
            "time.found=2000000000",
        ];
        assert_eq!(facts.encode().lines().collect::<Vec<_>>(), want);
    }
}
