//! The starter library: what PID 1 needs to know about a container before it starts one.
//!
//! * [`plan`]: the start plan, a bounded and typed description of one process, and its binary form.
//! * [`seccomp`]: a compiler from allow-lists to classic BPF, and the default container profile.
//!
//! Both are pure: values and bytes in, values and bytes out.

mod error;
pub mod plan;
pub mod seccomp;

pub use error::Error;
