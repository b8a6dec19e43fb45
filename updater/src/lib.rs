//! The updater: a machine keeps itself up to date, and comes back from a bad release by itself.
//!
//! | module | knows |
//! |---|---|
//! | [`agent`] | what is done when: the state machine of `coracle_rollout`, driven with what really happens |
//! | [`fetch`] | the process that talks to servers |
//! | [`file`] | what the system says of a file |
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
pub mod image;
pub mod keep;
pub mod slot;
