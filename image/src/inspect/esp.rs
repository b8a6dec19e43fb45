//! The EFI system partition: the boot manager, and every UKI taken apart.

use std::collections::BTreeMap;

use coracle_fat::read::{Image, Kind, Limits};
use coracle_layout::RootHash;
use coracle_layout::cmdline::{Cmdline, ROOT_HASH};
use coracle_uki::{EntryName, Uki};

use super::payload;
use super::report::{EntryFacts, Faults, chain};
use super::window::Window;
use crate::digest;

/// The boot manager where firmware looks without being told, and where it is told to.
pub(super) const LOADERS: [&str; 2] = ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"];
const ENTRIES: &str = "EFI/Linux/";
const FALLBACK: &str = "EFI/coracle/fallback.efi";
const REQUIRED: [&str; 5] = [".linux", ".initrd", ".cmdline", ".osrel", ".sbat"];
/// The longest file that is read.
const MAX_FILE: u64 = 512 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Esp {
    pub loader: Option<String>,
    pub entries: Vec<EntryFacts>,
    /// SHA-256 of every file, by path.
    pub digests: BTreeMap<String, String>,
}

/// Reads everything on the partition.
pub(super) fn read(window: Window<'_>, faults: &mut Faults<'_>) -> Esp {
    let mut esp = Esp::default();
    let len = window.len();
    let mut image = match Image::open(window, len) {
        Ok(image) => image,
        Err(error) => {
            faults.add(chain(&error));
            return esp;
        }
    };
    let listing = image.list(Limits::default());
    listing.faults.iter().for_each(|fault| faults.add(chain(fault)));
    for entry in listing.entries.iter().filter(|entry| entry.kind != Kind::Folder) {
        match image.content(entry, MAX_FILE) {
            Ok(bytes) => esp.take(&entry.path, &bytes, faults),
            Err(error) => faults.add(chain(&error)),
        }
    }
    esp.check_whole(faults);
    esp
}

impl Esp {
    fn take(&mut self, path: &str, bytes: &[u8], faults: &mut Faults<'_>) {
        let sha256 = digest::of(bytes);
        if LOADERS.contains(&path) {
            match loader_version(bytes) {
                Ok(version) => self.loader = Some(version),
                Err(what) => faults.add(format!("{path}: {what}")),
            }
        }
        let is_entry = path.strip_prefix(ENTRIES).is_some_and(|name| name.ends_with(".efi"));
        if is_entry || path == FALLBACK {
            let facts = EntryFacts {
                path: path.to_owned(),
                bytes: bytes.len() as u64,
                sha256: sha256.clone(),
                ..EntryFacts::default()
            };
            self.entries.push(entry(facts, bytes, faults));
        }
        self.digests.insert(path.to_owned(), sha256);
    }

    fn check_whole(&self, faults: &mut Faults<'_>) {
        let copies = LOADERS.map(|path| self.digests.get(path));
        for (path, copy) in LOADERS.iter().zip(&copies) {
            if copy.is_none() {
                faults.add(format!("{path} is missing"));
            }
        }
        if let [Some(one), Some(other)] = copies
            && one != other
        {
            faults.add(format!("{} and {} are not the same", LOADERS[0], LOADERS[1]));
        }
        if !self.entries.iter().any(|entry| entry.path != FALLBACK) {
            faults.add(format!("there is no boot entry in {ENTRIES}"));
        }
    }
}

/// systemd-boot's own words in `.sdmagic`: `#### LoaderInfo: systemd-boot 252.39 ####`.
fn loader_version(bytes: &[u8]) -> Result<String, String> {
    let image = Uki::parse(bytes).map_err(|error| chain(&error))?;
    let magic = image.section(".sdmagic").map(String::from_utf8_lossy);
    let info = magic.as_deref().and_then(|text| text.split_once("LoaderInfo: ")?.1.split_once(" ####"));
    info.map(|(version, _)| version.to_owned()).ok_or_else(|| "it is not systemd-boot".into())
}

fn entry(mut facts: EntryFacts, bytes: &[u8], faults: &mut Faults<'_>) -> EntryFacts {
    let path = facts.path.clone();
    let mut sound = true;
    let mut wrong = |what: String| {
        sound = false;
        faults.add(format!("{path}: {what}"));
    };
    let name = facts.path.strip_prefix(ENTRIES).map(str::parse::<EntryName>);
    let name = name.and_then(|name| name.map_err(|error| wrong(chain(&error))).ok());
    facts.assessment = name.map(|name| name.assessment().word());
    let uki = match Uki::parse(bytes) {
        Ok(uki) => uki,
        Err(error) => {
            wrong(chain(&error));
            return facts;
        }
    };
    facts.signed = uki.certificates().is_some();
    facts.sections =
        uki.sections().iter().map(|section| (section.name.clone(), section.data.len() as u64)).collect();
    for section in REQUIRED.iter().filter(|section| uki.section(section).is_none()) {
        wrong(format!("section {section} is missing"));
    }
    if let Some(kernel) = uki.section(".linux") {
        match payload::kernel(kernel) {
            Ok(version) => facts.kernel = Some(version),
            Err(what) => wrong(format!(".linux: {what}")),
        }
    }
    if let (Some(said), Some(kernel)) = (uki.section(".uname"), &facts.kernel)
        && kernel.split(' ').next().map(str::as_bytes) != Some(said.trim_ascii_end())
    {
        wrong(".uname: it is not the release of the kernel".into());
    }
    if let Some(Err(what)) = uki.section(".initrd").map(payload::initrd) {
        wrong(format!(".initrd: {what}"));
    }
    if let Some(Err(what)) = uki.section(".cmdline").map(|bytes| command_line(bytes, &mut facts)) {
        wrong(format!(".cmdline: {what}"));
    }
    if let Some(Err(what)) = uki.section(".osrel").map(|bytes| os_release(bytes, name, &mut facts)) {
        wrong(format!(".osrel: {what}"));
    }
    if uki.section(".sbat").is_some_and(|sbat| !sbat.starts_with(b"sbat,")) {
        wrong(".sbat: it does not begin with its own generation".into());
    }
    // It says that there is damage, not where.
    if sound && let Err(what) = uki.is_whole() {
        faults.add(format!("{path}: {what}"));
    }
    facts
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\0', '\n', ' ']);
    if text.contains(|c: char| c.is_control() && c != '\n') {
        Err("it has control characters".into())
    } else {
        Ok(text)
    }
}

fn command_line(bytes: &[u8], facts: &mut EntryFacts) -> Result<(), String> {
    let text = text(bytes)?;
    facts.command_line = Some(text.to_owned());
    let value = Cmdline::new(text).value(ROOT_HASH).ok_or("it names no root hash")?;
    let root: RootHash = value.parse().map_err(|error| chain(&error))?;
    facts.root_hash = Some(root.to_string());
    Ok(())
}

/// The version that the boot menu shows is the one that the file's name sorts by.
fn os_release(bytes: &[u8], name: Option<EntryName>, facts: &mut EntryFacts) -> Result<(), String> {
    let value = |key: &str| {
        let lines = text(bytes)?.lines();
        let found = lines.filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key);
        Ok::<_, String>(found.map(|(_, value)| value.trim_matches(['"', '\'']).to_owned()))
    };
    let version = value("IMAGE_VERSION")?.or(value("VERSION_ID")?).ok_or("it names no version")?;
    let said = version.parse().ok();
    facts.version = Some(version.clone());
    match name {
        Some(name) if said != Some(name.version()) => {
            Err(format!("it names version {version}, the file's name {}", name.version()))
        }
        _ => Ok(()),
    }
}
