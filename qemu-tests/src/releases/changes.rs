//! In what a release differs from the recipe.

use std::path::PathBuf;

/// What a release has that the recipe has not.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub(super) pod: Option<String>,
    pub(super) programs: Vec<(String, PathBuf)>,
    pub(super) recipe: Vec<(String, String)>,
    pub(super) kernel: Option<PathBuf>,
}

impl Changes {
    /// Nothing but its version.
    pub fn none() -> Self {
        Self::default()
    }

    /// This text as the pod's manifest.
    pub fn pod(self, manifest: &str) -> Self {
        Self { pod: Some(manifest.to_owned()), ..self }
    }

    /// This program as `init`.
    pub fn init(self, path: impl Into<PathBuf>) -> Self {
        self.program("init", path)
    }

    /// This program as `init`, `netd` or `updater`.
    pub fn program(mut self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.programs.push((name.to_owned(), path.into()));
        self
    }

    /// This kernel, in a folder of a cache of kernels where the recipe's kernel would be.
    pub fn kernel(self, path: impl Into<PathBuf>) -> Self {
        Self { kernel: Some(path.into()), ..self }
    }

    /// In the recipe `to` in place of `from`, which is there.
    pub fn recipe(mut self, from: &str, to: &str) -> Self {
        self.recipe.push((from.to_owned(), to.to_owned()));
        self
    }
}
