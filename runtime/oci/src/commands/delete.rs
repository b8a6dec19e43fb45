//! `delete`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use oci_spec::runtime::Spec;

use crate::{
    hooks::{self, Place},
    state::{self, Container, Status},
};

/// Removes a container that has ended; with `force`, one that has not, or is not there.
pub fn delete(root: &Path, id: &str, force: bool) -> Result<()> {
    let container = match Container::open(root, id) {
        Err(state::Error::Absent { .. }) if force => return Ok(()),
        other => other?,
    };
    match container.status() {
        Status::Stopped => {}
        _ if force => {}
        status => {
            bail!("container {id} is {}; one that is stopped can be removed, or use --force", status.as_str())
        }
    }
    let spec = match container.config() {
        Ok(config) => config.spec,
        // What was killed before it had written its configuration has no hooks.
        Err(_) if force => Spec::default(),
        Err(error) => return Err(error.into()),
    };
    remove(container, &spec)
}

/// Kills all that is left of it, removes its cgroup and its state, and tells the hooks.
pub fn remove(container: Container, spec: &Spec) -> Result<()> {
    if let Some(cgroup) = container.cgroup()? {
        cgroup.kill().and_then(|()| cgroup.remove_all()).context("cgroup of the container")?;
    }
    let state = container.show(spec, Status::Stopped);
    container.remove()?;
    if let Some(hooks) = spec.hooks().as_ref().and_then(|hooks| hooks.poststop().as_ref()) {
        hooks::run("poststop", Some(hooks), &state, Place::Runtime)?;
    }
    Ok(())
}
