//! What a signature was verified of.

use std::ops::Deref;

/// A value whose origin is proved. [`Manifest`](crate::manifest::Manifest) alone can be read and written;
/// only a trusted one leads to a release, and by that to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted<T>(T);

impl<T> Trusted<T> {
    /// The caller has verified the signatures over the very bytes that this was read from, up to a trusted root,
    /// and its freshness. There is no other way in here, so that one search finds every place that claims it.
    pub const fn vouched(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Trusted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
