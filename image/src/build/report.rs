//! The reports of a build, and the move of everything into its place.

use std::fs;
use std::io;
use std::path::Path;

use coracle_layout::partition::Partition;

use super::inputs::Inputs;
use super::kernel::Kernel;
use super::{Boot, Built, Plans, RawDisk, Verity, Work, formats};
use crate::embedded::Embedded;
use crate::release::{self, RELEASE, Release, SUMMARY, Summary};
use crate::sbom::{self, COMPONENTS, Components, SBOM};
use crate::{Error, boot, digest};

/// What every step has left.
pub struct Made<'a> {
    pub work: &'a Work<'a>,
    pub inputs: &'a Inputs,
    pub images: &'a [Embedded],
    pub plans: &'a Plans,
    pub kernel: &'a Kernel,
    pub verity: &'a Verity,
    pub boot: &'a Boot,
    pub disk: &'a RawDisk,
}

impl Made<'_> {
    /// Writes the reports and moves all files out of the scratch folder, the summary last: while it is being replaced, it is
    /// the old one and names files that may be new.
    pub fn publish(&self, mut summary: Summary) -> Result<Built, Error> {
        let release = self.release();
        for (name, json) in [
            (SBOM, serde_json::to_string_pretty(&self.sbom(&release)?)?),
            (RELEASE, serde_json::to_string_pretty(&release)?),
        ] {
            let text = format!("{json}\n");
            let file =
                release::File { bytes: text.len() as u64, sha256: digest::of(text.as_bytes()), budget: None };
            self.write(name, &text)?;
            summary.files.insert(name.to_owned(), file);
        }
        self.write(SUMMARY, &format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
        for name in summary.files.keys().map(String::as_str).chain([SUMMARY]) {
            let (from, to) = (self.work.scratch(name), &self.work.request.out.join(name));
            fs::rename(&from, to).map_err(Error::file("move into place", to))?;
        }
        Ok(Built { release, summary })
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.work.scratch(name);
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    fn release(&self) -> Release {
        let (recipe, kernel) = (&self.work.recipe, self.kernel);
        let partition = |partition: Partition| {
            let (offset, bytes) = self.disk.layout.place(partition);
            release::Partition { label: partition.label(), offset, bytes }
        };
        let image = |image: &Embedded| release::Image {
            reference: image.reference.clone(),
            digest: image.digest.clone(),
        };
        let pods = self.plans.pods.iter().map(|(pod, _)| release::Pod {
            name: pod.name.as_str().to_owned(),
            image: pod.container.image.clone(),
        });
        let files = formats::purposes(recipe).into_iter();
        Release {
            name: recipe.name.as_str().to_owned(),
            version: recipe.version.to_string(),
            arch: "x86_64",
            epoch: self.work.request.epoch,
            root_hash: self.verity.hash.to_string(),
            kernel: release::Kernel {
                release: kernel.release.clone(),
                profile: kernel.profile,
                source: kernel.source.clone(),
                sha256: digest::of(&kernel.image),
            },
            cmdline: self.boot.cmdline.clone(),
            programs: self.inputs.program_digests.clone(),
            images: self.images.iter().map(image).collect(),
            services: self.plans.services.iter().map(|plan| plan.name.as_str().to_owned()).collect(),
            pods: pods.collect(),
            boot_files: self.boot.files.clone(),
            partitions: Partition::ALL.map(partition).to_vec(),
            files: files.map(|(purpose, suffix)| (purpose, self.work.named(suffix))).collect(),
        }
    }

    fn sbom(&self, release: &Release) -> Result<serde_json::Value, Error> {
        let components = components(&self.work.request.sources.programs.join(COMPONENTS))?;
        let uefi = [("systemd-boot", &self.inputs.loader), ("systemd-stub", &self.inputs.stub)];
        let uefi = uefi.map(|(name, bytes)| (name, boot::version(bytes), digest::of(bytes)));
        let parts = uefi.iter().map(|(name, version, sha256)| sbom::Part { name, version, sha256 });
        Ok(sbom::document(&sbom::Inputs {
            name: &release.name,
            version: &release.version,
            root_hash: &release.root_hash,
            epoch: release.epoch,
            programs: &release.programs,
            components: components.as_ref(),
            rustc: env!("CORACLE_RUSTC"),
            kernel: sbom::Part {
                name: "linux",
                version: &release.kernel.release,
                sha256: &release.kernel.sha256,
            },
            kernel_source: &release.kernel.source,
            boot: parts.collect(),
            images: release.images.iter().map(|one| (one.reference.as_str(), one.digest.as_str())).collect(),
        }))
    }
}

/// What the programs are made of, if that was noted when they were compiled.
fn components(path: &Path) -> Result<Option<Components>, Error> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => Ok(Some(serde_json::from_slice(&other.map_err(Error::file("read", path))?)?)),
    }
}
