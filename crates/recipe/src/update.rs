//! What is wished for updates, as far as a recipe knows it.

use coracle_rollout::{Settings, Time};

use crate::values::SourcePath;

/// How the machine is kept up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Root metadata of the repository.
    pub root: SourcePath,
    /// Certificates of authorities, in PEM; there if any address is `https`.
    pub authorities: Option<SourcePath>,
    /// All but the time at which the image was made.
    pub(crate) wished: Settings,
}

impl Update {
    /// The settings of an image that was made at that time.
    pub fn settings(&self, built: Time) -> Settings {
        Settings { built, ..self.wished.clone() }
    }
}
