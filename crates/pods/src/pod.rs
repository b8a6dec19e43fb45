//! The checked pod, as a runtime uses it.

pub use crate::names::DnsLabel;
use crate::{Error, Quantity, check};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest manifest that is read.
pub const LIMIT: usize = 1 << 20;

/// A pod with its one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: DnsLabel,
    /// Labels, by key.
    pub labels: BTreeMap<String, String>,
    /// Annotations, by key.
    pub annotations: BTreeMap<String, String>,
    /// The network namespace it lives in.
    pub network: Namespace,
    /// The process namespace it lives in.
    pub pids: Namespace,
    /// The user namespace it lives in. Off-spec: its own unless `hostUsers: true` is written, where Kubernetes shares by default.
    pub users: Namespace,
    /// When the container is started again.
    pub restart: RestartPolicy,
    /// Time between the stop signal and the kill.
    pub grace: Duration,
    /// Host name inside; the pod's name unless written.
    pub hostname: DnsLabel,
    /// The container.
    pub container: Container,
}

impl Pod {
    /// Reads one manifest.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        check::pod(yaml)
    }
}

/// Whose namespace a pod uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Its own.
    Own,
    /// The host's.
    Host,
}

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// After a failure.
    OnFailure,
    /// Never.
    Never,
}

/// The container of a pod. Commands, arguments and variables are expanded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: DnsLabel,
    /// Reference of its image.
    pub image: String,
    /// Replaces the image's entrypoint unless empty.
    pub command: Vec<String>,
    /// Replaces the image's command unless empty.
    pub args: Vec<String>,
    /// Variables in the order of the manifest, names unique.
    pub env: Vec<(String, String)>,
    /// Working folder, absolute; the image's unless written.
    pub working_dir: Option<String>,
    /// Ports it listens on.
    pub ports: Vec<Port>,
    /// The most it may use.
    pub limits: Resources,
    /// What it is promised; a limit stands in for a request that is not written.
    pub requests: Resources,
    /// Its rights.
    pub security: Security,
}

/// A port that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: Option<String>,
    /// Number inside, 1 to 65535.
    pub container: u16,
    /// Number on the host, 1 to 65535.
    pub host: Option<u16>,
    /// Its protocol.
    pub protocol: Protocol,
}

/// Protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Amounts of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<Quantity>,
    /// Bytes of memory.
    pub memory: Option<Quantity>,
    /// Bytes on the state partition.
    pub ephemeral_storage: Option<Quantity>,
    /// Processes and threads, a whole number.
    pub pids: Option<Quantity>,
}

/// Rights of a container. `None` leaves the choice to the image or the runtime.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// User ID.
    pub run_as_user: Option<u32>,
    /// Group ID.
    pub run_as_group: Option<u32>,
    /// Refuse to start as user 0.
    pub run_as_non_root: bool,
    /// Whether the root is read-only.
    pub read_only_root: bool,
    /// Whether a process may gain rights (no_new_privs is not set).
    pub allow_privilege_escalation: Option<bool>,
    /// Whether the container has every right of the host.
    pub privileged: bool,
    /// Capabilities on top of the runtime's set.
    pub add: Capabilities,
    /// Capabilities taken from the runtime's set.
    pub drop: Capabilities,
}

/// A set of capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capabilities {
    /// Every one.
    All,
    /// These, without `CAP_` in front, each from [`crate::names::CAPABILITIES`].
    Named(Vec<&'static str>),
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
