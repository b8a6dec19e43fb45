//! Images from registries: good ones, and for each fault one that has it. Where waiting matters, servers live in the runtime of the test,
//! whose clock goes on by itself as soon as nothing else does: a pause of a minute is over at once.

#[path = "../../../trust/tests/attacks/listener.rs"]
#[expect(dead_code, reason = "another crate's attacks need more of it")]
mod listener;

mod documents;
mod image;
mod logins;
mod mirrors;
mod pulling;
mod redirections;
mod server;
mod store;
mod transfers;
