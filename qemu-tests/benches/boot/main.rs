//! From the start of QEMU to an answer from the container's server, for this system and for others with the same server in the
//! same machine.
//!
//! | subject | what is booted |
//! |---|---|
//! | `coracle` | the image of `examples/hello`, its first boot behind it, as the peers have theirs |
//! | `coracle-first-boot` | the same, fresh from the builder |
//! | `floor` | the same kernel and an init that brings the network up and becomes the server: `floor.c` |
//! | `debian-bare` | Debian 12's kernel, an initrd of six modules and a script, a script as init that becomes crun: `peers/bare-init`, `peers/host` |
//! | `debian-stripped` | the same, with the initrd that Debian makes |
//! | `debian-systemd` | Debian 12 minimal: its kernel and initrd, systemd, networkd, crun as a unit: `peers/hello.service` |
//!
//! The subjects take turns. `cpu-s` is processor time of QEMU, which a busy host disturbs little; `wall-s` is for the eye;
//! `instructions` are the guest's own, counted by QEMU in boots apart, which repeat themselves to a few in a thousand.

mod floor;
mod peers;
mod sample;
mod subject;

use std::error::Error;

use coracle_qemu_tests::measure::{Options, Report};

use floor::Floor;
use peers::Peers;
use subject::Subject;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    eprintln!("bench: building the example and the floor");
    let settled = subject::settled()?;
    let floor = Floor::build(settled.image())?;
    let peers = match Peers::find(floor.server()) {
        Ok(peers) => Some(peers),
        Err(error) => {
            eprintln!("bench: THE PEERS ARE MISSING, nothing is compared with Debian: {error:?}");
            None
        }
    };
    let subjects = Subject::all(&settled, &floor, peers.as_ref());
    let mut report = Report::new("boot", "floor");
    for run in 1..=options.runs {
        for subject in &subjects {
            eprintln!("bench: run {run} of {}, {}", options.runs, subject.name());
            let boot = sample::time(subject.direct()?)?;
            report.add("direct", subject.name(), "cpu-s", boot.processor.as_secs_f64());
            report.add("direct", subject.name(), "wall-s", boot.wall.as_secs_f64());
            let instructions = sample::instructions(subject.direct()?)?;
            report.add("direct", subject.name(), "instructions", instructions as f64);
        }
        for subject in &subjects {
            let Some(machine) = subject.uefi()? else { continue };
            eprintln!("bench: run {run} of {}, {} through firmware", options.runs, subject.name());
            let boot = sample::time(machine)?;
            report.add("uefi", subject.name(), "cpu-s", boot.processor.as_secs_f64());
            report.add("uefi", subject.name(), "wall-s", boot.wall.as_secs_f64());
        }
    }
    print!("{}", report.show(options.form));
    Ok(())
}
