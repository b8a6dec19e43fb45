//! Both halves together, and each against another half that is not what it should be. Servers are real ones, behind ports of this
//! machine. One file for each who may be at fault.

#[path = "../../../trust/tests/attacks/forge.rs"]
#[expect(dead_code, reason = "another crate's attacks need more of it")]
mod forge;
#[path = "../../../trust/tests/attacks/listener.rs"]
mod listener;
#[path = "../../../trust/tests/attacks/machine.rs"]
#[expect(dead_code, reason = "another crate's attacks need more of it")]
mod machine;
#[path = "../../../trust/tests/attacks/server.rs"]
#[expect(dead_code, reason = "another crate's attacks need more of it")]
mod server;

mod agent;
mod datagrams;
mod direct;
mod half;
mod name_servers;
mod patience;
mod process;
mod repository;
mod requests;
mod time_servers;

/// What an error says, down to its first cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
