//! `coracle`: makes operating system images from recipes.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use coracle_image::publish::Pause;

/// Makes operating system images from recipes.
#[derive(Debug, Parser)]
#[command(name = "coracle", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a project: a folder with a commented recipe.
    New(commands::new::Args),
    /// Say what is wrong with a recipe.
    Check(commands::check::Args),
    /// Say what is in an image, and what is wrong with it.
    Inspect(commands::inspect::Args),
    /// Boot an image in QEMU, its console on the terminal.
    Run(commands::run::Args),
    /// Build an image from a recipe.
    Build(commands::build::Args),
    /// Make an OCI image layout from a program or a folder.
    Pack(commands::pack::Args),
    /// Print what programs are made of, for the SBOM of the images they come to be in.
    Components(commands::components::Args),
    /// Make the keys of a repository, renew its root, replace a key.
    Keys(commands::keys::Args),
    /// Sign a repository's timestamp anew, and its snapshot when that is due.
    Refresh(commands::refresh::Args),
    /// Offer a release to the machines of a channel.
    Publish(Box<commands::publish::Args>),
    /// Recall a release.
    Withdraw(commands::withdraw::Args),
    /// Have no machine of a channel begin with a release, or reboot for one.
    Pause(commands::pause::Args),
    /// End that.
    Resume(commands::pause::Args),
    /// Ask a machine about its update, or order it.
    Update(commands::update::Args),
    /// Copy a repository, verified as a machine verifies it.
    Mirror(commands::mirror::Args),
    /// Put a channel into one file, to be carried, or unpack one.
    Bundle(commands::bundle::Args),
    /// Serve a repository over HTTP, for trying it.
    Serve(commands::serve::Args),
    /// Print the JSON Schema of recipes, for editors.
    Schema,
    /// Compress a kernel: its makefile asks for that, with the words of another program.
    #[command(name = coracle_kernel::PACK, hide = true)]
    PackKernel {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _ignored: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::New(args) => commands::new::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Build(args) => commands::build::run(&args),
        Command::Pack(args) => commands::pack::run(&args),
        Command::Components(args) => commands::components::run(&args),
        Command::Keys(args) => commands::keys::run(&args),
        Command::Refresh(args) => commands::refresh::run(&args),
        Command::Publish(args) => commands::publish::run(&args),
        Command::Withdraw(args) => commands::withdraw::run(&args),
        Command::Pause(args) => commands::pause::run(&args, Pause::On),
        Command::Resume(args) => commands::pause::run(&args, Pause::Off),
        Command::Update(args) => commands::update::run(&args),
        Command::Mirror(args) => commands::mirror::run(&args),
        Command::Bundle(args) => commands::bundle::run(&args),
        Command::Serve(args) => commands::serve::run(&args),
        Command::Schema => commands::schema::run(),
        Command::PackKernel { .. } => commands::pack_kernel::run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("coracle: {error:#}");
        ExitCode::FAILURE
    })
}
