//! `update` and `events`.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use coracle_runtime::cgroup;
use oci_spec::runtime::LinuxResources;

use crate::{
    cgroups_path::Hierarchy,
    config::LONGEST,
    resources::apply,
    state::{Container, Status},
    stats::{Event, Stats},
};

/// Gives a container other limits; those that are not named stay.
pub fn update(root: &Path, file: &Path, id: &str) -> Result<()> {
    let mut bytes = Vec::new();
    let from: &mut dyn Read = if file == Path::new("-") { &mut io::stdin() } else { &mut File::open(file)? };
    from.take(LONGEST as u64).read_to_end(&mut bytes)?;
    let change: LinuxResources = serde_json::from_slice(&bytes).context("--resources")?;
    let mut container = Container::open(root, id)?;
    if container.status() == Status::Stopped {
        bail!("container {id} is stopped");
    }
    let current = match &container.record.resources {
        Some(resources) => resources.clone(),
        None => {
            let linux = container.config()?.spec.linux().clone();
            linux.and_then(|linux| linux.resources().clone()).unwrap_or_default()
        }
    };
    let hierarchy = Hierarchy::open()?;
    let path = cgroup::Path::new(&container.record.cgroup)?;
    let now = apply::update(hierarchy.root.as_fd(), &path, &current, &change)?;
    container.record.resources = Some(now);
    Ok(container.write()?)
}

/// Prints what a container uses, once or again and again until it has ended.
pub fn events(root: &Path, id: &str, once: bool, interval: u64) -> Result<()> {
    loop {
        let container = Container::open(root, id)?;
        if container.status() == Status::Stopped {
            return if once { bail!("container {id} is stopped") } else { Ok(()) };
        }
        let cgroup = container.cgroup()?.context("the container's cgroup is gone")?;
        // Whoever waits for the next line holds up no other command.
        drop(container);
        let stats = Stats::read(&cgroup)?;
        let event = Event { kind: "stats", id, data: &stats };
        writeln!(io::stdout().lock(), "{}", serde_json::to_string(&event)?)?;
        if once {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(interval));
    }
}
