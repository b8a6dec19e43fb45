//! `coracle run`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use coracle_image::run::machine::{Accelerator, Writes, shown};
use coracle_image::run::values::{Forward, Memory};
use coracle_image::run::{Request, prepare};

/// Arguments of `coracle run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle run build/edge_0.1.0.raw.zst --forward 8080:80
  coracle run build/edge_0.1.0.raw --direct build --memory 128M
  coracle run build/edge_0.1.0.qcow2 --no-snapshot       keep what the guest writes
  coracle run build/edge_0.1.0.raw --no-snapshot --control edge.sock
  coracle run build/edge_0.1.0.raw --print               show QEMU's command line instead of running it")]
pub struct Args {
    /// The image: raw, raw.zst, qcow2, vmdk or vhd, told by its content.
    image: PathBuf,
    /// Boot the kernel that a build with the format \"direct\" left in this folder, without firmware.
    #[arg(long, value_name = "DIR")]
    direct: Option<PathBuf>,
    /// Boot through UEFI firmware and boot manager; the default.
    #[arg(long, conflicts_with = "direct")]
    uefi: bool,
    /// Let a TCP port of 127.0.0.1 lead to one of the guest; may be repeated.
    #[arg(long, value_name = "HOST:GUEST")]
    forward: Vec<Forward>,
    /// Memory.
    #[arg(long, default_value = "512M")]
    memory: Memory,
    /// Processors.
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// What runs the guest's instructions; auto tries a small guest on KVM first.
    #[arg(long, value_enum, default_value = "auto")]
    accel: Accel,
    /// Keep what the guest writes, and the firmware's variables in a file beside the image.
    #[arg(long)]
    no_snapshot: bool,
    /// Make this socket, at which `coracle update` reaches the machine.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Print QEMU's command line instead of running it.
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accel {
    Auto,
    Kvm,
    Tcg,
}

/// Runs the machine; the exit code says whether QEMU ended well.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let ready = prepare(&Request {
        image: args.image.clone(),
        direct: args.direct.clone(),
        forwards: args.forward.clone(),
        memory: args.memory,
        processors: args.cpus,
        accelerator: match args.accel {
            Accel::Auto => None,
            Accel::Kvm => Some(Accelerator::Kvm),
            Accel::Tcg => Some(Accelerator::Tcg),
        },
        control: args.control.clone(),
        writes: if args.no_snapshot { Writes::Stay } else { Writes::Vanish },
    })?;
    if args.print {
        writeln!(std::io::stdout(), "{}", shown(&ready.machine.arguments()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let how = match ready.machine.accelerator {
        Accelerator::Kvm => "accelerated by KVM",
        Accelerator::Tcg => "emulated",
    };
    let kept = if args.no_snapshot { "writes stay in the image" } else { "writes are dropped at the end" };
    eprintln!("coracle: {how}; {kept}; Ctrl-A X ends the machine, Ctrl-A H lists what else there is");
    for rule in &args.forward {
        eprintln!("coracle: 127.0.0.1:{} leads to port {} of the guest", rule.host(), rule.guest());
    }
    Ok(if ready.run()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
