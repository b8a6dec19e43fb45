//! Unified kernel images (UKI): the one signed file that the firmware's boot manager starts.
//!
//! Bytes in, bytes out; nothing in here opens a file.
//!
//! | module | knows |
//! |---|---|
//! | [`mod@assemble`] | how a stub, a kernel and their companions become one PE file |
//! | [`image`] | how to read such a file back without trusting it |
//! | [`entry`] | how a boot entry's file name carries version and tries |
//! | `section` | the same of a file that is not held in memory, and whether it is whole |
//! | `checksum` | the checksum in a PE file's header |
//! | [`initramfs`] | how the first program is packed as cpio archives |

pub mod assemble;
mod checksum;
pub mod entry;
pub mod image;
pub mod initramfs;
mod pe;
mod section;
#[cfg(any(test, feature = "specimen"))]
pub mod specimen;

pub use assemble::{Sections, Stub, assemble};
pub use checksum::Damage;
pub use entry::{Assessment, EntryName, Tries};
pub use image::{Section, Uki};
pub use pe::Error;
pub use section::{Unread, check_whole, find_section, read_section, root_of};
