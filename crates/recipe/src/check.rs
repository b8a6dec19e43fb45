//! From document to recipe: ranges, and what must agree with what. Goes on after a fault, so that all are found.

mod proof;
mod update;

use crate::document::{At, Boot, Console, Document, EmbeddedImage, File, Image, Kernel, State};
use crate::findings::{Code, Report};
use crate::recipe::{self, Arch, Format, KernelProfile, KernelSource, OnStateFailure, Recipe, RootPath};
use crate::values::{
    ByteLen, ConsoleDevice, Deadline, LogLevel, Mode, Name, Refused, Sha256, SourcePath, refused,
    version as version_of,
};
use crate::words;
use std::collections::BTreeMap;

/// Entries of one list; more than any image has.
const MOST: usize = 4096;

/// FAT32 with 4 KiB clusters has at least 65525 of them, plus its tables.
const ESP: (ByteLen, ByteLen) = (ByteLen::mib(260), ByteLen::mib(4096));
const SLOT: (ByteLen, ByteLen) = (ByteLen::mib(16), ByteLen::mib(16 * 1024));
const VERITY: (ByteLen, ByteLen) = (ByteLen::mib(1), ByteLen::mib(1024));
const BUDGET: (ByteLen, ByteLen) = (ByteLen::mib(1), ByteLen::mib(16 * 1024));

/// The recipe, or `None` with at least one finding.
pub(crate) fn check(document: Document, report: &mut Report<'_>) -> Option<Recipe> {
    // A key that was taken out because of its type is not missing as well.
    let complete = report.is_empty();
    let mut check = Check { report, complete };
    let name = check.need(document.name.as_ref(), "name", Name::parse);
    let version = check.need(document.version.as_ref(), "version", version_of);
    let arch = check.or(document.arch.as_ref(), Arch::X86_64, words::arch);
    let kernel = check.kernel(&document.kernel.unwrap_or_default());
    let profile = kernel.as_ref().map_or(KernelProfile::Virtio, |kernel| kernel.profile);
    let image = check.image(&document.image.unwrap_or_default(), profile);
    let images = check.list(document.images.unwrap_or_default(), Check::embedded);
    let pods = check.list(document.pods.unwrap_or_default(), |check, pod| {
        check.need(pod.manifest.as_ref(), "pods.manifest", SourcePath::parse)
    });
    let files = check.files(document.files.unwrap_or_default());
    let console = check.console(&document.console.unwrap_or_default());
    let State { on_failure } = document.state.unwrap_or_default();
    let on_state_failure = check.or(on_failure.as_ref(), OnStateFailure::Recover, words::on_failure);
    let Boot { deadline } = document.boot.unwrap_or_default();
    let boot_deadline = check.or(deadline.as_ref(), Deadline::DEFAULT, Deadline::parse);
    let update = match &document.update {
        None => Some(None),
        Some(wire) => {
            let image = update::Image {
                name: document.name.as_ref(),
                version,
                arch: "x86_64",
                boot_deadline: boot_deadline.unwrap_or(Deadline::DEFAULT),
            };
            check.update(wire, &image).map(Some)
        }
    };
    Some(Recipe {
        name: name?,
        version: version?,
        arch: arch?,
        kernel: kernel?,
        image: image?,
        images: images?,
        pods: pods?,
        files: files?,
        console: console?,
        on_state_failure: on_state_failure?,
        boot_deadline: boot_deadline?,
        update: update?,
    })
}

struct Check<'r, 't> {
    report: &'r mut Report<'t>,
    complete: bool,
}

impl Check<'_, '_> {
    /// A value that must be there.
    fn need<T>(
        &mut self,
        value: Option<&At<String>>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        match value {
            Some(value) => self.take(value, parse),
            None => self.missing(key),
        }
    }

    /// Reports that a key is not there; never gives a value.
    fn missing<T>(&mut self, key: &str) -> Option<T> {
        if self.complete {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            let example =
                crate::template::example(section, name).unwrap_or_else(|| format!("{name} = \"...\""));
            self.report.add(Code::Missing, 0..0, format!("`{key}` is missing"), format!("add `{example}`"));
        }
        None
    }

    /// A value that may be left out.
    fn or<T>(
        &mut self,
        value: Option<&At<String>>,
        default: T,
        parse: impl Fn(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        value.map_or(Some(default), |value| self.take(value, parse))
    }

    fn take<T>(&mut self, value: &At<String>, parse: impl Fn(&str) -> Result<T, Refused>) -> Option<T> {
        match parse(value.get()) {
            Ok(good) => Some(good),
            Err(refused) => {
                self.bad(value, refused);
                None
            }
        }
    }

    fn bad<T>(&mut self, at: &At<T>, Refused { message, remedy }: Refused) {
        self.report.add(Code::BadValue, at.span(), message, remedy);
    }

    fn conflict<T>(&mut self, at: &At<T>, message: impl Into<String>, remedy: &str) {
        self.report.add(Code::Conflict, at.span(), message, remedy);
    }

    /// Every element, though an earlier one was bad.
    fn list<W, T>(
        &mut self,
        wire: Vec<W>,
        mut each: impl FnMut(&mut Self, &W) -> Option<T>,
    ) -> Option<Vec<T>> {
        if wire.len() > MOST {
            self.report.add(
                Code::BadValue,
                0..0,
                format!("a list has {} entries, more than {MOST}", wire.len()),
                "put the content into a container image",
            );
            return None;
        }
        let all: Vec<Option<T>> = wire.iter().map(|one| each(self, one)).collect();
        all.into_iter().collect()
    }

    fn kernel(&mut self, wire: &Kernel) -> Option<recipe::Kernel> {
        let profile = self.or(wire.profile.as_ref(), KernelProfile::Full, words::profile);
        let source = self.kernel_source(wire);
        let fragments = self.list(wire.fragments.iter().flatten().collect(), |check, path| {
            check.take(path, SourcePath::parse)
        });
        Some(recipe::Kernel { profile: profile?, source: source?, fragments: fragments? })
    }

    fn kernel_source(&mut self, wire: &Kernel) -> Option<KernelSource> {
        let sha256 = match &wire.sha256 {
            None => None,
            Some(text) => Some(self.take(text, Sha256::parse)?),
        };
        let Some(at) = &wire.source else {
            return self.package(wire);
        };
        let text = at.get().as_str();
        if text == "package" {
            return self.package(wire);
        }
        if text.starts_with("https://") {
            if text.len() > 2048 || text.bytes().any(|b| !b.is_ascii_graphic()) {
                self.bad(
                    at,
                    Refused {
                        message: "an address has at most 2048 printable ASCII characters and no space"
                            .to_owned(),
                        remedy: "percent-encode the other characters".to_owned(),
                    },
                );
                return None;
            }
            let Some(sha256) = sha256 else {
                self.conflict(
                    at,
                    "a kernel source that is fetched needs its digest",
                    "add `sha256 = \"...\"` with the first column that `sha256sum FILE` prints",
                );
                return None;
            };
            return Some(KernelSource::Url { url: text.to_owned(), sha256 });
        }
        if ["./", "../", "/"].iter().any(|start| text.starts_with(start)) {
            let path = self.take(at, SourcePath::parse)?;
            return Some(KernelSource::Path { path, sha256 });
        }
        self.bad(at, Refused {
            message: "a kernel source is \"package\", a path that starts with ./ ../ or /, or an https:// address"
                .to_owned(),
            remedy: "for an archive beside the recipe write \"./NAME\"".to_owned(),
        });
        None
    }

    fn package(&mut self, wire: &Kernel) -> Option<KernelSource> {
        if let Some(sha256) = &wire.sha256 {
            self.conflict(
                sha256,
                "the distribution's source package has no digest here",
                "remove `sha256`, or name an archive in `source`",
            );
            return None;
        }
        Some(KernelSource::Package)
    }

    fn image(&mut self, wire: &Image, profile: KernelProfile) -> Option<recipe::Image> {
        let esp = self.or(wire.esp.as_ref(), ByteLen::mib(512), |t| partition(t, ESP));
        let slot = self.or(wire.slot.as_ref(), ByteLen::mib(512), |t| partition(t, SLOT));
        let verity = self.or(wire.verity.as_ref(), ByteLen::mib(16), |t| partition(t, VERITY));
        let budget = self.or(wire.budget.as_ref(), profile.budget(), |t| within(t, BUDGET));
        if let (Some(slot), Some(verity)) = (slot, verity)
            && let Some(at) = wire.verity.as_ref().or(wire.slot.as_ref())
            && verity.get() < tree_len(slot)
        {
            let least = tree_len(slot).div_ceil(ByteLen::MIB);
            let remedy = format!("write `verity = \"{least}MiB\"` or more, or a smaller `slot`");
            self.conflict(
                at,
                format!("the hash tree of a full slot of {slot} does not fit in {verity}"),
                &remedy,
            );
        }
        let formats = self.formats(wire);
        Some(recipe::Image { esp: esp?, slot: slot?, verity: verity?, formats: formats?, budget: budget? })
    }

    fn formats(&mut self, wire: &Image) -> Option<Vec<Format>> {
        let Some(list) = &wire.formats else {
            return Some(vec![Format::Raw]);
        };
        let mut seen = Vec::new();
        let formats = self.list(list.iter().collect(), |check, at| {
            let format = check.take(at, words::format)?;
            if seen.contains(&format) {
                check.conflict(at, "this format is named twice", "name it once");
                return None;
            }
            seen.push(format);
            Some(format)
        })?;
        if formats.is_empty() && list.is_empty() {
            self.report.add(
                Code::BadValue,
                0..0,
                "`image.formats` is empty, so nothing would be written",
                "write `formats = [\"raw\"]`, or leave the key out",
            );
            return None;
        }
        Some(formats)
    }

    fn embedded(&mut self, wire: &EmbeddedImage) -> Option<recipe::EmbeddedImage> {
        let path = self.need(wire.path.as_ref(), "images.path", SourcePath::parse);
        let name = match &wire.name {
            None => Some(None),
            Some(at) => self.take(at, words::reference).map(Some),
        };
        let digest = match &wire.digest {
            None => Some(None),
            Some(at) => self.take(at, words::digest).map(Some),
        };
        Some(recipe::EmbeddedImage { path: path?, name: name?, digest: digest? })
    }

    fn files(&mut self, wire: Vec<File>) -> Option<Vec<recipe::File>> {
        let mut taken: BTreeMap<String, RootPath> = BTreeMap::new();
        self.list(wire, |check, file| {
            let source = check.need(file.source.as_ref(), "files.source", SourcePath::parse);
            let mode = check.or(file.mode.as_ref(), Mode::DEFAULT, Mode::parse);
            let path = check.need(file.path.as_ref(), "files.path", RootPath::parse)?;
            // A trailing slash sorts a path directly before what lies below it.
            let key = format!("{}/", path.as_str());
            let below = taken.range(key.clone()..).next().map(|(_, other)| other);
            let above = key.match_indices('/').find_map(|(end, _)| taken.get(key.get(..=end)?));
            let other = above.or(below.filter(|other| path.holds(other)));
            if let (Some(other), Some(at)) = (other, &file.path) {
                let message = if *other == path {
                    format!("`{}` is named twice", path.as_str())
                } else {
                    format!("`{}` and `{}` cannot both be files", other.as_str(), path.as_str())
                };
                check.conflict(at, message, "choose another path for one of the two");
                return None;
            }
            taken.insert(key, path.clone());
            Some(recipe::File { source: source?, path, mode: mode? })
        })
    }

    fn console(&mut self, wire: &Console) -> Option<recipe::Console> {
        let default = || ["tty0", "ttyS0"].map(ConsoleDevice::parse).into_iter().flatten().collect();
        let mut seen: Vec<ConsoleDevice> = Vec::new();
        let devices = match &wire.devices {
            None => Some(default()),
            Some(list) => self.list(list.iter().collect(), |check, at| {
                let console = check.take(at, ConsoleDevice::parse)?;
                if seen.iter().any(|other| other.device() == console.device()) {
                    check.conflict(at, "this console is named twice", "name it once");
                    return None;
                }
                seen.push(console.clone());
                Some(console)
            }),
        };
        let loglevel = match &wire.loglevel {
            None => Some(LogLevel::DEFAULT),
            Some(at) => match LogLevel::new(*at.get()) {
                Ok(level) => Some(level),
                Err(refused) => {
                    self.bad(at, refused);
                    None
                }
            },
        };
        Some(recipe::Console { devices: devices?, loglevel: loglevel? })
    }
}

/// Bytes of a dm-verity hash device for a full slot: superblock and tree, SHA-256 over 4 KiB blocks.
fn tree_len(slot: ByteLen) -> u64 {
    let mut blocks = slot.get().div_ceil(4096);
    let mut total = 1;
    while blocks > 1 {
        blocks = blocks.div_ceil(128);
        total += blocks;
    }
    total * 4096
}

fn partition(text: &str, range: (ByteLen, ByteLen)) -> Result<ByteLen, Refused> {
    let size = within(text, range)?;
    if size.get() % ByteLen::MIB != 0 {
        return refused("a partition has a whole number of MiB", "write it like \"512MiB\"");
    }
    Ok(size)
}

fn within(text: &str, (least, most): (ByteLen, ByteLen)) -> Result<ByteLen, Refused> {
    let size = ByteLen::parse(text)?;
    if size < least || size > most {
        return refused(
            format!("{size} is out of range: between {least} and {most}"),
            format!("write at least \"{least}\" and at most \"{most}\""),
        );
    }
    Ok(size)
}
