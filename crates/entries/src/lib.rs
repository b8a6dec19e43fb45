//! Boot entries on a mounted EFI system partition, changed so that a power cut leaves each of them whole.
//!
//! FAT has no journal. What makes the changes safe is their order, and that the names of a file before and after a renaming
//! stand in one sector of the disk, which is written once, with everything in it: at the first `fsync` of the *file*. The order
//! that suggests itself, `fsync` of the folder first, leaves an empty file under the new name for as long as Linux likes.
//!
//! | module | knows |
//! |---|---|
//! | [`folder`] | what may be done when: the public face of all that follows |
//! | `dir` | what is in the folder |
//! | [`stage`] | how a new entry comes, and what a power cut leaves of it |
//! | [`mod@rename`] | the order of a renaming; blessing and demoting |
//! | `remove` | the order of a removal; cleaning up |
//! | [`mod@replace`] | how a file that keeps its name gets other bytes |
//! | `subfolder` | how its folder comes |
//! | [`fallback`] | the copy of a blessed entry that the firmware starts when all else fails |
//! | [`copies`] | which of entry and fallback is whole, and makes the other anew |
//! | [`loader`] | the boot manager's own two copies |
//! | `mount` | how the partition has to be mounted |
//! | `volume` | whether files share clusters |

pub mod copies;
mod dir;
mod error;
pub mod fallback;
pub mod folder;
pub mod loader;
mod mount;
mod remove;
pub mod rename;
pub mod replace;
pub mod stage;
mod subfolder;
mod volume;

pub use copies::{Keep, Kept};
pub use dir::{Entry, Listing};
pub use error::Error;
pub use fallback::Fallback;
pub use folder::Folder;
pub use loader::Loader;
pub use rename::rename;
pub use replace::Change;
pub use stage::{Content, Staged};
