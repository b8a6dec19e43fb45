//! What each command does.

mod create;
mod delete;
mod example;
mod exec;
mod features;
mod foreground;
mod notify;
mod resources;
mod show;
mod signal;
mod start;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    cli::{Command, Global, HELP},
    own_file,
};

/// Does it. The exit code is the container's where a command waits for its end.
pub fn run(global: &Global, command: Command) -> Result<ExitCode> {
    let root = &global.root;
    if let Command::Create(..) | Command::Run { .. } | Command::Exec(..) = command {
        own_file::make_read_only().context("run from a mount that no container can write to")?;
    }
    match command {
        Command::Create(how, id) => create::create(global, &how, id)?,
        Command::Run { create, detach, keep, id } => return create::run(global, &create, detach, keep, id),
        Command::Start(id) => start::start(root, &id)?,
        Command::State(id) => show::state(root, &id)?,
        Command::Kill { all, id, signal } => signal::kill(root, &id, signal, all)?,
        Command::Delete { force, id } => delete::delete(root, &id, force)?,
        Command::Exec(exec, id) => return exec::exec(global, &exec, &id),
        Command::List { json, quiet } => show::list(root, json, quiet)?,
        Command::Ps { json, id, arguments } => return show::ps(root, &id, json, &arguments),
        Command::Pause(id) => signal::freeze(root, &id, true)?,
        Command::Resume(id) => signal::freeze(root, &id, false)?,
        Command::Update { resources, id } => resources::update(root, &resources, &id)?,
        Command::Events { once, interval, id } => resources::events(root, &id, once, interval)?,
        Command::Spec { bundle } => example::write(bundle.as_deref())?,
        Command::Features => features::print()?,
        Command::Version => {
            println!("coracle-runtime version {}\nspec: {}", env!("CARGO_PKG_VERSION"), features::NEWEST);
        }
        Command::Help => print!("{HELP}"),
    }
    Ok(ExitCode::SUCCESS)
}
