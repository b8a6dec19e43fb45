//! The writer: superblock, inodes, then data, with a seek back for each tail.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use coracle_tree::{Kind, Tree};

use crate::dirents::Dirent;
use crate::format::{self, BLOCK, COMPACT, FileType, Label, put};
use crate::plan::{Plan, Planned};
use crate::{Error, dirents, xattrs};

/// What an image says beside its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The volume's UUID, in the order of its text form.
    pub uuid: [u8; 16],
    /// The time of every inode, in seconds since 1970.
    pub build_time: u64,
    /// The volume's label.
    pub volume_label: Label,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The length of the image in blocks of 4096 bytes.
    pub blocks: u32,
    /// How many of them hold the superblock and the inodes.
    pub meta_blocks: u32,
    /// How many inodes there are.
    pub inodes: u64,
}

impl Layout {
    /// The length of the image in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }
}

/// Writes `tree` as an image that begins where `out` stands and has whole blocks; `out` is left at its end.
///
/// Every byte of the image is written, whatever `out` held before. Files are streamed through a buffer of 64 KiB.
/// Nothing is synced: that is the caller's, who knows what `out` is.
pub fn write(tree: &Tree, options: &Options, out: &mut (impl Write + Seek)) -> Result<Layout, Error> {
    let plan = Plan::new(tree)?;
    let base = out.stream_position().map_err(image)?;
    let mut out = Out { inner: BufWriter::with_capacity(BUFFER, out), base, at: 0 };
    out.put(&superblock(&plan, options)).map_err(image)?;
    write_inodes(&plan, options, &mut out)?;
    for planned in &plan.inodes {
        write_data(&plan, planned, &mut out)?;
    }
    out.inner.flush().map_err(image)?;
    Ok(Layout {
        blocks: plan.blocks,
        meta_blocks: (plan.data_at / BLOCK) as u32,
        inodes: plan.inodes.len() as u64,
    })
}

const BUFFER: usize = 64 * 1024;

fn image(source: io::Error) -> Error {
    Error::Image { source }
}

/// The output with a position relative to the image's beginning.
struct Out<'o, W: Write + Seek> {
    inner: BufWriter<&'o mut W>,
    base: u64,
    at: u64,
}

impl<W: Write + Seek> Out<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    fn zeros_to(&mut self, at: u64) -> io::Result<()> {
        let count = at.saturating_sub(self.at);
        self.at += count;
        io::copy(&mut io::repeat(0).take(count), &mut self.inner).map(drop)
    }

    /// Writes `bytes` elsewhere and returns.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.seek(SeekFrom::Start(self.base + at))?;
        self.inner.write_all(bytes)?;
        self.inner.seek(SeekFrom::Start(self.base + self.at)).map(drop)
    }
}

/// Block 0.
fn superblock(plan: &Plan<'_>, options: &Options) -> [u8; BLOCK as usize] {
    let mut block = [0; BLOCK as usize];
    let fields = &mut block[format::SUPER_OFFSET..];
    put(fields, 0, &format::MAGIC.to_le_bytes());
    put(fields, 8, &(format::COMPAT_CHECKSUM | format::COMPAT_MTIME).to_le_bytes());
    put(fields, 12, &[format::BLOCK_BITS]);
    put(fields, 14, &((BLOCK / format::SLOT) as u16).to_le_bytes());
    put(fields, 16, &(plan.inodes.len() as u64).to_le_bytes());
    put(fields, 24, &options.build_time.to_le_bytes());
    put(fields, 36, &plan.blocks.to_le_bytes());
    put(fields, 48, &options.uuid);
    put(fields, 64, &options.volume_label.padded());
    let checksum = format::crc32c(fields);
    put(fields, 4, &checksum.to_le_bytes());
    block
}

/// Every inode with its attributes; zeros where tails will go.
fn write_inodes<W: Write + Seek>(
    plan: &Plan<'_>,
    options: &Options,
    out: &mut Out<'_, W>,
) -> Result<(), Error> {
    for (index, planned) in plan.inodes.iter().enumerate() {
        let xattrs = xattrs::encode(&planned.node.meta().xattrs, &planned.path)?;
        let icount = xattrs::icount(xattrs.len()).unwrap_or_default();
        out.zeros_to(planned.at).map_err(image)?;
        let bytes = inode(planned, index as u32 + 1, icount, options.build_time);
        out.put(&bytes[..planned.fixed as usize]).map_err(image)?;
        out.put(&xattrs).map_err(image)?;
    }
    out.zeros_to(plan.data_at).map_err(image)
}

/// An inode; of a compact one the first 32 bytes count.
fn inode(planned: &Planned<'_>, ino: u32, icount: u16, build_time: u64) -> [u8; 64] {
    let meta = planned.node.meta();
    let compact = planned.fixed == COMPACT;
    let mode = FileType::of(planned.node.kind()).mode_bits() | meta.mode.bits();
    let union = match planned.node.kind() {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => format::encode_device(*device),
        _ => planned.first_block,
    };
    let mut bytes = [0; 64];
    put(&mut bytes, 0, &(u16::from(!compact) | planned.data_layout << 1).to_le_bytes());
    put(&mut bytes, 2, &icount.to_le_bytes());
    put(&mut bytes, 4, &mode.to_le_bytes());
    put(&mut bytes, 16, &union.to_le_bytes());
    put(&mut bytes, 20, &ino.to_le_bytes());
    // The plan chose compact only where these casts lose nothing.
    if compact {
        put(&mut bytes, 6, &(planned.nlink as u16).to_le_bytes());
        put(&mut bytes, 8, &(planned.size as u32).to_le_bytes());
        put(&mut bytes, 24, &(meta.uid as u16).to_le_bytes());
        put(&mut bytes, 26, &(meta.gid as u16).to_le_bytes());
    } else {
        put(&mut bytes, 8, &planned.size.to_le_bytes());
        put(&mut bytes, 24, &meta.uid.to_le_bytes());
        put(&mut bytes, 28, &meta.gid.to_le_bytes());
        put(&mut bytes, 32, &build_time.to_le_bytes());
        put(&mut bytes, 44, &planned.nlink.to_le_bytes());
    }
    bytes
}

fn write_data<W: Write + Seek>(
    plan: &Plan<'_>,
    planned: &Planned<'_>,
    out: &mut Out<'_, W>,
) -> Result<(), Error> {
    match planned.node.kind() {
        Kind::Directory(_) => stream(planned, &directory(plan, planned)[..], out),
        Kind::Symlink(target) => stream(planned, target.as_bytes(), out),
        Kind::Regular(content) if !content.is_empty() => {
            let source =
                content.open().map_err(|source| Error::Content { path: printable(&planned.path), source })?;
            stream(planned, source, out)
        }
        Kind::Regular(_) | Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => Ok(()),
    }
}

/// The directory's entries, with the numbers the plan gave.
fn directory(plan: &Plan<'_>, planned: &Planned<'_>) -> Vec<u8> {
    let nid = |ino| plan.nids.get(ino).copied().unwrap_or_default();
    let dots = [(&b"."[..], planned.ino), (b"..", planned.parent)];
    let mut entries: Vec<Dirent<'_>> = dots
        .iter()
        .map(|(name, ino)| Dirent { name, nid: nid(ino), file_type: FileType::Directory })
        .collect();
    if let Kind::Directory(children) = planned.node.kind() {
        entries.extend(children.iter().filter_map(|(name, ino)| {
            let file_type = FileType::of(plan.tree.node(*ino)?.kind());
            Some(Dirent { name: name.as_bytes(), nid: nid(ino), file_type })
        }));
    }
    dirents::encode(entries)
}

/// Copies the data: whole blocks here, the tail back behind its inode or here with padding.
fn stream<W: Write + Seek>(
    planned: &Planned<'_>,
    mut source: impl Read,
    out: &mut Out<'_, W>,
) -> Result<(), Error> {
    let mut buffer = vec![0; (planned.size.min(BUFFER as u64)) as usize];
    let mut missing = planned.in_blocks();
    while missing > 0 {
        let want = missing.min(buffer.len() as u64) as usize;
        fill(planned, &mut source, &mut buffer[..want], planned.size - (planned.in_blocks() - missing))?;
        out.put(&buffer[..want]).map_err(image)?;
        missing -= want as u64;
    }
    out.zeros_to(out.at.next_multiple_of(BLOCK)).map_err(image)?;
    let tail = (planned.size - planned.in_blocks()) as usize;
    if tail > 0 {
        fill(planned, &mut source, &mut buffer[..tail], tail as u64)?;
        out.patch(planned.tail_at(), &buffer[..tail]).map_err(image)?;
    }
    Ok(())
}

/// Fills `buffer`, or says how many bytes of the `missing` ones never came.
fn fill(planned: &Planned<'_>, source: &mut impl Read, buffer: &mut [u8], missing: u64) -> Result<(), Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => {
                let missing = missing - filled as u64;
                return Err(Error::Short { path: printable(&planned.path), want: planned.size, missing });
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Content { path: printable(&planned.path), source }),
        }
    }
    Ok(())
}

fn printable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use coracle_tree::{Content, Meta, Mode};

    use super::*;

    fn options() -> Options {
        Options { uuid: [7; 16], build_time: 1_700_000_000, volume_label: Label::default() }
    }

    #[test]
    fn every_byte_is_written_from_where_the_output_stands() {
        let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
        tree.file("a", Meta::root(Mode::READABLE), Content::from(vec![1; 5000])).unwrap();
        let mut clean = Cursor::new(Vec::new());
        let layout = write(&tree, &options(), &mut clean).unwrap();
        let clean = clean.into_inner();
        assert_eq!((clean.len() as u64, clean.len() % 4096), (layout.bytes(), 0));

        let mut dirty = Cursor::new(vec![0xaa; 512 + clean.len()]);
        dirty.set_position(512);
        write(&tree, &options(), &mut dirty).unwrap();
        assert_eq!(dirty.position(), 512 + layout.bytes());
        assert!(dirty.into_inner()[512..] == clean[..]);
    }

    #[test]
    fn files_that_shrank_or_went_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host");
        std::fs::write(&path, [1; 6000]).unwrap();
        for (len, missing) in [(6001, 1), (8192, 2192), (100_000, 94_000)] {
            let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
            let content = Content::File { path: path.clone(), offset: 0, len };
            tree.file("short", Meta::root(Mode::READABLE), content).unwrap();
            match write(&tree, &options(), &mut Cursor::new(Vec::new())) {
                Err(Error::Short { path, want, missing: got }) => {
                    assert_eq!((path.as_str(), want, got), ("short", len, missing));
                }
                other => panic!("{other:?}"),
            }
        }
        let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
        let content = Content::File { path: folder.path().join("gone"), offset: 0, len: 1 };
        tree.file("gone", Meta::root(Mode::READABLE), content).unwrap();
        let got = write(&tree, &options(), &mut Cursor::new(Vec::new()));
        assert!(matches!(got, Err(Error::Content { .. })), "{got:?}");
    }
}
