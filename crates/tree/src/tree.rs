//! The tree: inodes in a flat table, directories that hold numbers.
//!
//! Flat, so that a tree of any depth is dropped, walked and pruned without recursion.

use std::collections::BTreeMap;

use crate::{Content, Error, Ino, Kind, Meta, Name, Node, Target};

/// A file tree with a root directory.
///
/// Insertion wants the parent to exist and the path to be free; only [`Tree::dir`] may meet a directory, whose metadata
/// it replaces.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Every inode, each reachable from [`Tree::ROOT`].
    nodes: BTreeMap<Ino, Node>,
    next: u32,
}

impl Tree {
    const ROOT: Ino = Ino(0);

    /// A tree of nothing but its root.
    pub fn new(meta: Meta) -> Self {
        let root = Node { meta, kind: Kind::Directory(BTreeMap::new()), names: 1 };
        Self { nodes: BTreeMap::from([(Self::ROOT, root)]), next: 1 }
    }

    /// The inode of the root directory.
    pub fn root(&self) -> Ino {
        Self::ROOT
    }

    /// How many inodes there are, the root among them.
    pub fn inodes(&self) -> usize {
        self.nodes.len()
    }

    /// The inode with this number; absent once its last name was removed.
    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    /// The inode at a path; absent too when the path is not one.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<(Ino, &Node)> {
        let ino = self.find(&Name::split(path.as_ref()).ok()?)?;
        Some((ino, self.nodes.get(&ino)?))
    }

    /// Makes a directory, or gives the directory that is there new metadata.
    pub fn dir(&mut self, path: impl AsRef<[u8]>, meta: Meta) -> Result<Ino, Error> {
        let path = path.as_ref();
        if let Some(ino) = self.find(&Name::split(path)?)
            && let Some(node) = self.nodes.get_mut(&ino)
            && matches!(node.kind, Kind::Directory(_))
        {
            node.meta = meta;
            return Ok(ino);
        }
        self.insert(path, meta, Kind::Directory(BTreeMap::new()))
    }

    /// Makes a directory and those above it that are missing, all with the same metadata; directories that exist stay
    /// as they are.
    pub fn dir_all(&mut self, path: impl AsRef<[u8]>, meta: &Meta) -> Result<Ino, Error> {
        let path = path.as_ref();
        let names = Name::split(path)?;
        let mut at = Self::ROOT;
        for name in names {
            let Some(Node { kind: Kind::Directory(children), .. }) = self.nodes.get(&at) else {
                return Err(Error::ParentNotDirectory { path: printable(path) });
            };
            at = match children.get(&name) {
                Some(&child) => child,
                None => self.add(at, name, meta.clone(), Kind::Directory(BTreeMap::new()), path)?,
            };
        }
        match self.nodes.get(&at).map(Node::kind) {
            Some(Kind::Directory(_)) => Ok(at),
            _ => Err(Error::Occupied { path: printable(path) }),
        }
    }

    /// Makes a regular file.
    pub fn file(&mut self, path: impl AsRef<[u8]>, meta: Meta, content: Content) -> Result<Ino, Error> {
        self.insert(path.as_ref(), meta, Kind::Regular(content))
    }

    /// Makes a symbolic link.
    pub fn symlink(
        &mut self,
        path: impl AsRef<[u8]>,
        meta: Meta,
        target: impl AsRef<[u8]>,
    ) -> Result<Ino, Error> {
        let target = Target::new(target)?;
        self.insert(path.as_ref(), meta, Kind::Symlink(target))
    }

    /// Makes a character device.
    pub fn char_device(
        &mut self,
        path: impl AsRef<[u8]>,
        meta: Meta,
        device: crate::Device,
    ) -> Result<Ino, Error> {
        self.insert(path.as_ref(), meta, Kind::CharDevice(device))
    }

    /// Makes a block device.
    pub fn block_device(
        &mut self,
        path: impl AsRef<[u8]>,
        meta: Meta,
        device: crate::Device,
    ) -> Result<Ino, Error> {
        self.insert(path.as_ref(), meta, Kind::BlockDevice(device))
    }

    /// Makes a named pipe.
    pub fn fifo(&mut self, path: impl AsRef<[u8]>, meta: Meta) -> Result<Ino, Error> {
        self.insert(path.as_ref(), meta, Kind::Fifo)
    }

    /// Gives the inode at `existing` a second name: a hard link.
    pub fn link(&mut self, path: impl AsRef<[u8]>, existing: impl AsRef<[u8]>) -> Result<Ino, Error> {
        let (path, existing) = (path.as_ref(), existing.as_ref());
        let (ino, node) = self.get(existing).ok_or_else(|| Error::Missing { path: printable(existing) })?;
        if matches!(node.kind, Kind::Directory(_)) {
            return Err(Error::LinkToDirectory { path: printable(existing) });
        }
        let (parent, name) = self.place(path)?;
        self.attach(parent, name, ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.names += 1;
        }
        Ok(ino)
    }

    /// Removes a name, with everything below it; inodes without a name left go too.
    pub fn remove(&mut self, path: impl AsRef<[u8]>) -> Result<(), Error> {
        let path = path.as_ref();
        let mut names = Name::split(path)?;
        let last = names.pop().ok_or(Error::RemoveRoot)?;
        let missing = || Error::Missing { path: printable(path) };
        let parent = self.find(&names).ok_or_else(missing)?;
        let Some(Node { kind: Kind::Directory(children), .. }) = self.nodes.get_mut(&parent) else {
            return Err(missing());
        };
        let mut unnamed = vec![children.remove(&last).ok_or_else(missing)?];
        while let Some(ino) = unnamed.pop() {
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
            node.names -= 1;
            if node.names == 0
                && let Some(Node { kind: Kind::Directory(children), .. }) = self.nodes.remove(&ino)
            {
                unnamed.extend(children.into_values());
            }
        }
        Ok(())
    }

    /// Every name of the tree, each directory before its entries, entries in the order of their bytes.
    pub fn walk(&self) -> Walk<'_> {
        Walk { tree: self, pending: vec![(Vec::new(), Self::ROOT, Self::ROOT)] }
    }

    fn find(&self, names: &[Name]) -> Option<Ino> {
        names.iter().try_fold(Self::ROOT, |at, name| match &self.nodes.get(&at)?.kind {
            Kind::Directory(children) => children.get(name).copied(),
            _ => None,
        })
    }

    fn insert(&mut self, path: &[u8], meta: Meta, kind: Kind) -> Result<Ino, Error> {
        let (parent, name) = self.place(path)?;
        self.add(parent, name, meta, kind, path)
    }

    /// The directory that will hold `path`, and the free name in it.
    fn place(&self, path: &[u8]) -> Result<(Ino, Name), Error> {
        let mut names = Name::split(path)?;
        let last = names.pop().ok_or_else(|| Error::Occupied { path: printable(path) })?;
        let parent = self.find(&names).ok_or_else(|| Error::NoParent { path: printable(path) })?;
        match self.nodes.get(&parent).map(Node::kind) {
            Some(Kind::Directory(children)) if children.contains_key(&last) => {
                Err(Error::Occupied { path: printable(path) })
            }
            Some(Kind::Directory(_)) => Ok((parent, last)),
            _ => Err(Error::ParentNotDirectory { path: printable(path) }),
        }
    }

    fn add(&mut self, parent: Ino, name: Name, meta: Meta, kind: Kind, path: &[u8]) -> Result<Ino, Error> {
        let ino = Ino(self.next);
        self.next = self.next.checked_add(1).ok_or_else(|| Error::Full { path: printable(path) })?;
        self.nodes.insert(ino, Node { meta, kind, names: 1 });
        self.attach(parent, name, ino);
        Ok(ino)
    }

    fn attach(&mut self, parent: Ino, name: Name, ino: Ino) {
        if let Some(Node { kind: Kind::Directory(children), .. }) = self.nodes.get_mut(&parent) {
            children.insert(name, ino);
        }
    }
}

/// One name of a tree.
#[derive(Debug, Clone)]
pub struct Entry<'t> {
    /// The names from the root, joined by `/`, without a leading one; empty for the root.
    pub path: Vec<u8>,
    /// The directory that holds it; the root holds itself.
    pub parent: Ino,
    /// The inode's number.
    pub ino: Ino,
    /// The inode.
    pub node: &'t Node,
}

/// The iterator behind [`Tree::walk`].
#[derive(Debug)]
pub struct Walk<'t> {
    tree: &'t Tree,
    pending: Vec<(Vec<u8>, Ino, Ino)>,
}

impl<'t> Iterator for Walk<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Self::Item> {
        let (path, parent, ino) = self.pending.pop()?;
        let node = self.tree.nodes.get(&ino)?;
        if let Kind::Directory(children) = &node.kind {
            for (name, &child) in children.iter().rev() {
                let mut below = Vec::with_capacity(path.len() + 1 + name.as_bytes().len());
                below.extend_from_slice(&path);
                if !path.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name.as_bytes());
                self.pending.push((below, ino, child));
            }
        }
        Some(Entry { path, parent, ino, node })
    }
}

fn printable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Mode;

    fn tree() -> Tree {
        let mut tree = Tree::new(dir());
        tree.dir("b", dir()).unwrap();
        tree.file("b/two", file(), Content::from(&b"2"[..])).unwrap();
        tree.file("a", file(), Content::from(&b"1"[..])).unwrap();
        tree.symlink("b/link", Meta::root(Mode::OPEN), "two").unwrap();
        tree.link("c", "a").unwrap();
        tree
    }

    fn dir() -> Meta {
        Meta::root(Mode::EXECUTABLE)
    }

    fn file() -> Meta {
        Meta::root(Mode::READABLE)
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.walk().map(|entry| String::from_utf8(entry.path).unwrap()).collect()
    }

    #[test]
    fn walks_in_byte_order_parents_first() {
        assert_eq!(paths(&tree()), ["", "a", "b", "b/link", "b/two", "c"]);
    }

    #[test]
    fn hard_links_share_an_inode_until_the_last_name_goes() {
        let mut tree = tree();
        let (ino, node) = tree.get("a").unwrap();
        assert_eq!((tree.get("c").unwrap().0, node.names()), (ino, 2));
        tree.remove("a").unwrap();
        assert_eq!(tree.node(ino).unwrap().names(), 1);
        tree.remove("c").unwrap();
        assert!(tree.node(ino).is_none());
    }

    #[test]
    fn removal_takes_what_is_below() {
        let mut tree = tree();
        tree.link("kept", "b/two").unwrap();
        tree.remove("b").unwrap();
        assert_eq!(paths(&tree), ["", "a", "c", "kept"]);
        assert_eq!((tree.inodes(), tree.get("kept").unwrap().1.names()), (3, 1));
    }

    #[test]
    fn directories_take_new_metadata_and_keep_their_entries() {
        let mut tree = tree();
        let sticky = Meta::root(Mode::new(0o1777).unwrap());
        tree.dir("b", sticky.clone()).unwrap();
        tree.dir_all("b/x/y", &dir()).unwrap();
        assert_eq!(tree.get("b").unwrap().1.meta(), &sticky);
        assert!(tree.get("/b/two").is_some() && tree.get("b/x/y").is_some());
    }

    #[test]
    fn refusals_name_their_reason() {
        let printed = |path: &str| path.to_owned();
        let content = || Content::from(&b""[..]);
        let mut tree = tree();
        let before = paths(&tree);
        let cases = [
            (tree.file("x/y", file(), content()).map(drop), Error::NoParent { path: printed("x/y") }),
            (
                tree.file("a/y", file(), content()).map(drop),
                Error::ParentNotDirectory { path: printed("a/y") },
            ),
            (tree.file("a", file(), content()).map(drop), Error::Occupied { path: printed("a") }),
            (tree.dir("a", dir()).map(drop), Error::Occupied { path: printed("a") }),
            (tree.dir_all("a", &dir()).map(drop), Error::Occupied { path: printed("a") }),
            (tree.dir_all("a/b", &dir()).map(drop), Error::ParentNotDirectory { path: printed("a/b") }),
            (tree.fifo("", file()).map(drop), Error::Occupied { path: printed("") }),
            (tree.link("d", "nowhere").map(drop), Error::Missing { path: printed("nowhere") }),
            (tree.link("d", "b").map(drop), Error::LinkToDirectory { path: printed("b") }),
            (tree.remove("a/b"), Error::Missing { path: printed("a/b") }),
            (tree.remove("/"), Error::RemoveRoot),
        ];
        for (got, want) in cases {
            assert_eq!(got, Err(want));
        }
        assert_eq!(paths(&tree), before);
    }

    proptest! {
        #[test]
        fn order_of_insertion_does_not_show(mut names in proptest::collection::btree_set("[a-z]{1,4}", 1..20)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())) {
            let build = |names: &[String]| {
                let mut tree = Tree::new(dir());
                for name in names {
                    tree.file(name, file(), Content::from(name.as_bytes())).unwrap();
                }
                paths(&tree)
            };
            let forward = build(&names);
            names.reverse();
            prop_assert_eq!(forward, build(&names));
        }

        #[test]
        fn any_path_is_an_answer(path: Vec<u8>) {
            let mut tree = tree();
            let _answers = (tree.get(&path).is_some(), tree.fifo(&path, file()), tree.remove(&path));
            prop_assert!(tree.get("").is_some());
        }
    }
}
