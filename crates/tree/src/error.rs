//! What a tree refuses.

/// Why a name cannot be a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is `.` or `..`, which every directory already has.
    #[error("it is reserved")]
    Reserved,
    /// It contains `/` or NUL.
    #[error("it contains '/' or NUL")]
    Forbidden,
    /// It is longer than 255 bytes.
    #[error("it is longer than 255 bytes")]
    TooLong,
}

/// An operation on a tree that was refused; the tree is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name is not one a directory can hold.
    #[error("name {name:?} is refused: {why}")]
    Name {
        /// The name, made printable.
        name: String,
        /// The rule it breaks.
        why: BadName,
    },
    /// Mode bits outside `0o7777`.
    #[error("mode {mode:#o} has bits outside 0o7777")]
    Mode {
        /// The bits as given.
        mode: u32,
    },
    /// A device number that Linux cannot encode in 32 bits.
    #[error("device {major}:{minor} is out of range (12 and 20 bits)")]
    Device {
        /// The major number as given.
        major: u32,
        /// The minor number as given.
        minor: u32,
    },
    /// A symbolic link's target is empty, contains NUL or is longer than 4095 bytes.
    #[error("a symbolic link's target of {len} bytes is empty, too long or contains NUL")]
    Target {
        /// Its length in bytes.
        len: usize,
    },
    /// The folder that should receive an entry is not in the tree.
    #[error("insert {path:?}: its parent does not exist")]
    NoParent {
        /// The path to insert.
        path: String,
    },
    /// Something on the way to an entry is not a directory.
    #[error("insert {path:?}: its parent is not a directory")]
    ParentNotDirectory {
        /// The path to insert.
        path: String,
    },
    /// The path is taken; remove it first.
    #[error("insert {path:?}: the path is taken")]
    Occupied {
        /// The path to insert.
        path: String,
    },
    /// The path to link to or to remove is not in the tree.
    #[error("{path:?} does not exist")]
    Missing {
        /// The path that was looked up.
        path: String,
    },
    /// A directory has exactly one parent and cannot be linked.
    #[error("link to {path:?}: it is a directory")]
    LinkToDirectory {
        /// The path of the directory.
        path: String,
    },
    /// The root stays.
    #[error("the root cannot be removed")]
    RemoveRoot,
    /// 2³² inodes have been made.
    #[error("insert {path:?}: inode numbers are used up")]
    Full {
        /// The path to insert.
        path: String,
    },
}
