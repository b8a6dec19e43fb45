//! The init of the guest in which boot entries are changed: does what `guest=` on the kernel command line says.
//!
//! Between two steps it writes to another partition, past its cache and without a flush: what a step promises has to be kept
//! by the step.

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use coracle_entries::{Change, Content, Error as Refusal, Fallback, Folder, Loader, Staged};
use coracle_layout::OsVersion;
use coracle_qemu_tests::esp::{FOLDER, content};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::reboot::{RebootMode, reboot};
use sha2::{Digest, Sha256};

const ESP: &str = "/dev/vda1";
const MARKS: &str = "/dev/vda6";
const AT: &str = "/run";
const OPTIONS: &str = "umask=0077";
const O_DIRECT: i32 = 0o40000;
const SECTOR: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    for (kind, at) in [("proc", "/proc"), ("devtmpfs", "/dev")] {
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let cmdline = std::fs::read_to_string("/proc/cmdline")?;
    match cmdline.split_whitespace().find_map(|word| word.strip_prefix("guest=")) {
        Some("change") => change()?,
        Some("replace") => replace()?,
        Some("refuse") => refuse()?,
        other => return Err(format!("no task {other:?}").into()),
    }
    println!("guest: done");
    // Nothing is unmounted, nothing synced: what is not on the disk now never was promised.
    match reboot(RebootMode::RB_POWER_OFF)? {}
}

/// Each step that the test knows, with a mark behind it.
fn change() -> Result<(), Box<dyn Error>> {
    let folder = mounted(MsFlags::empty(), OPTIONS)?;
    let mut marks = Marks::open()?;
    let (first, second, third) = (version("1.0.0")?, version("1.1.0")?, version("1.2.0")?);
    folder.clean()?;
    marks.next()?;
    let staged = stage(&folder, "1.1.0")?;
    marks.next()?;
    staged.activate()?;
    marks.next()?;
    folder.bless(second)?;
    marks.next()?;
    folder.demote(first)?;
    marks.next()?;
    folder.remove(first, second)?;
    marks.next()?;
    let staged = stage(&folder, "1.2.0")?;
    marks.next()?;
    staged.activate()?;
    marks.next()?;
    folder.remove(third, second)?;
    marks.next()?;
    Ok(())
}

/// Each step of the other test, with a mark behind it.
fn replace() -> Result<(), Box<dyn Error>> {
    let folder = mounted(MsFlags::empty(), OPTIONS)?;
    let mut marks = Marks::open()?;
    let (loader, fallback) = (Loader::open(Path::new(AT))?, Fallback::open(Path::new(AT))?);
    for change in [Change::Made, Change::None] {
        changed(loader.update(&content("loader 2"))?, change)?;
        marks.next()?;
    }
    for (text, change) in [("1.0.0", Change::Made), ("1.1.0", Change::Made), ("1.1.0", Change::None)] {
        changed(fallback.replace(&folder, version(text)?, &announced(text))?, change)?;
        marks.next()?;
    }
    if fallback.digest()? == Some(announced("1.1.0")) { Ok(()) } else { Err("not what it should be".into()) }
}

fn changed(change: Change, expected: Change) -> Result<(), Box<dyn Error>> {
    if change == expected { Ok(()) } else { Err(format!("{change:?} instead of {expected:?}").into()) }
}

/// What must not be done is not done, and said.
fn refuse() -> Result<(), Box<dyn Error>> {
    let (good, bad) = (version("1.0.0")?, version("1.1.0")?);
    for (flags, options, refused) in [
        (MsFlags::MS_RDONLY, OPTIONS, "ro"),
        (MsFlags::MS_DIRSYNC, OPTIONS, "dirsync"),
        (MsFlags::MS_SYNCHRONOUS, OPTIONS, "sync"),
        (MsFlags::empty(), "umask=0077,flush", "flush"),
    ] {
        let folder = mounted(flags, options)?;
        let results = [
            folder.bless(bad).map(drop),
            folder.remove(bad, good),
            folder.clean().map(drop),
            Fallback::open(Path::new(AT))?.replace(&folder, good, &announced("1.0.0")).map(drop),
            Loader::open(Path::new(AT))?.update(b"loader").map(drop),
        ];
        for result in results {
            match result {
                Err(Refusal::ReadOnly { .. }) if refused == "ro" => {}
                Err(Refusal::Mounted { option, .. }) if option == refused => {}
                other => return Err(format!("{refused}: {other:?}").into()),
            }
        }
        drop(folder);
        umount(AT)?;
    }
    let folder = mounted(MsFlags::empty(), OPTIONS)?;
    let before = folder.list()?;
    let huge = Content { len: 1 << 30, sha256: [0; 32] };
    let one = Content { len: 1, ..huge };
    expect(folder.stage(version("1.2.0")?, &huge, &b""[..]), |e| matches!(e, Refusal::Crowded { .. }))?;
    expect(folder.stage(good, &one, &b"x"[..]), |e| matches!(e, Refusal::Exists { .. }))?;
    expect(folder.remove(good, good), |e| matches!(e, Refusal::Running { .. }))?;
    expect(folder.remove(good, version("1.2.0")?), |e| matches!(e, Refusal::NoOtherGood { .. }))?;
    expect(folder.remove(bad, good), |e| matches!(e, Refusal::Shared { .. }))?;
    expect(folder.clean(), |e| matches!(e, Refusal::Shared { .. }))?;
    let fallback = Fallback::open(Path::new(AT))?;
    expect(fallback.replace(&folder, bad, &one), |e| matches!(e, Refusal::NotBlessed { .. }))?;
    expect(fallback.replace(&folder, version("1.2.0")?, &one), |e| matches!(e, Refusal::Absent { .. }))?;
    expect(fallback.replace(&folder, good, &huge), |e| matches!(e, Refusal::Space { .. }))?;
    expect(fallback.replace(&folder, good, &one), |e| matches!(e, Refusal::Content { .. }))?;
    if fallback.digest()?.is_some() {
        return Err("a fallback was made".into());
    }
    if folder.list()? != before {
        return Err("something was changed".into());
    }
    // The one that shares clusters is out of the way, for what needs room in the folder.
    std::fs::rename(Path::new(AT).join(FOLDER).join("coracle_0.9.0+3-0.tmp"), Path::new(AT).join("kept"))?;
    expect(folder.stage(version("1.2.0")?, &huge, &b""[..]), |e| matches!(e, Refusal::Space { .. }))?;
    expect(folder.stage(version("1.2.0")?, &one, &b"x"[..]), |e| matches!(e, Refusal::Content { .. }))?;
    std::fs::create_dir(Path::new(AT).join(FOLDER).join("coracle_1.1.0.efi"))?;
    expect(folder.bless(bad), |e| matches!(e, Refusal::File { operation: "rename", .. }))?;
    Ok(())
}

fn expect<T: std::fmt::Debug>(
    result: Result<T, Refusal>,
    want: fn(&Refusal) -> bool,
) -> Result<(), Box<dyn Error>> {
    match result {
        Err(refusal) if want(&refusal) => {
            println!("guest: refused: {refusal}");
            Ok(())
        }
        other => Err(format!("not refused as it should: {other:?}").into()),
    }
}

fn mounted(flags: MsFlags, options: &str) -> Result<Folder, Box<dyn Error>> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
    mount(Some(ESP), AT, Some("vfat"), flags, Some(options))?;
    Ok(Folder::open(&Path::new(AT).join(FOLDER))?)
}

fn stage<'a>(folder: &'a Folder, text: &str) -> Result<Staged<'a>, Box<dyn Error>> {
    let bytes = content(text);
    Ok(folder.stage(version(text)?, &announced(text), &bytes[..])?)
}

fn announced(text: &str) -> Content {
    let bytes = content(text);
    Content { len: bytes.len() as u64, sha256: Sha256::digest(&bytes).into() }
}

fn version(text: &str) -> Result<OsVersion, coracle_layout::BadVersion> {
    text.parse()
}

/// Sectors written one behind the other.
struct Marks {
    device: File,
    count: u64,
}

impl Marks {
    fn open() -> std::io::Result<Self> {
        let device = File::options().write(true).custom_flags(O_DIRECT).open(MARKS)?;
        Ok(Self { device, count: 0 })
    }

    fn next(&mut self) -> std::io::Result<()> {
        self.count += 1;
        let mut space = vec![0; 2 * SECTOR];
        let start = space.as_ptr().align_offset(SECTOR);
        let sector = &mut space[start..start + SECTOR];
        sector[..8].copy_from_slice(&self.count.to_le_bytes());
        self.device.write_all_at(sector, self.count * SECTOR as u64)
    }
}
