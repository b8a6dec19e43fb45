//! Tar records one by one, with the extension headers resolved under bounds.
//!
//! The `tar` crate reads the raw records; GNU long names and PAX headers are joined here, because the
//! crate would read them whole whatever their size and lets PAX `size` silently win over the header.
//! Here a contradiction between two ways of saying a thing is a refusal.

use std::io::Read;

use tar::{Entries, EntryType};

use crate::error::Refusal;
use crate::limits::{PATH_MAX, PAX_MAX};
use crate::pax::Pax;

/// One entry's metadata, as written: nothing is checked against a tree yet.
#[derive(Debug)]
pub(crate) struct Record {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: RecordKind,
    pub size: u64,
    /// Where the data starts in the stream.
    pub position: u64,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Regular,
    Directory,
    Symlink,
    HardLink,
    Special(&'static str),
}

/// Calls `each` for every entry in order; it may read the data, or leave it.
///
/// Generic over the caller's error, made from a refusal and the name of the entry at hand (empty before the first).
pub(crate) fn for_each<R: Read, E>(
    entries: Entries<'_, R>,
    max_records: u64,
    refuse: impl Fn(Refusal, &[u8]) -> E,
    mut each: impl FnMut(Record, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut pending = Pending::default();
    let mut last = Vec::new();
    let mut count = 0u64;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|e| refuse(Refusal::Stream(e), &last))?;
        count += 1;
        if count > max_records {
            return Err(refuse(Refusal::Limit("entries"), &last));
        }
        let raw_name = entry.header().path_bytes().into_owned();
        let kind = entry.header().entry_type();
        if pending.take(kind, &mut entry).map_err(|e| refuse(e, &raw_name))? {
            continue;
        }
        let ready = std::mem::take(&mut pending);
        let name = ready.name(&raw_name).to_vec();
        let record = ready.finish(&entry, &name).map_err(|e| refuse(e, &name))?;
        last = name;
        each(record, &mut entry)?;
    }
    if pending.is_empty() { Ok(()) } else { Err(refuse(Refusal::DanglingExtension, &last)) }
}

/// Extension headers waiting for their entry.
#[derive(Default)]
struct Pending {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Pending {
    /// Takes the record if it is an extension header.
    fn take(&mut self, kind: EntryType, entry: &mut tar::Entry<'_, impl Read>) -> Result<bool, Refusal> {
        match kind {
            EntryType::GNULongName => once(&mut self.long_name, gnu_name(entry)?)?,
            EntryType::GNULongLink => once(&mut self.long_link, gnu_name(entry)?)?,
            EntryType::XHeader => once(&mut self.pax, Pax::parse(&bounded(entry, PAX_MAX)?)?)?,
            EntryType::XGlobalHeader => Pax::check_global(&bounded(entry, PAX_MAX)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.pax.is_none()
    }

    fn name<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        let pax = self.pax.as_ref().and_then(|p| p.path.as_deref());
        pax.or(self.long_name.as_deref()).unwrap_or(raw)
    }

    fn finish(self, entry: &tar::Entry<'_, impl Read>, name: &[u8]) -> Result<Record, Refusal> {
        let header = entry.header();
        let pax = self.pax.unwrap_or_default();
        if (self.long_name.is_some() && pax.path.is_some())
            || (self.long_link.is_some() && pax.link.is_some())
        {
            return Err(Refusal::TwoExtensions);
        }
        let size = entry.size();
        if let Some(want) = pax.size.filter(|want| *want != size) {
            return Err(Refusal::PaxSize { pax: want, header: size });
        }
        let id = |pax: Option<u64>, header: std::io::Result<u64>, what| {
            let wide = pax.map_or(header, Ok).map_err(|_| Refusal::Number(what))?;
            u32::try_from(wide).map_err(|_| Refusal::Number(what))
        };
        let link = pax.link.or(self.long_link);
        let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let mtime = header.mtime().map_err(|_| Refusal::Number("mtime"))?;
        let mode = header.mode().map_err(|_| Refusal::Number("mode"))?;
        let record = Record {
            path: name.to_vec(),
            link,
            kind: kind_of(header.entry_type())?,
            size,
            position: entry.raw_file_position(),
            mode: u16::try_from(mode & 0o7777).unwrap_or_default(),
            uid: id(pax.uid, header.uid(), "uid")?,
            gid: id(pax.gid, header.gid(), "gid")?,
            mtime: pax
                .mtime
                .map_or_else(|| i64::try_from(mtime), Ok)
                .map_err(|_| Refusal::Number("mtime"))?,
            xattrs: pax.xattrs,
        };
        match record.kind {
            RecordKind::Regular if record.path.ends_with(b"/") => Err(Refusal::FileNamedAsDirectory),
            RecordKind::Regular => Ok(record),
            _ if record.size != 0 => Err(Refusal::Data),
            _ => Ok(record),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    if slot.replace(value).is_some() {
        return Err(Refusal::TwoExtensions);
    }
    Ok(())
}

fn kind_of(kind: EntryType) -> Result<RecordKind, Refusal> {
    Ok(match kind {
        EntryType::Regular => RecordKind::Regular,
        EntryType::Directory => RecordKind::Directory,
        EntryType::Symlink => RecordKind::Symlink,
        EntryType::Link => RecordKind::HardLink,
        EntryType::Char => RecordKind::Special("character device"),
        EntryType::Block => RecordKind::Special("block device"),
        EntryType::Fifo => RecordKind::Special("fifo"),
        other => return Err(Refusal::RecordType(other.as_byte())),
    })
}

fn gnu_name(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, Refusal> {
    if entry.size() > PATH_MAX as u64 + 1 {
        return Err(Refusal::PathTooLong);
    }
    let mut name = bounded(entry, PATH_MAX as u64 + 1)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn bounded(entry: &mut tar::Entry<'_, impl Read>, limit: u64) -> Result<Vec<u8>, Refusal> {
    let size = entry.size();
    if size > limit {
        return Err(Refusal::Limit("extension header"));
    }
    let mut data = Vec::new();
    entry.take(limit).read_to_end(&mut data).map_err(Refusal::Stream)?;
    if data.len() as u64 != size {
        return Err(Refusal::Stream(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(data)
}
