//! One module a subcommand: its arguments, and a `run` that gives the exit code.

pub mod build;
pub mod bundle;
pub mod check;
pub mod components;
pub mod inspect;
pub mod keys;
pub mod mirror;
pub mod new;
pub mod pack;
pub mod pack_kernel;
pub mod pause;
pub mod publish;
pub mod refresh;
pub mod run;
pub mod schema;
pub mod serve;
pub mod update;
pub mod withdraw;
