//! A seccomp filter's listener for the agent that the configuration names.

use std::os::{
    fd::{AsFd, OwnedFd},
    unix::net::UnixStream,
};

use anyhow::{Context, Result};
use coracle_runtime::agent;
use oci_spec::runtime::Spec;
use rustix::process::Pid;
use serde_json::{Value, json};

/// Sends it, with the state of the container and of the process, as the specification has them.
pub fn agent(spec: &Spec, state: &Value, process: Pid, listener: &OwnedFd) -> Result<()> {
    let seccomp = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let seccomp = seccomp.context("a filter that nobody has asked for")?;
    let path = seccomp.listener_path().as_ref().context("linux.seccomp.listenerPath is missing")?;
    let mut message = json!({
        "ociVersion": spec.version(),
        "fds": ["seccompFd"],
        "pid": process.as_raw_nonzero().get(),
        "state": state,
    });
    if let Some(metadata) = seccomp.listener_metadata() {
        message["metadata"] = json!(metadata);
    }
    let sent = UnixStream::connect(path).and_then(|socket| {
        Ok(agent::send(socket.as_fd(), message.to_string().as_bytes(), listener.as_fd())?)
    });
    sent.with_context(|| format!("linux.seccomp.listenerPath {}", path.display()))
}
