//! From a pod and its image to a start plan.
//!
//! | module | what it knows |
//! |---|---|
//! | `process` | program, arguments, environment, working folder |
//! | `rights` | capabilities, the seccomp filter, hidden and read-only paths |
//! | `limits` | cgroup limits and the out-of-memory preference |
//! | [`services`] | the plans of the host's own services |
//! | `signal` | the names of signals |
//!
//! What a manifest asks for and cannot be given is an error that names the field.

mod limits;
mod process;
mod rights;
pub mod services;
mod signal;

use coracle_layout::paths;
use coracle_pods::Pod;
use coracle_pods::pod::{Namespace, RestartPolicy};
use coracle_runtime::plan::{
    self, AbsPath, Hostname, IdRange, Name, Plan, Restart, Root, UserNamespace, Writable,
};

use crate::Error;
use crate::accounts::{Account, Accounts, Wanted};
use crate::embedded::Embedded;

/// Ids that each pod's user namespace has, and the distance between two of them on the host.
const IDS: u32 = 0x1_0000;
/// The largest writable layer in memory when the manifest gives no `ephemeral-storage` limit.
const TMPFS_BYTES: u64 = 64 << 20;
/// Annotation that chooses the writable layer: `state` (default) or `tmpfs`.
const WRITABLE_LAYER: &str = "coracle/writable-layer";

/// The start plan of the `index`th pod of a recipe.
pub fn of(pod: &Pod, image: &Embedded, index: u32) -> Result<Plan, Error> {
    check(pod)?;
    let name = pod.name.as_str();
    let refused = |source| Error::Plan { name: name.to_owned(), source };
    let security = &pod.container.security;
    let account = account(pod, image)?;
    let process = process::of(pod, image, &account)?;
    let caps = rights::capabilities(security).map_err(refused)?;
    let (masked, readonly) = rights::paths(security).map_err(refused)?;
    let user = match pod.users {
        Namespace::Own => {
            let base = index.checked_add(1).and_then(|n| n.checked_mul(IDS)).unwrap_or(0);
            UserNamespace::Own(IdRange::new(base, IDS).map_err(refused)?)
        }
        Namespace::Host => UserNamespace::Host,
    };
    Ok(Plan {
        name: Name::new(name).map_err(refused)?,
        root: Root::Image(AbsPath::new(format!("{}/{}", paths::IMAGES, image.folder())).map_err(refused)?),
        writable: writable(pod)?,
        argv: process.argv,
        env: process.env,
        cwd: process.cwd,
        uid: account.uid,
        gid: account.gid,
        groups: account.groups,
        hostname: Hostname::new(pod.hostname.as_str()).map_err(refused)?,
        net: namespace(pod.network),
        pid: namespace(pod.pids),
        user,
        caps,
        seccomp: rights::filter(security, caps).map_err(refused)?,
        limits: limits::of(&pod.container).map_err(refused)?,
        oom_score_adj: limits::oom_score_adj(&pod.container).map_err(refused)?,
        masked,
        readonly,
        restart: match pod.restart {
            RestartPolicy::Always => Restart::Always,
            RestartPolicy::OnFailure => Restart::OnFailure,
            RestartPolicy::Never => Restart::Never,
        },
        stop_signal: signal::of(image.config.stop_signal.as_deref()).ok_or_else(|| {
            unsupported(pod, "spec.containers[0].image", "its StopSignal is no signal of Linux")
        })?,
        grace_ms: u32::try_from(pod.grace.as_millis()).unwrap_or(u32::MAX),
    })
}

/// What a manifest may ask for and this system does not have.
fn check(pod: &Pod) -> Result<(), Error> {
    let container = &pod.container;
    if pod.network == Namespace::Own && container.ports.iter().any(|port| port.host.is_some()) {
        let reason = "a host port needs `hostNetwork: true`; a pod's own network has only loopback so far";
        return Err(unsupported(pod, "spec.containers[0].ports", reason));
    }
    if container.security.allow_privilege_escalation == Some(true) && !container.security.privileged {
        let reason = "no container gains rights by executing a file: no_new_privs is always set; remove it";
        return Err(unsupported(pod, "spec.containers[0].securityContext.allowPrivilegeEscalation", reason));
    }
    let ours = |key: &&String| key.starts_with("coracle/") && *key != WRITABLE_LAYER;
    if let Some(key) = pod.annotations.keys().find(ours) {
        let reason = format!("there is no annotation {key}; there is {WRITABLE_LAYER}");
        return Err(unsupported(pod, "metadata.annotations", reason));
    }
    Ok(())
}

fn account(pod: &Pod, image: &Embedded) -> Result<Account, Error> {
    let security = &pod.container.security;
    let wanted = Wanted { user: security.run_as_user, group: security.run_as_group };
    let account = Accounts::of(&image.tree)
        .find(&image.config.user, wanted)
        .map_err(|source| Error::PodUser { pod: pod.name.as_str().to_owned(), source })?;
    if security.run_as_non_root && account.uid == 0 {
        let reason = "the image runs as user 0; name another with runAsUser";
        return Err(unsupported(pod, "spec.containers[0].securityContext.runAsNonRoot", reason));
    }
    Ok(account)
}

fn writable(pod: &Pod) -> Result<Writable, Error> {
    let storage = pod.container.limits.ephemeral_storage.map(|bytes| bytes.units());
    let layer = pod.annotations.get(WRITABLE_LAYER).map_or("state", String::as_str);
    if pod.container.security.read_only_root {
        return Ok(Writable::None);
    }
    match (layer, storage) {
        ("tmpfs", bytes) => Ok(Writable::Tmpfs { bytes: bytes.unwrap_or(TMPFS_BYTES) }),
        ("state", None) => {
            let path = AbsPath::new(format!("{}/{}", paths::STATE_CONTAINERS, pod.name.as_str()));
            path.map(Writable::State)
                .map_err(|source| Error::Plan { name: pod.name.as_str().to_owned(), source })
        }
        ("state", Some(_)) => {
            let reason = "only a writable layer in memory has a limit so far: add the annotation \
                          `coracle/writable-layer: tmpfs`, or remove the limit";
            Err(unsupported(pod, "spec.containers[0].resources.limits.ephemeral-storage", reason))
        }
        (other, _) => {
            let reason =
                format!("{WRITABLE_LAYER} is \"state\" or \"tmpfs\", not \"{}\"", other.escape_debug());
            Err(unsupported(pod, "metadata.annotations", reason))
        }
    }
}

fn namespace(namespace: Namespace) -> plan::Namespace {
    match namespace {
        Namespace::Own => plan::Namespace::Own,
        Namespace::Host => plan::Namespace::Host,
    }
}

fn unsupported(pod: &Pod, field: &'static str, reason: impl Into<String>) -> Error {
    Error::Pod { pod: pod.name.as_str().to_owned(), field, reason: reason.into() }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
