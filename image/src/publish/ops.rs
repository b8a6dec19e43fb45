//! Files of operations: made for a release, and undone to have an older one again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use coracle_ops::build::{self, Image, Made};
use coracle_ops::{Applier, Header};
use coracle_rollout::digest::Digest;
use coracle_rollout::manifest::{Delta, Files, OpsFile, Release as Published};
use tough::TargetName;
use tough::schema::Target;

use super::Error;
use super::forms::Forms;
use super::release::Release;
use crate::build::size;
use crate::repository::Repo;

/// What files are made of, and where they go.
pub(super) struct Work<'a> {
    pub repo: &'a Repo,
    pub scratch: &'a Path,
    pub release: &'a Release,
    pub forms: Forms,
}

type Targets = HashMap<TargetName, Target>;

impl Work<'_> {
    /// Files that need nothing.
    pub fn full(&self, targets: &mut Targets) -> Result<Files, Error> {
        let Release { product, version, .. } = self.release;
        let name = |part: &str| format!("{product}-{version}-{part}.ops");
        Ok(Files {
            root: self.make(&name("root"), None, &self.release.root, targets)?,
            uki: self.make(&name("uki"), None, &self.release.uki, targets)?,
        })
    }

    /// Files that start from another release; the full one where that is no longer.
    pub fn delta(&self, from: &Published, full: &Files, targets: &mut Targets) -> Result<Delta, Error> {
        let Release { product, version, .. } = self.release;
        let name = |part: &str| format!("{product}-{}-{version}-{part}.ops", from.version);
        let shorter = |delta: OpsFile, full: &OpsFile, targets: &mut Targets| {
            if delta.bytes < full.bytes {
                return delta;
            }
            targets.retain(|name, _| name.raw() != delta.target.to_string());
            full.clone()
        };
        let old = self.undo(&from.full.root)?;
        let root = self.make(&name("root"), Some(&old), &self.release.root, targets)?;
        let old = self.undo(&from.full.uki)?;
        let uki = self.uki(&name("uki"), &old, targets)?;
        let root = shorter(root, &full.root, targets);
        let uki = shorter(uki, &full.uki, targets);
        Ok(Delta { from: from.version, from_root: from.root.hash, files: Files { root, uki } })
    }

    /// From one kernel image to the other, or from one's unpacked form to the other's if that is shorter.
    fn uki(&self, name: &str, old: &Image<File>, targets: &mut Targets) -> Result<OpsFile, Error> {
        let made = self.write(name, "ops", Some(old), &self.release.uki)?;
        if let Some(old) = self.forms.of_old(old, &self.release.uki, self.scratch)?
            && let Some(new) = self.forms.of_new(&self.release.uki, self.scratch)?
        {
            let by_forms = self.write(name, "ops-of-forms", Some(&old), new)?;
            if by_forms.header.file_len() < made.header.file_len() {
                return self.keep(name, "ops-of-forms", &by_forms, targets);
            }
        }
        self.keep(name, "ops", &made, targets)
    }

    fn make(
        &self,
        name: &str,
        source: Option<&Image<File>>,
        target: &Image<File>,
        targets: &mut Targets,
    ) -> Result<OpsFile, Error> {
        let made = self.write(name, "ops", source, target)?;
        self.keep(name, "ops", &made, targets)
    }

    /// Makes a file of operations in the scratch folder.
    fn write(
        &self,
        name: &str,
        file: &str,
        source: Option<&Image<File>>,
        target: &Image<File>,
    ) -> Result<Made, Error> {
        let bodies_path = self.scratch.join("bodies");
        let failed = || Error::file("write", &bodies_path);
        let mut bodies =
            File::options().read(true).write(true).create(true).truncate(true).open(&bodies_path);
        let bodies = bodies.as_mut().map_err(|error| failed()(io::Error::from(error.kind())))?;
        let mut buffer = io::BufWriter::new(&mut *bodies);
        let made = match source {
            None => build::full(target, &mut buffer),
            Some(source) => build::delta(source, target, &mut buffer),
        }
        .map_err(Error::ops(name))?;
        buffer.flush().map_err(failed())?;
        drop(buffer);
        let path = self.scratch.join(file);
        let mut file = File::create(&path).map_err(Error::file("create", &path))?;
        file.write_all(&made.head)
            .and_then(|()| bodies.rewind())
            .and_then(|()| io::copy(bodies, &mut file))
            .map_err(Error::file("write", &path))?;
        Ok(made)
    }

    /// Moves it to its place in the repository.
    fn keep(&self, name: &str, file: &str, made: &Made, targets: &mut Targets) -> Result<OpsFile, Error> {
        let bad_name = || Error::Name { name: name.to_owned() };
        let listed = TargetName::new(name).map_err(|_| bad_name())?;
        targets.insert(listed, self.repo.add_target(name, &self.scratch.join(file))?);
        Ok(OpsFile {
            target: name.parse().map_err(|_| bad_name())?,
            bytes: made.header.file_len(),
            header_bytes: made.head.len() as u64,
            header_sha256: Digest::new(made.digest),
        })
    }

    /// What a full file of the repository makes, put together again: every byte is held against the header that the manifest names.
    fn undo(&self, ops: &OpsFile) -> Result<Image<File>, Error> {
        let name = ops.target.to_string();
        let path = self.repo.path_of(&name).ok_or_else(|| Error::Missing { name: name.clone() })?;
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        let mut head = vec![0; usize::try_from(ops.header_bytes).unwrap_or(0)];
        file.read_exact_at(&mut head, 0).map_err(Error::file("read", &path))?;
        let header = Header::parse(&head, ops.header_sha256.as_bytes()).map_err(Error::ops(&name))?;
        let out = tempfile::tempfile_in(self.scratch).map_err(Error::file("make a file in", self.scratch))?;
        let mut applier = Applier::new(&header, &[][..]);
        for (index, op) in header.ops().iter().enumerate() {
            let mut body = vec![0; op.body_len as usize];
            file.read_exact_at(&mut body, op.body_at).map_err(Error::file("read", &path))?;
            let done = applier.apply(index, &body, &out).map_err(Error::ops(&name))?;
            out.write_all_at(done.bytes, done.at).map_err(Error::file("write below", self.scratch))?;
        }
        Ok(Image { bytes: out, identity: header.target() })
    }
}

/// How long the two files are.
pub(super) fn describe(files: &Files) -> String {
    format!("root {}, UKI {}", size(files.root.bytes), size(files.uki.bytes))
}
