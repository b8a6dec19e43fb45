//! How a fleet comes to a release. Pure: no file, no network, no clock, no chance of its own.
//!
//! Times and random numbers are handed in; decisions and what to do come out. The agent on the machine, the
//! publisher and the simulation of a fleet use the same code.
#![forbid(unsafe_code)]

pub mod backoff;
pub mod deny;
pub mod digest;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fleet;
pub mod label;
pub mod machine;
pub mod manifest;
pub mod operator;
pub mod orders;
pub mod poll;
pub mod select;
pub mod settings;
pub mod system;
mod text;
pub mod time;
pub mod trusted;
mod wait;
pub mod waves;
pub mod window;

pub use label::Line;
pub use manifest::Manifest;
pub use settings::Settings;
pub use system::{Epoch, System};
pub use time::Time;
pub use trusted::Trusted;
pub use wait::Wait;
