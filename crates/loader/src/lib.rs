//! What systemd-boot 252 does with a folder of boot entries.
//!
//! | module | knows |
//! |---|---|
//! | [`mod@file`] | what the loader sees of a file in `EFI/Linux`, and the counter in its name |
//! | [`version`] | which of two versions is newer |
//! | [`pattern`] | which names a pattern means |
//! | [`choice`] | which entry is started, from names, pins and `loader.conf` |
//! | [`machine`] | one power-on after the other: renaming, firmware's boot options, where failing boots lead |

pub mod choice;
pub mod file;
pub mod machine;
pub mod pattern;
pub mod version;

pub use choice::{Pins, choose, order};
pub use file::{Content, Facts, File};
pub use machine::{Boot, End, Health, Machine};
