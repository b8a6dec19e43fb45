//! The builder: from a recipe to a verified, bootable disk image, without root.
//!
//! | module | what it knows |
//! |---|---|
//! | [`embedded`] | OCI images as trees, with their pins and mount points |
//! | [`inside`] | paths inside an image's tree |
//! | [`accounts`] | users and groups of an image |
//! | [`plan`] | start plans of pods and services |
//! | [`identity`] | identifiers that follow from name and version |
//! | [`digest`] | SHA-256 as text |
//! | [`error`] | what can go wrong |

pub mod accounts;
pub mod digest;
pub mod embedded;
pub mod error;
pub mod identity;
pub mod inside;
pub mod inspect;
pub mod plan;
pub mod run;
pub mod sbom;

pub use error::Error;
