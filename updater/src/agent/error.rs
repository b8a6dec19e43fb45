//! What can go wrong for the agent, and what that means for the update under way.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_layout::control::{BadText, Request};
use coracle_rollout::machine::{BadJournal, Trouble};
use coracle_rollout::settings::BadSettings;
use coracle_trust::transport::Fault;

use super::download;
use crate::file;
use crate::forms;
use crate::image;
use crate::slot::{self, Remedy};

/// Something did not work out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, or a folder, or a mount.
    #[error(transparent)]
    File(#[from] file::Failed),
    /// The image's settings cannot be used.
    #[error("read the image's settings")]
    Settings(#[source] BadSettings),
    /// Something that must be known of the machine is not: without boot manager and firmware there is no entry, and no update.
    #[error("nobody says what {name} is")]
    Fact {
        /// What.
        name: &'static str,
    },
    /// The disk is not as the builder made it.
    #[error("disk {disk} has no partition {label}")]
    NoPartition {
        /// The disk.
        disk: String,
        /// The label.
        label: &'static str,
    },
    /// PID 1 does not answer.
    #[error("ask PID 1 for {request}")]
    Pid1 {
        /// What was asked.
        request: Request,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It answers, and will not.
    #[error("PID 1 does not do {request}: {why}")]
    Refused {
        /// What was asked.
        request: Request,
        /// What it says.
        why: String,
    },
    /// What it answers cannot be read.
    #[error("read how PID 1 stands")]
    Status(#[source] BadText),
    /// The boot entries cannot be read or changed.
    #[error("change the boot entries")]
    Entries(#[source] coracle_entries::Error),
    /// The process that talks to servers does not help.
    #[error("ask a server")]
    Network(#[source] coracle_fetch::Error),
    /// The firmware's variables cannot be read or changed.
    #[error("change the firmware's variables")]
    Firmware(#[source] coracle_firmware::Error),
    /// A file that should be a UKI is none.
    #[error("read {}", path.display())]
    Uki {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: coracle_uki::Unread,
    },
    /// The repository is not what it should be.
    #[error("follow the repository")]
    Trust(#[source] Box<coracle_trust::Error>),
    /// A file does not come.
    #[error("fetch {file}")]
    Fetch {
        /// Which.
        file: String,
        /// The cause.
        #[source]
        source: Fault,
    },
    /// An ops file is not what the manifest says.
    #[error("read the ops file")]
    Ops(#[source] coracle_ops::Error),
    /// The slot cannot be written.
    #[error("install")]
    Slot(#[source] slot::Error),
    /// The kernel image cannot be made.
    #[error("make the kernel image")]
    Image(#[source] image::Error),
    /// The state partition has no room for it.
    #[error("the state partition is full")]
    StateFull,
    /// The state cannot be had in the form that this program reads.
    #[error("read the state")]
    State(#[source] forms::Error),
    /// The journal cannot be written down.
    #[error("write the journal")]
    Journal(#[source] BadJournal),
    /// The repository was not read since the agent began.
    #[error("the repository did not answer yet")]
    Unasked,
    /// An ops file makes another kernel image.
    #[error("the ops file does not make the kernel image in the manifest")]
    UkiDiffers,
    /// The kernel image boots another root.
    #[error("the kernel image does not boot root {want}")]
    UkiRoot {
        /// The root that was installed.
        want: coracle_layout::RootHash,
    },
    /// What would be made good is not what runs.
    #[error("the entry of {version} is not what runs: {why}")]
    NotRunning {
        /// Its version.
        version: coracle_layout::OsVersion,
        /// Why not.
        why: &'static str,
    },
    /// It was not wanted any more.
    #[error("stopped")]
    Stopped {
        /// What the reader said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on calls of the system.
    pub(crate) fn file(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let failed = file::failed(operation, path);
        move |source| failed(source).into()
    }

    /// What it means for the update under way.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Fetch { source, .. } => download::trouble(source),
            Self::Trust(error) => match &**error {
                coracle_trust::Error::Fetch { source, .. } => download::trouble(source),
                coracle_trust::Error::NoTarget { .. } => Trouble::Missing,
                _ => Trouble::Corrupt,
            },
            Self::Slot(error) => match error.remedy() {
                Remedy::FetchAgain => Trouble::Corrupt,
                Remedy::TakeFull => Trouble::SourceDiffers,
                Remedy::OtherRelease => Trouble::SlotTooSmall,
                Remedy::MendDisk | Remedy::MendState | Remedy::Stop => Trouble::Io,
            },
            Self::Ops(coracle_ops::Error::Output { .. } | coracle_ops::Error::ReadSource { .. }) => {
                Trouble::SourceDiffers
            }
            Self::Image(image::Error::Apply(
                coracle_ops::Error::Output { .. } | coracle_ops::Error::ReadSource { .. },
            ))
            | Self::Image(image::Error::Form { .. } | image::Error::PackedOtherwise) => {
                Trouble::SourceDiffers
            }
            Self::Ops(_) | Self::UkiDiffers | Self::Image(image::Error::Apply(_) | image::Error::Differs) => {
                Trouble::Corrupt
            }
            Self::StateFull => Trouble::StateFull,
            Self::Image(image::Error::File(failed)) if failed.source.kind() == io::ErrorKind::StorageFull => {
                Trouble::StateFull
            }
            Self::UkiRoot { .. } | Self::Uki { .. } => Trouble::Signature,
            Self::Entries(coracle_entries::Error::Space { .. } | coracle_entries::Error::Crowded { .. }) => {
                Trouble::EspFull
            }
            Self::Stopped { .. } | Self::Unasked | Self::Network(_) => {
                Trouble::Unreachable { retry_after: None }
            }
            _ => Trouble::Io,
        }
    }

    /// When a server wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Trouble::Unreachable { retry_after } = self.trouble() { retry_after } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_asks_for_is_heard_wherever_it_says_so() {
        let (file, asked) = (|| "metadata/timestamp.json".to_owned(), Some(Duration::from_secs(900)));
        let busy = || Fault::Busy { status: 503, retry_after: asked };
        let inside = coracle_trust::Error::Fetch { file: file(), source: busy() };
        for error in [Error::Fetch { file: file(), source: busy() }, Error::Trust(Box::new(inside))] {
            assert_eq!(error.retry_after(), asked, "{error:?}");
        }
        assert_eq!(Error::Fetch { file: file(), source: Fault::Missing }.retry_after(), None);
    }
}
