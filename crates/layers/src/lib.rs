//! OCI images as bytes on disk: reads an image layout into one merged file tree, and packs plain files into a layout.
//!
//! - [`Layout`]: a folder or a tar archive, blobs checked against their descriptors
//! - [`load`]: index, manifest, config and layers to an [`Image`] under [`Limits`]
//! - [`RootFs`]: the merged tree; file contents are ranges of a spool that the caller owns
//! - [`pack`]: the way back, deterministic
//! - [`Error`], [`Refusal`]: what was refused, in which layer, at which entry

mod budget;
mod digest;
mod documents;
mod error;
mod image;
mod layer;
mod layout;
mod limits;
mod pack;
mod path;
mod pax;
mod records;
mod rootfs;

pub use error::{Error, Refusal};
pub use image::{Config, Image, Notes, Request, load};
pub use layout::Layout;
pub use limits::{Limits, NAME_MAX, PATH_MAX, SpecialFiles, XATTR_COUNT_MAX, XATTR_VALUE_MAX};
pub use pack::{Files, PackRequest, Packed, pack};
pub use path::TreePath;
pub use rootfs::{Content, Entry, InodeId, Kind, RootFs};
