//! One layer: its tar stream read once, its changes applied to the tree of the layers below.
//!
//! The layer's own entries are gathered first and merged only after the stream matched its diff ID. So
//! whiteouts touch lower layers alone, wherever in the layer they stand, and nothing unverified is merged.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use oci_spec::image::MediaType;
use sha2::{Digest as _, Sha256};

use crate::budget::Budget;
use crate::digest;
use crate::error::{Error, Refusal};
use crate::limits::{PATH_MAX, SpecialFiles};
use crate::path::TreePath;
use crate::records::{self, Record, RecordKind};
use crate::rootfs::{Content, Entry, Kind, RootFs};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What identifies a layer.
pub(crate) struct Identity<'a> {
    pub digest: &'a str,
    pub media_type: &'a MediaType,
    pub diff_id: &'a str,
}

impl Identity<'_> {
    fn refuse(&self, reason: Refusal) -> Error {
        Error::Layer { layer: self.digest.to_owned(), reason }
    }

    fn refuse_entry(&self, reason: Refusal, name: &[u8]) -> Error {
        if name.is_empty() {
            return self.refuse(reason);
        }
        let entry = String::from_utf8_lossy(name).chars().take(256).collect();
        Error::Entry { layer: self.digest.to_owned(), entry, reason }
    }
}

/// Applies one verified blob to `lower`. `omitted` counts special files left out by policy.
pub(crate) fn apply<'r, S: Write + Seek>(
    lower: &mut RootFs,
    blob: impl Read + 'r,
    id: &Identity<'_>,
    budget: &mut Budget,
    special: SpecialFiles,
    spool: &mut S,
    omitted: &mut u64,
) -> Result<(), Error> {
    let plain = decompress(blob, id.media_type).map_err(|e| id.refuse(e))?;
    let mut stream = Metered {
        inner: plain,
        hash: Sha256::new(),
        left: budget.limits.layer_decompressed,
        exceeded: false,
    };
    let mut changes = Changes::default();
    let read = changes.read(&mut stream, lower, id, budget, special, spool);
    if stream.exceeded {
        return Err(id.refuse(Refusal::Limit("layer_decompressed")));
    }
    read?;
    let got = digest::show(stream.hash);
    if got != id.diff_id {
        return Err(id.refuse(Refusal::DiffId { want: id.diff_id.to_owned(), got }));
    }
    *omitted += changes.omitted;
    changes.merge(lower, id, budget)
}

fn decompress<'r>(blob: impl Read + 'r, media_type: &MediaType) -> Result<Box<dyn Read + 'r>, Refusal> {
    let blob = BufReader::new(blob);
    Ok(match media_type {
        MediaType::ImageLayer => Box::new(blob),
        MediaType::ImageLayerGzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        MediaType::ImageLayerZstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(blob).map_err(Refusal::Stream)?)
        }
        other => return Err(Refusal::MediaType(other.to_string())),
    })
}

/// The decompressed stream, hashed and counted.
struct Metered<R> {
    inner: R,
    hash: Sha256,
    left: u64,
    exceeded: bool,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// What one layer does to those below it.
struct Changes {
    upper: RootFs,
    whiteouts: BTreeSet<TreePath>,
    opaque: BTreeSet<TreePath>,
    /// Hard links into lower layers: (link as named, target).
    borrowed: Vec<(Vec<u8>, TreePath)>,
    omitted: u64,
}

impl Default for Changes {
    fn default() -> Self {
        let (whiteouts, opaque) = (BTreeSet::new(), BTreeSet::new());
        Self { upper: RootFs::bare(), whiteouts, opaque, borrowed: Vec::new(), omitted: 0 }
    }
}

impl Changes {
    fn read<S: Write + Seek>(
        &mut self,
        mut stream: &mut dyn Read,
        lower: &RootFs,
        id: &Identity<'_>,
        budget: &mut Budget,
        special: SpecialFiles,
        spool: &mut S,
    ) -> Result<(), Error> {
        let mut archive = tar::Archive::new(&mut stream);
        let entries = archive.entries().map_err(|e| id.refuse(Refusal::Stream(e)))?;
        let max = budget.entries_left();
        let refuse = |reason, name: &[u8]| id.refuse_entry(reason, name);
        records::for_each(entries, max, refuse, |record, data| {
            let name = record.path.clone();
            self.entry(record, data, lower, budget, special, spool).map_err(|e| id.refuse_entry(e, &name))
        })?;
        only_zeros(stream).map_err(|e| id.refuse(e))
    }

    fn entry<S: Write + Seek>(
        &mut self,
        record: Record,
        data: &mut dyn Read,
        lower: &RootFs,
        budget: &mut Budget,
        special: SpecialFiles,
        spool: &mut S,
    ) -> Result<(), Refusal> {
        let path = TreePath::parse(&record.path, budget.limits.depth)?;
        let xattrs: usize = record.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        budget.entry(path.len() + record.link.len() + xattrs)?;
        self.upper.check_parents(&path)?;
        if self.whiteout(&record, &path)? {
            return Ok(());
        }
        let kind = match record.kind {
            RecordKind::Directory => Kind::Directory,
            RecordKind::Regular => Kind::Regular { content: copy(record.size, data, budget, spool)? },
            RecordKind::Symlink => Kind::Symlink { target: symlink_target(record.link)? },
            RecordKind::HardLink => {
                let entry = self.hard_link(&record, lower, budget)?;
                return self.upper.put_bare(path, entry);
            }
            RecordKind::Special(_) if special == SpecialFiles::Omit => {
                self.upper.remove(&path);
                self.whiteouts.insert(path);
                self.omitted += 1;
                return Ok(());
            }
            RecordKind::Special(noun) => return Err(Refusal::Special(noun)),
        };
        let Record { mode, uid, gid, mtime, xattrs, .. } = record;
        let entry = Entry { kind, inode: budget.inode(), mode, uid, gid, mtime, xattrs };
        self.upper.put_bare(path, entry)
    }

    /// Takes the record if it is a whiteout. The `.wh.` prefix is reserved at every depth.
    fn whiteout(&mut self, record: &Record, path: &TreePath) -> Result<bool, Refusal> {
        if !path.components().any(|name| name.starts_with(WHITEOUT)) {
            return Ok(false);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err(Refusal::Reserved);
        };
        if parent.components().any(|name| name.starts_with(WHITEOUT)) || record.kind != RecordKind::Regular {
            return Err(Refusal::Reserved);
        }
        if record.size != 0 {
            return Err(Refusal::Data);
        }
        if name == OPAQUE {
            self.opaque.insert(parent);
            return Ok(true);
        }
        match name.strip_prefix(WHITEOUT) {
            None | Some(b"" | b"." | b"..") => Err(Refusal::Reserved),
            Some(hidden) if hidden.starts_with(WHITEOUT) => Err(Refusal::Reserved),
            Some(hidden) => {
                self.whiteouts.insert(parent.join(hidden));
                Ok(true)
            }
        }
    }

    /// The entry a hard link shares: of this layer if it has the target, else of the layers below.
    fn hard_link(&mut self, record: &Record, lower: &RootFs, budget: &mut Budget) -> Result<Entry, Refusal> {
        let target = TreePath::parse(&record.link, budget.limits.depth)?;
        let shown = || String::from_utf8_lossy(&record.link).chars().take(256).collect();
        self.upper.check_parents(&target)?;
        let own = self.upper.get(&target);
        let found = own.or_else(|| lower.get(&target)).ok_or_else(|| Refusal::LinkMissing(shown()))?;
        if found.is_directory() {
            return Err(Refusal::LinkDirectory(shown()));
        }
        let held: usize = found.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        let text = if let Kind::Symlink { target } = &found.kind { target.len() } else { 0 };
        budget.entry(held + text)?;
        let found = found.clone();
        if own.is_none() {
            self.borrowed.push((record.path.clone(), target));
        }
        Ok(found)
    }

    /// What a whiteout hides must sit in a directory: the nearest thing that exists decides, this layer's first.
    fn check_hidden(&self, lower: &RootFs, mut at: Option<TreePath>) -> Result<(), Refusal> {
        while let Some(path) = at {
            if self.upper.get(&path).is_some() {
                return Ok(());
            }
            match lower.get(&path) {
                Some(entry) if entry.is_directory() => return Ok(()),
                Some(entry) => return Err(Refusal::Parent(entry.kind.noun())),
                None => at = path.parent(),
            }
        }
        Ok(())
    }

    fn merge(self, lower: &mut RootFs, id: &Identity<'_>, budget: &mut Budget) -> Result<(), Error> {
        for path in &self.opaque {
            self.check_hidden(lower, Some(path.clone())).map_err(|e| id.refuse_entry(e, &path.to_bytes()))?;
            lower.clear(path);
        }
        for path in &self.whiteouts {
            self.check_hidden(lower, path.parent()).map_err(|e| id.refuse_entry(e, &path.to_bytes()))?;
            lower.remove(path);
        }
        for (name, target) in self.borrowed {
            if lower.get(&target).is_none() {
                let shown = String::from_utf8_lossy(&target.to_bytes()).into_owned();
                return Err(id.refuse_entry(Refusal::LinkMissing(shown), &name));
            }
        }
        for (path, entry) in self.upper.into_entries() {
            let name = path.to_bytes();
            let fresh = |made: &TreePath| budget.entry(made.len()).map(|()| budget.inode());
            lower.put(path, entry, fresh).map_err(|e| id.refuse_entry(e, &name))?;
        }
        Ok(())
    }
}

fn copy<S: Write + Seek>(
    size: u64,
    data: &mut dyn Read,
    budget: &mut Budget,
    spool: &mut S,
) -> Result<Content, Refusal> {
    budget.content(size)?;
    let offset = spool.seek(SeekFrom::End(0)).map_err(Refusal::Spool)?;
    let mut chunk = [0u8; 64 << 10];
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        let part = chunk.get_mut(..want).unwrap_or_default();
        let count = data.read(part).map_err(Refusal::Stream)?;
        if count == 0 {
            return Err(Refusal::Stream(io::ErrorKind::UnexpectedEof.into()));
        }
        spool.write_all(part.get(..count).unwrap_or_default()).map_err(Refusal::Spool)?;
        left = left.saturating_sub(count as u64);
    }
    Ok(Content { offset, len: size })
}

fn symlink_target(target: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    match target {
        t if t.is_empty() => Err(Refusal::Empty),
        t if t.len() > PATH_MAX => Err(Refusal::PathTooLong),
        t if t.contains(&0) => Err(Refusal::Nul),
        t => Ok(t),
    }
}

fn only_zeros(stream: &mut dyn Read) -> Result<(), Refusal> {
    let mut chunk = [0u8; 16 << 10];
    loop {
        let count = stream.read(&mut chunk).map_err(Refusal::Stream)?;
        if count == 0 {
            return Ok(());
        }
        if chunk.get(..count).unwrap_or_default().iter().any(|b| *b != 0) {
            return Err(Refusal::TrailingGarbage);
        }
    }
}
