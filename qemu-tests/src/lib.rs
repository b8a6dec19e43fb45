//! A harness for tests that boot: a guest in QEMU, its console, its monitor, its network port and its disk afterwards.
//!
//! | module | knows |
//! |---|---|
//! | [`machine`] | how QEMU is started, watched and ended |
//! | [`console`] | what the guest printed |
//! | [`qmp`] | QEMU's monitor protocol: buttons, events, status |
//! | [`probe`] | whether hardware acceleration really runs a guest |
//! | [`http`] | a bounded GET on a forwarded port |
//! | [`disk`] | what a boot left on the disk, and how to damage it |
//! | [`esp`] | disks with boot entries on them, of made-up content |
//! | [`writes`] | what was written to a disk, by the log of it |
//! | [`recording`] | recorded runs, kept for the next time |
//! | [`crash`] | what may be on a disk when the power goes |
//! | [`overlay`] | how such a disk is read without being written |
//! | [`verdict`] | whether a machine with such a disk comes up |
//! | [`sample`] | which of many cases run |
//! | [`releases`] | images that update each other, and the repository that has them |
//! | [`operator`] | how a machine's update agent is asked |
//! | [`image`] | what is booted: images built from recipes, each on a disk of its own |
//! | [`measure`] | the rows of a benchmark, as a table or as JSON |
//!
//! Every wait has a [`Deadline`]; a machine that goes out of scope is killed.

pub mod console;
pub mod crash;
mod deadline;
pub mod disk;
mod error;
pub mod esp;
pub mod http;
pub mod image;
pub mod machine;
pub mod measure;
pub mod operator;
pub mod overlay;
pub mod probe;
pub mod qmp;
pub mod recording;
pub mod releases;
pub mod sample;
pub mod verdict;
pub mod writes;

pub use deadline::Deadline;
pub use error::Error;
pub use image::Specimen;
pub use machine::{Config, Exit, Machine};
