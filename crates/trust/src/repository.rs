//! What was verified.

use std::collections::BTreeMap;

use coracle_rollout::{Line, Manifest, Time, Trusted, digest::Digest, label::TargetName, manifest};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::floor::Versions;
use crate::transport::{Path, Transport, collect};

/// The files of a repository as its metadata lists them, which was verified and fresh at one moment: what a refresh gives.
#[derive(Debug, Clone)]
pub struct Repository {
    versions: Versions,
    expires: Time,
    targets: BTreeMap<TargetName, Target>,
}

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    name: TargetName,
    bytes: u64,
    sha256: Digest,
}

impl Repository {
    pub(crate) fn new(versions: Versions, expires: Time, targets: BTreeMap<TargetName, Target>) -> Self {
        Self { versions, expires, targets }
    }

    /// The versions of its metadata.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// When the first part of its metadata expires: by then the repository should have been refreshed.
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// A file of that name.
    pub fn target(&self, name: &TargetName) -> Result<Trusted<Target>, Error> {
        let target = self.targets.get(name).ok_or_else(|| Error::NoTarget { name: name.clone() })?;
        Ok(Trusted::vouched(target.clone()))
    }

    /// Every file, by name.
    pub fn targets(&self) -> impl Iterator<Item = Trusted<Target>> {
        self.targets.values().cloned().map(Trusted::vouched)
    }

    /// A file of operations. The manifest vouches for its header and by that for its content; the list of targets says where it is.
    pub fn ops(&self, file: &manifest::OpsFile) -> Result<Trusted<Target>, Error> {
        let target = self.target(&file.target)?;
        if target.bytes != file.bytes {
            let name = file.target.clone();
            return Err(Error::TargetBytes { name, listed: target.bytes, wanted: file.bytes });
        }
        Ok(target)
    }

    /// Fetches the manifest of a line, checks it against the list of targets, and reads it.
    pub async fn manifest(&self, line: &Line, from: &dyn Transport) -> Result<Trusted<Manifest>, Error> {
        let name = line.manifest_name();
        let target = self.target(&name)?;
        let bytes = target.fetch(from, manifest::MAX_BYTES as u64).await?;
        let manifest =
            Manifest::parse(&bytes).map_err(|source| Error::Manifest { name: name.clone(), source })?;
        if manifest.line() != *line {
            let (want, got) = (Box::new(line.clone()), Box::new(manifest.line()));
            return Err(Error::OtherLine { name, want, got });
        }
        Ok(Trusted::vouched(manifest))
    }
}

impl Target {
    pub(crate) fn new(name: TargetName, bytes: u64, sha256: Digest) -> Self {
        Self { name, bytes, sha256 }
    }

    /// Its name.
    pub fn name(&self) -> &TargetName {
        &self.name
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its digest.
    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Where it is in the repository.
    pub fn path(&self) -> Option<Path> {
        Path::new(&format!("targets/{}.{}", self.sha256, self.name))
    }

    /// Fetches it whole, if it has no more than `limit` bytes.
    pub async fn fetch(&self, from: &dyn Transport, limit: u64) -> Result<Vec<u8>, Error> {
        let name = || self.name.clone();
        if self.bytes > limit {
            return Err(Error::TooLarge { name: name(), bytes: self.bytes, limit });
        }
        let path = self.path().ok_or_else(|| Error::NoTarget { name: name() })?;
        let failed = |source| Error::Fetch { file: path.to_string(), source };
        let body = from.whole(&path).await.map_err(failed)?;
        let bytes = collect(body, self.bytes).await.map_err(failed)?;
        if bytes.len() as u64 != self.bytes || Digest::new(Sha256::digest(&bytes).into()) != self.sha256 {
            return Err(Error::TargetContent { name: name() });
        }
        Ok(bytes)
    }
}
