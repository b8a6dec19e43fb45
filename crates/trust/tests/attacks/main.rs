//! Each attack on a repository that TUF knows, and each that a client can open to itself. One file a kind.

mod clock;
mod content;
mod forge;
mod freshness;
mod http;
mod listener;
mod machine;
mod power_cut;
mod rollback;
mod roots;
mod server;
mod signatures;
mod size;

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
