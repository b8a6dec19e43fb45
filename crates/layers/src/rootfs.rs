//! The merged file tree: what a container sees, as a sorted map.

use std::collections::BTreeMap;

use crate::error::Refusal;
use crate::path::TreePath;

/// A merged tree. Every path's parent is present and a directory; the root is always present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFs {
    entries: BTreeMap<TreePath, Entry>,
}

/// One path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Equal for, and only for, paths that are hard links of one another.
    pub inode: InodeId,
    /// Permission, set-id and sticky bits: `0..=0o7777`.
    pub mode: u16,
    /// Owner, as the image numbers users.
    pub uid: u32,
    /// Group, as the image numbers groups.
    pub gid: u32,
    /// Modification time, whole seconds since the epoch.
    pub mtime: i64,
    /// Extended attributes, sorted by name. A value may be empty.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Identity of a file across its hard links, unique within one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub u64);

/// The kinds of file an image may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file with content.
    Regular {
        /// Where the bytes are.
        content: Content,
    },
    /// A symbolic link, never followed here.
    Symlink {
        /// Its text: not empty, no NUL, at most 4095 bytes.
        target: Vec<u8>,
    },
}

impl Kind {
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Regular { .. } => "regular file",
            Self::Symlink { .. } => "symbolic link",
        }
    }
}

/// A range of the spool file that the caller supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { entries: BTreeMap::from([(TreePath::default(), Entry::implicit(InodeId(0)))]) }
    }
}

impl Entry {
    /// A directory that no layer describes but some entry needs.
    pub(crate) fn implicit(inode: InodeId) -> Self {
        Self { kind: Kind::Directory, inode, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

impl RootFs {
    /// Every path with its entry, parents before children, starting with the root.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.iter()
    }

    /// The entry at a path; symbolic links are not followed.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Number of paths, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tree holds nothing but its root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() <= 1
    }

    /// Removes everything below a path and keeps the path itself.
    pub(crate) fn clear(&mut self, path: &TreePath) {
        let doomed: Vec<TreePath> = self.entries.range(path.below()).map(|(p, _)| p.clone()).collect();
        for path in doomed {
            self.entries.remove(&path);
        }
    }

    /// Removes a path and everything below it; nothing happens if it is absent.
    pub(crate) fn remove(&mut self, path: &TreePath) {
        self.clear(path);
        self.entries.remove(path);
    }

    /// The nearest ancestor that exists must be a directory.
    pub(crate) fn check_parents(&self, path: &TreePath) -> Result<(), Refusal> {
        let mut at = path.parent();
        while let Some(parent) = at {
            match self.entries.get(&parent) {
                Some(entry) if entry.is_directory() => return Ok(()),
                Some(entry) => return Err(Refusal::Parent(entry.kind.noun())),
                None => at = parent.parent(),
            }
        }
        Ok(())
    }

    /// Puts an entry in place by the replacement rule: a directory over a directory keeps the children, all
    /// else replaces the whole subtree. Missing parents become implicit directories, each paid for by `fresh`.
    pub(crate) fn put(
        &mut self,
        path: TreePath,
        entry: Entry,
        mut fresh: impl FnMut(&TreePath) -> Result<InodeId, Refusal>,
    ) -> Result<(), Refusal> {
        self.check_parents(&path)?;
        let mut at = path.parent();
        while let Some(parent) = at {
            if self.entries.contains_key(&parent) {
                break;
            }
            at = parent.parent();
            let inode = fresh(&parent)?;
            self.entries.insert(parent, Entry::implicit(inode));
        }
        self.put_bare(path, entry)
    }

    /// As [`RootFs::put`], without making parents: for the tree of one layer.
    pub(crate) fn put_bare(&mut self, path: TreePath, entry: Entry) -> Result<(), Refusal> {
        if path.is_root() && !entry.is_directory() {
            return Err(Refusal::Root);
        }
        self.check_parents(&path)?;
        let stays = entry.is_directory() && self.entries.get(&path).is_some_and(Entry::is_directory);
        if !stays {
            self.remove(&path);
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// A tree without even a root: what one layer adds.
    pub(crate) fn bare() -> Self {
        Self { entries: BTreeMap::new() }
    }

    pub(crate) fn into_entries(self) -> BTreeMap<TreePath, Entry> {
        self.entries
    }
}
