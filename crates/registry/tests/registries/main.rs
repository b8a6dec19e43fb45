//! Images from registries: good ones, for each fault one that has it, and one that others have written. Where waiting matters, servers
//! live in the runtime of the test, whose clock goes on by itself as soon as nothing else does: a pause of a minute is over at once.

#[path = "../../../trust/tests/attacks/listener.rs"]
mod listener;

mod documents;
mod image;
mod logins;
mod mirrors;
mod peer;
mod pulling;
mod redirections;
mod server;
mod store;
mod transfers;
