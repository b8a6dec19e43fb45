//! GUID partition tables: read from either copy, changed as values, written in a crash-safe order.
//!
//! A disk of `n` sectors, with the array of 128 entries taking `a` of them (32 at 512 bytes, 4 at 4096):
//!
//! | sector           | content                                        |
//! |------------------|------------------------------------------------|
//! | 0                | protective MBR                                 |
//! | 1                | primary header                                 |
//! | 2 .. 2+a         | primary array                                  |
//! | 2+a .. n-1-a     | partitions                                     |
//! | n-1-a .. n-1     | backup array                                   |
//! | n-1              | backup header                                  |

mod disk;
mod error;
mod grow;
mod guid;
mod header;
mod label;
mod mbr;
mod read;
mod table;
mod write;

pub use disk::{Lba, SectorSize};
pub use error::{Error, Flaw, Side};
pub use grow::Growth;
pub use guid::{Guid, GuidError};
pub use label::{Label, LabelError};
pub use read::{Inspection, check_both};
pub use table::{Number, Partition, Table};
pub use write::{Step, apply};
