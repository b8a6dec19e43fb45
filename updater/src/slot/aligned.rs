//! Memory as reading past the cache asks for it.

use std::ops::{Deref, DerefMut};

/// What memory, place and length of such a read are multiples of, on any disk in use.
pub(crate) const ALIGNMENT: usize = 4096;

/// Bytes that begin at such a multiple, with room for so many and no more.
pub(crate) struct Aligned {
    space: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// No bytes yet.
    pub fn with_room(most: usize) -> Self {
        let space = vec![0; most + ALIGNMENT];
        // It may say that there is no such place, and never does; the bytes would then lie less well, which is allowed.
        let start = space.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { space, start, len: 0 }
    }

    /// Gives it so many bytes: those that it had, or any.
    pub fn resize(&mut self, len: usize) {
        self.len = len.min(self.space.len() - ALIGNMENT);
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.space.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.space.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}
