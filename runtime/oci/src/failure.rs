//! What kept a container from running, in words that name what the configuration asked for.

use coracle_runtime::start::{Failure, Stage};
use oci_spec::runtime::Spec;

/// The failure of a child, with the property that it was about.
#[must_use]
pub fn describe(failure: Failure, spec: &Spec) -> anyhow::Error {
    let about = about(failure, spec);
    anyhow::Error::from(failure.errno).context(failure.stage.as_str()).context(about)
}

fn about(failure: Failure, spec: &Spec) -> String {
    let item = usize::from(failure.item);
    match failure.stage {
        Stage::MountSource | Stage::MountTarget | Stage::Mount | Stage::CopyUp => {
            let mount = spec.mounts().as_ref().and_then(|mounts| mounts.get(item));
            let place = mount.map(|mount| mount.destination().display().to_string()).unwrap_or_default();
            format!("mounts[{item}] {place}")
        }
        Stage::Exec | Stage::WorkingDirectory => {
            let process = spec.process().as_ref();
            let args = process.and_then(|process| process.args().as_ref());
            let program = args.and_then(|args| args.first()).cloned().unwrap_or_default();
            format!("process {program:?}")
        }
        Stage::ResourceLimits => format!("process.rlimits[{item}]"),
        Stage::Setting => format!("linux.sysctl, the {}th by name", item + 1),
        _ => "the container was not made".to_owned(),
    }
}
