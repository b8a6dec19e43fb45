//! The builder: from a recipe to a verified, bootable disk image, without root.
//!
//! | module | what it knows |
//! |---|---|
//! | [`build`](mod@build) | the steps, in order |
//! | [`check`] | whether everything that a recipe names is there |
//! | [`steps`] | their progress |
//! | [`lock`] | the inputs, each held to what it was |
//! | [`embedded`] | OCI images as trees, with their pins and mount points |
//! | [`inside`] | paths inside an image's tree |
//! | [`accounts`] | users and groups of an image |
//! | [`plan`] | start plans of pods and services |
//! | [`update`] | what the updater finds in the root |
//! | [`root`] | the tree of the root filesystem |
//! | [`osrelease`], [`cmdline`] | what the image says of itself, what its kernel is told |
//! | [`boot`] | stage 1's archive, the unified kernel image, the EFI system partition |
//! | [`state`] | the state filesystem |
//! | [`disk`] | the raw disk and its partitions |
//! | [`release`] | the reports |
//! | [`inspect`] | an image held against itself |
//! | [`run`] | an image in QEMU |
//! | [`operate`] | asking a machine's update agent |
//! | [`sbom`] | the list of what is in an image |
//! | [`keys`] | the keys of a repository, and its root |
//! | [`publish`](mod@publish) | what a channel offers: releases, deltas, the manifest |
//! | [`repository`] | a repository's files, and how they change |
//! | [`serve`](mod@serve) | a folder over HTTP, for trying a repository |
//! | [`identity`] | identifiers that follow from name and version |
//! | [`digest`] | SHA-256 as text |
//! | [`error`] | what can go wrong |

pub mod accounts;
pub mod boot;
pub mod build;
pub mod check;
pub mod cmdline;
pub mod digest;
pub mod disk;
pub mod embedded;
pub mod error;
pub mod identity;
pub mod inside;
pub mod inspect;
pub mod keys;
pub mod lock;
pub mod operate;
pub mod osrelease;
pub mod plan;
pub mod publish;
pub mod release;
pub mod repository;
pub mod root;
pub mod run;
pub mod sbom;
pub mod serve;
pub mod state;
pub mod steps;
pub mod update;

pub use error::Error;
