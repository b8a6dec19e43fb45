//! The init of the guest in which boot entries are changed: does what `guest=` on the kernel command line says.
//!
//! Between two steps it writes to another partition, past its cache and without a flush: what a step promises has to be kept
//! by the step.

use std::error::Error;
use std::fmt::Debug;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coracle_entries::{Change, Content, Error as Refusal, Fallback, Folder, Keep, Kept, Loader, Staged};
use coracle_layout::OsVersion;
use coracle_qemu_tests::esp::{FOLDER, ROTTEN, content, root};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::statvfs::statvfs;
use sha2::{Digest, Sha256};

const ESP: &str = "/dev/vda1";
const MARKS: &str = "/dev/vda6";
const AT: &str = "/run";
const OPTIONS: &str = "umask=0077";
const ENTRY: &str = "EFI/Linux/coracle_1.1.0.efi";
const FALLBACK: &str = "EFI/coracle/fallback.efi";
const O_DIRECT: i32 = 0o40000;
const SECTOR: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    for (kind, at) in [("proc", "/proc"), ("devtmpfs", "/dev")] {
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let cmdline = fs::read_to_string("/proc/cmdline")?;
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
        marks.after(loader.update(content("loader 2"))?, change)?;
    }
    let (old, new) = (version("1.0.0")?, version("1.1.0")?);
    let keep = |version: OsVersion, keep| fallback.keep(&folder, version, root(&version.to_string()), keep);
    let kept = |entry, fallback| Kept { entry, fallback };
    let (of_entry, of_fallback, of_neither) = (
        kept(Change::Made, Change::None),
        kept(Change::None, Change::Made),
        kept(Change::None, Change::None),
    );
    marks.after(keep(old, Keep::Running)?, of_fallback)?;
    marks.after(keep(new, Keep::Running)?, of_fallback)?;
    marks.after(keep(new, Keep::Running)?, of_neither)?;
    marks.after(keep(old, Keep::Whole)?, of_neither)?;
    for damage in [rot, remove] {
        marks.after(damage(FALLBACK)?, ())?;
        marks.after(keep(new, Keep::Whole)?, of_fallback)?;
    }
    marks.after(rot(ENTRY)?, ())?;
    marks.after(keep(new, Keep::Whole)?, of_entry)?;
    marks.after(remove(ENTRY)?, ())?;
    for change in [Change::Made, Change::None] {
        marks.after(fallback.restore(&folder, new, root("1.1.0"))?, change)?;
    }
    Ok(())
}

/// Changes a bit of a file where it lies, for good.
fn rot(path: &str) -> std::io::Result<()> {
    let file = File::options().read(true).write(true).open(at(path))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, ROTTEN as u64)?;
    file.write_all_at(&[byte[0] ^ 1], ROTTEN as u64)?;
    file.sync_all()
}

/// Removes a file for good. Its clusters are its own until the name is gone.
fn remove(path: &str) -> std::io::Result<()> {
    let path = at(path);
    let _open = File::open(&path)?;
    fs::remove_file(&path)?;
    File::open(path.parent().unwrap_or(&path))?.sync_all()
}

/// What must not be done is not done, and said.
fn refuse() -> Result<(), Box<dyn Error>> {
    let (good, bad) = (version("1.0.0")?, version("1.1.0")?);
    let ours = root("1.0.0");
    for (flags, options, refused) in [
        (MsFlags::MS_RDONLY, OPTIONS, "ro"),
        (MsFlags::MS_DIRSYNC, OPTIONS, "dirsync"),
        (MsFlags::MS_SYNCHRONOUS, OPTIONS, "sync"),
        (MsFlags::empty(), "umask=0077,flush", "flush"),
    ] {
        let (folder, fallback) = (mounted(flags, options)?, Fallback::open(Path::new(AT))?);
        let results = [
            folder.bless(bad).map(drop),
            folder.remove(bad, good),
            folder.clean().map(drop),
            fallback.keep(&folder, good, ours, Keep::Running).map(drop),
            fallback.restore(&folder, good, ours).map(drop),
            Loader::open(Path::new(AT))?.update(b"loader").map(drop),
        ];
        for result in results {
            match result {
                Err(Refusal::ReadOnly { .. }) if refused == "ro" => {}
                Err(Refusal::Mounted { option, .. }) if option == refused => {}
                other => return Err(format!("{refused}: {other:?}").into()),
            }
        }
        drop((folder, fallback));
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
    let keep = |version, root| fallback.keep(&folder, version, root, Keep::Running);
    expect(keep(bad, ours), |e| matches!(e, Refusal::NotBlessed { .. }))?;
    expect(keep(version("1.2.0")?, ours), |e| none_whole(e, |why| matches!(why, Refusal::Absent { .. })))?;
    expect(keep(good, root("1.1.0")), |e| none_whole(e, |why| matches!(why, Refusal::OtherRoot { .. })))?;
    expect(fallback.restore(&folder, bad, ours), |e| matches!(e, Refusal::Absent { .. }))?;
    let full = fill()?;
    expect(keep(good, ours), |e| matches!(e, Refusal::Space { .. }))?;
    drop(full);
    if at(FALLBACK).exists() {
        return Err("a fallback was made".into());
    }
    if folder.list()? != before {
        return Err("something was changed".into());
    }
    // The one that shares clusters is out of the way, for what needs room in the folder.
    fs::rename(at(FOLDER).join("coracle_0.9.0+3-0.tmp"), at("kept"))?;
    expect(folder.stage(version("1.2.0")?, &huge, &b""[..]), |e| matches!(e, Refusal::Space { .. }))?;
    expect(folder.stage(version("1.2.0")?, &one, &b"x"[..]), |e| matches!(e, Refusal::Content { .. }))?;
    fs::create_dir(at(ENTRY))?;
    expect(folder.bless(bad), |e| matches!(e, Refusal::File { operation: "rename", .. }))?;
    Ok(())
}

/// Whether there is nothing to copy, and this is why not the entry.
fn none_whole(refusal: &Refusal, want: fn(&Refusal) -> bool) -> bool {
    matches!(refusal, Refusal::NoneWhole { source, .. } if want(source))
}

/// Takes what is free, but for a MiB, for as long as the file is open.
fn fill() -> Result<File, Box<dyn Error>> {
    let (path, free) = (at("full"), statvfs(AT)?);
    let file = File::create(&path)?;
    let len = free.blocks_available() * free.fragment_size() - (1 << 20);
    fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, len.try_into()?)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn expect<T: Debug>(result: Result<T, Refusal>, want: fn(&Refusal) -> bool) -> Result<(), Box<dyn Error>> {
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
    Ok(Folder::open(&at(FOLDER))?)
}

/// Where a file of the partition is.
fn at(path: &str) -> PathBuf {
    Path::new(AT).join(path)
}

fn stage<'a>(folder: &'a Folder, text: &str) -> Result<Staged<'a>, Box<dyn Error>> {
    Ok(folder.stage(version(text)?, &announced(text), content(text))?)
}

fn announced(text: &str) -> Content {
    let bytes = content(text);
    Content { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
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

    /// The next one, if the step came to what it should.
    fn after<T: PartialEq + Debug>(&mut self, step: T, expected: T) -> Result<(), Box<dyn Error>> {
        match step == expected {
            true => Ok(self.next()?),
            false => Err(format!("{step:?} instead of {expected:?}").into()),
        }
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
