//! EFI variables of a running machine, through efivarfs.
//!
//! | module | knows |
//! |---|---|
//! | [`efivars`] | how a variable is read, written and removed: one file each |
//! | [`interface`] | what the boot loader says of itself, and the entry that it is to start once |
//! | [`option`] | a boot option of the firmware, by the byte |
//! | [`path`] | the device path in it |
//! | [`plan`] | which options have to be written so that the machine comes up by itself, and in which order |
//! | [`options`] | reading those that are there, and carrying out a plan |
//! | `text` | the encoding of text |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod efivars;
mod error;
pub mod interface;
pub mod option;
pub mod options;
pub mod path;
pub mod plan;
mod text;

pub use efivars::{Efivars, Vendor};
pub use error::Error;
pub use interface::Interface;
pub use option::LoadOption;
pub use options::Options;
pub use path::Partition;
pub use plan::{Number, Plan, Write};
