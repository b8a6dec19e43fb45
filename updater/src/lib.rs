//! The updater: a machine keeps itself up to date, and comes back from a bad release by itself.
//!
//! | module | knows |
//! |---|---|
//! | [`agent`] | what is done when: the state machine of `coracle_rollout`, driven with what really happens |
//! | [`fetch`] | the process that talks to servers |
//! | [`file`] | what the system says of a file |
//! | [`forms`] | the forms in which state is kept, so that a way back finds its own |
//! | [`image`] | making a kernel image of an ops file |
//! | [`slot`] | installing a root into the slot that does not run |
//! | [`keep`] | files on the state partition that survive a power cut |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod agent;
pub mod fetch;
pub mod file;
pub mod forms;
pub mod image;
pub mod keep;
pub mod slot;

use std::process::ExitCode;

use coracle_log::{Chain, error};

/// The program: its first argument is its role. It keeps its state in the form that is given.
pub fn main(forms: &forms::Forms) -> ExitCode {
    let role = std::env::args().nth(1);
    let ended: Box<dyn std::error::Error> = match role.as_deref() {
        Some("agent") => match agent::run(forms) {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        Some("fetch") => match fetch::run() {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        _ => "say what to be: agent or fetch".into(),
    };
    error!("updater ends error=\"{}\"", Chain(&*ended));
    ExitCode::FAILURE
}
