//! The subset of a Kubernetes core/v1 Pod manifest that embedded pods support.
//!
//! | module | what it knows |
//! |---|---|
//! | [`pod`] | the checked pod, as a runtime uses it |
//! | [`quantity`] | Kubernetes quantities, exact |
//! | [`names`] | DNS labels, label keys, environment names, capabilities |
//! | [`expand`] | `$(VAR)` in commands, arguments and variables |
//! | `manifest` | the fields as they are written |
//! | `check`, `security` | from manifest to pod |
//! | [`error`] | what can be wrong |

mod check;
pub mod error;
pub mod expand;
mod manifest;
pub mod names;
pub mod pod;
pub mod quantity;
mod security;

pub use error::Error;
pub use pod::Pod;
pub use quantity::Quantity;
