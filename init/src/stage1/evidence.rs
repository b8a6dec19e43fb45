//! What the last attempt left behind: a crash record in pstore, or a watchdog that says it fired.
//!
//! The records in pstore stay until PID 1 has saved them, so several boots may find the same: a record is counted by its
//! number, once.

use std::{fs, path::Path};

use coracle_layout::{
    RootHash,
    boot_record::{Entry, Evidence},
};

use crate::watchdog;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// The number of the newest crash record.
    crash: Option<u64>,
    /// Whether a watchdog says that it restarted the machine.
    watchdog: bool,
}

impl Traces {
    /// Looks at pstore and at the watchdogs. What is not there has left no trace.
    pub(crate) fn read(pstore: &Path, watchdogs: &Path) -> Self {
        let entries = fs::read_dir(pstore).into_iter().flatten().flatten();
        let crash = entries.filter_map(|entry| crash_number(entry.file_name().to_str()?)).max();
        Self { crash, watchdog: watchdog::fired(watchdogs) }
    }
}

/// The number of a crash record: `dmesg-BACKEND-NUMBER`, with what the kernel puts behind it when it is compressed.
/// EFI variables number by time, so the largest is the newest.
fn crash_number(name: &str) -> Option<u64> {
    let (_, number) = name.strip_prefix("dmesg-")?.rsplit_once('-')?;
    number.split_once('.').map_or(number, |(number, _)| number).parse().ok()
}

/// What is to be counted, and for whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) root: RootHash,
    pub(crate) evidence: Evidence,
    pub(crate) reason: String,
}

/// The evidence that the last attempt left, unless it was counted before. A panic that the watchdog ended counts once, as
/// what it was.
pub(crate) fn of_last_attempt(latest: Option<&Entry>, traces: Traces) -> Option<Finding> {
    let latest = latest?;
    let found = |evidence, reason| Some(Finding { root: latest.root, evidence, reason });
    match traces {
        Traces { crash: Some(number), .. } if !is_counted(latest, number) => {
            found(Evidence::Pstore, crash_reason(number))
        }
        Traces { watchdog: true, .. } => {
            found(Evidence::Watchdog, "the watchdog restarted the machine".to_owned())
        }
        _ => None,
    }
}

fn is_counted(entry: &Entry, number: u64) -> bool {
    matches!(&entry.failure, Some((Evidence::Pstore, reason)) if *reason == crash_reason(number))
}

fn crash_reason(number: u64) -> String {
    format!("kernel crash, record {number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crash_records_are_told_from_other_files() {
        for (name, want) in [
            ("dmesg-efi_pstore-176388800001001", Some(176_388_800_001_001)),
            ("dmesg-erst-7", Some(7)),
            ("dmesg-efi_pstore-42.enc.z", Some(42)),
            ("console-ramoops-0", None),
            ("dmesg-efi_pstore-", None),
            ("dmesg-1", None),
            ("", None),
        ] {
            assert_eq!(crash_number(name), want, "{name:?}");
        }
    }

    #[test]
    fn traces_are_read_from_folders_that_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (pstore, watchdogs) = (folder.path().join("pstore"), folder.path().join("watchdog"));
        assert_eq!(Traces::read(&pstore, &watchdogs), Traces::default());
        fs::create_dir(&pstore).unwrap();
        for name in ["dmesg-efi_pstore-5", "dmesg-efi_pstore-11", "other"] {
            fs::write(pstore.join(name), "").unwrap();
        }
        fs::create_dir_all(watchdogs.join("watchdog0")).unwrap();
        fs::write(watchdogs.join("watchdog0/bootstatus"), "32\n").unwrap();
        assert_eq!(Traces::read(&pstore, &watchdogs), Traces { crash: Some(11), watchdog: true });
    }

    #[test]
    fn each_failure_is_counted_once() {
        let root = RootHash::new([1; 32]);
        let entry = |failure: Option<(Evidence, &str)>| Entry {
            root,
            attempts: 1,
            evidenced: 0,
            failure: failure.map(|(evidence, reason)| (evidence, reason.to_owned())),
        };
        let clean = entry(None);
        let stage1 = entry(Some((Evidence::Stage1, "kernel crash, record 5")));
        let counted = entry(Some((Evidence::Pstore, "kernel crash, record 5")));
        for (latest, crash, watchdog, want) in [
            (None, Some(5), true, None),
            (Some(&clean), None, false, None),
            (Some(&clean), Some(5), false, Some(Evidence::Pstore)),
            (Some(&clean), Some(5), true, Some(Evidence::Pstore)),
            (Some(&clean), None, true, Some(Evidence::Watchdog)),
            (Some(&stage1), Some(5), false, Some(Evidence::Pstore)),
            (Some(&counted), Some(5), false, None),
            (Some(&counted), Some(6), false, Some(Evidence::Pstore)),
            (Some(&counted), Some(5), true, Some(Evidence::Watchdog)),
        ] {
            let found = of_last_attempt(latest, Traces { crash, watchdog });
            assert_eq!(found.as_ref().map(|found| found.evidence), want, "{latest:?} {crash:?} {watchdog}");
            assert!(found.is_none_or(|found| found.root == root));
        }
    }
}
