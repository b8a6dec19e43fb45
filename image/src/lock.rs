//! `recipe.lock`: the inputs that a recipe names only loosely, each held to what it was.
//!
//! | key | what is held |
//! |---|---|
//! | `kernel.source` | SHA-256 of the kernel's source archive |
//! | `boot.stub`, `boot.loader` | SHA-256 of systemd's two UEFI programs |
//! | `tools.mke2fs`, `tools.rustc` | versions of what makes the state filesystem and what compiled the programs |
//! | `built` | when the others came to be what they are; only with `[update]`, where the image says it |
//! | `images` | manifest digest of each embedded image, by its path in the recipe |
//!
//! The lock is written when there is none and obeyed when there is one. Pins in the recipe itself are obeyed besides.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coracle_rollout::Time;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The file's name, beside the recipe.
pub const NAME: &str = "recipe.lock";
const HEAD: &str =
    "# Written by `coracle build`; keep it with the recipe. `coracle build --update-lock` renews it.\n\n";

/// What a build was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// When the other inputs came to be what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<Time>,
    /// The kernel.
    pub kernel: Kernel,
    /// What the firmware starts.
    pub boot: Boot,
    /// Programs of the building machine whose version shows in the result.
    pub tools: Tools,
    /// Embedded images: manifest digest by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
}

/// The kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// SHA-256 of the source archive.
    pub source: String,
}

/// What the firmware starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// SHA-256 of systemd's stub.
    pub stub: String,
    /// SHA-256 of systemd's boot manager.
    pub loader: String,
}

/// Versions of tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Of `mke2fs`.
    pub mke2fs: String,
    /// Of the compiler that built this program and, with it, the programs of the image.
    pub rustc: String,
}

impl Lock {
    /// Reads a lock; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("read", path))?,
        };
        let lock = toml::from_str(&text);
        lock.map(Some).map_err(|source| Error::Lock { path: path.to_owned(), source: Box::new(source) })
    }

    /// Writes the lock in one step: whoever reads meanwhile finds the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let partial = path.with_extension("lock.partial");
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        fs::write(&partial, text).map_err(Error::file("write", &partial))?;
        fs::rename(&partial, path).map_err(Error::file("rename", &partial))
    }

    /// These inputs, held since the time that the lock has: that of an image does not change while its inputs do not.
    pub fn held_since(&self, now: Self) -> Self {
        Self { built: now.built.map(|built| self.built.unwrap_or(built)), ..now }
    }

    /// One line for each input that is not what it was.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let (was, is) = (self.entries(), now.entries());
        let mut lines = Vec::new();
        for (key, old) in &was {
            match is.get(key) {
                Some(new) if new == old => {}
                Some(new) => lines.push(format!("{key}: {new}, the lock has {old}")),
                None => lines.push(format!("{key}: no longer there, the lock has {old}")),
            }
        }
        let fresh = is.iter().filter(|(key, _)| !was.contains_key(*key));
        lines.extend(fresh.map(|(key, new)| format!("{key}: {new}, the lock does not have it")));
        lines
    }

    /// Every value by the key under which it stands in the file.
    fn entries(&self) -> BTreeMap<String, String> {
        let fixed = [
            ("kernel.source", &self.kernel.source),
            ("boot.stub", &self.boot.stub),
            ("boot.loader", &self.boot.loader),
            ("tools.mke2fs", &self.tools.mke2fs),
            ("tools.rustc", &self.tools.rustc),
        ];
        let fixed = fixed.map(|(key, value)| (key.to_owned(), value.clone()));
        let built = self.built.map(|built| ("built".to_owned(), built.to_string()));
        let images = self.images.iter().map(|(path, digest)| (format!("images.{path:?}"), digest.clone()));
        fixed.into_iter().chain(built).chain(images).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        Lock {
            built: None,
            kernel: Kernel { source: "a".into() },
            boot: Boot { stub: "b".into(), loader: "c".into() },
            tools: Tools { mke2fs: "1.47.0".into(), rustc: "1.95.0".into() },
            images: BTreeMap::from([("images/app".into(), "sha256:d".into())]),
        }
    }

    #[test]
    fn a_lock_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(Lock::read(&path).unwrap(), None);
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), Some(lock()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::write(&path, "[kernel]\nsauce = \"a\"\n").unwrap();
        assert!(matches!(Lock::read(&path), Err(Error::Lock { .. })));
    }

    #[test]
    fn the_time_stays_while_the_inputs_do() {
        let [early, late] = ["2026-11-20T10:00:00Z", "2026-11-25T10:00:00Z"].map(|text| text.parse().ok());
        let at = |built| Lock { built, ..lock() };
        assert_eq!(at(early).held_since(at(late)).built, early);
        assert_eq!(at(None).held_since(at(late)).built, late);
        assert_eq!(at(early).held_since(at(None)).built, None);
        let want = ["built: 2026-11-25T10:00:00Z, the lock does not have it"];
        assert_eq!(at(None).differences(&at(late)), want);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        at(early).write(&path).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\nbuilt = \"2026-11-20T10:00:00Z\"\n"));
        assert_eq!(Lock::read(&path).unwrap(), Some(at(early)));
    }

    #[test]
    fn every_difference_is_named() {
        assert_eq!(lock().differences(&lock()), [""; 0]);
        let mut other = lock();
        other.boot.stub = "x".into();
        other.images = BTreeMap::from([("images/new".into(), "sha256:e".into())]);
        let want = [
            "boot.stub: x, the lock has b",
            "images.\"images/app\": no longer there, the lock has sha256:d",
            "images.\"images/new\": sha256:e, the lock does not have it",
        ];
        assert_eq!(lock().differences(&other), want);
    }
}
