//! One inode.

use std::collections::BTreeMap;

use crate::{Content, Error, Name, Target};

/// The number of an inode inside one tree. Two names with the same number are hard links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub(crate) u32);

/// Permission bits with set-user-ID, set-group-ID and sticky: at most `0o7777`, without the file type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// `0o755`: directories and programs.
    pub const EXECUTABLE: Self = Self(0o755);
    /// `0o644`: plain files.
    pub const READABLE: Self = Self(0o644);
    /// `0o777`: what Linux reports for symbolic links.
    pub const OPEN: Self = Self(0o777);

    /// Checks the bits; this is the only place that does.
    pub fn new(mode: u32) -> Result<Self, Error> {
        match u16::try_from(mode) {
            Ok(bits) if bits <= 0o7777 => Ok(Self(bits)),
            _ => Err(Error::Mode { mode }),
        }
    }

    /// The bits.
    pub fn bits(self) -> u16 {
        self.0
    }
}

/// A device number, as far as Linux can store one on disk: 12 bits of major, 20 bits of minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// Checks both numbers; this is the only place that does.
    pub fn new(major: u32, minor: u32) -> Result<Self, Error> {
        if major >= 1 << 12 || minor >= 1 << 20 {
            return Err(Error::Device { major, minor });
        }
        Ok(Self { major, minor })
    }

    /// The driver.
    pub fn major(self) -> u32 {
        self.major
    }

    /// The unit.
    pub fn minor(self) -> u32 {
        self.minor
    }
}

/// What every inode has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub mode: Mode,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Extended attributes by full name (`user.origin`, `security.capability`). A format may refuse some names.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Meta {
    /// These bits, owned by root, without extended attributes.
    pub fn root(mode: Mode) -> Self {
        Self { mode, uid: 0, gid: 0, xattrs: BTreeMap::new() }
    }
}

/// What an inode is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A folder, its entries in the order of their bytes.
    Directory(BTreeMap<Name, Ino>),
    /// A file.
    Regular(Content),
    /// A symbolic link.
    Symlink(Target),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// An inode of a [`Tree`](crate::Tree).
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) meta: Meta,
    pub(crate) kind: Kind,
    pub(crate) names: u32,
}

impl Node {
    /// Its metadata.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// How many directory entries name it, `.` and `..` not counted; the root counts as named once.
    pub fn names(&self) -> u32 {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_devices_have_bounds() {
        for (mode, fits) in
            [(0, true), (0o7777, true), (0o10000, false), (0o100644, false), (u32::MAX, false)]
        {
            assert_eq!(Mode::new(mode).is_ok(), fits, "{mode:#o}");
        }
        for (major, minor, fits) in
            [(1, 3, true), (4095, 0xf_ffff, true), (4096, 0, false), (0, 0x10_0000, false)]
        {
            assert_eq!(Device::new(major, minor).is_ok(), fits, "{major}:{minor}");
        }
    }
}
