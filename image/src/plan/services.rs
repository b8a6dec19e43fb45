//! The host's own services: programs of the root filesystem that PID 1 starts beside the pods.

use coracle_runtime::Error;
use coracle_runtime::plan::{
    AbsPath, Hostname, Limits, Name, Namespace, OomScoreAdj, Plan, Restart, Root, Signal, UserNamespace,
    Writable,
};
use coracle_runtime::seccomp::{compile, container};

use super::rights;

/// Where the network service's program is.
pub const NETD: &str = "/usr/sbin/netd";
/// The user and group of the network service, on the host.
const NETD_ID: u32 = 990;
/// The network service reads foreign bytes: it has room for its tables and no more.
const NETD_MEMORY: u64 = 32 << 20;
const NETD_PIDS: u32 = 16;

/// The network service: addresses, routes and names of the host. It keeps what it tells others in `/run/netd`, which
/// PID 1 makes for it.
pub fn netd(hostname: &str) -> Result<Plan, Error> {
    let caps = rights::mask(&["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"])?;
    Ok(Plan {
        name: Name::new("netd")?,
        root: Root::Host,
        writable: Writable::None,
        argv: vec![AbsPath::new(NETD)?.as_c_str().to_owned()],
        env: Vec::new(),
        cwd: AbsPath::new("/")?,
        uid: NETD_ID,
        gid: NETD_ID,
        groups: Vec::new(),
        hostname: Hostname::new(hostname)?,
        net: Namespace::Host,
        pid: Namespace::Host,
        user: UserNamespace::Host,
        caps,
        seccomp: compile(&container::policy(caps))?,
        limits: Limits { memory: Some(NETD_MEMORY), pids: Some(NETD_PIDS), ..Limits::default() },
        // Without it the machine cannot be reached: pods die first.
        oom_score_adj: OomScoreAdj::new(-999)?,
        masked: Vec::new(),
        readonly: Vec::new(),
        restart: Restart::Always,
        stop_signal: Signal::new(15)?,
        grace_ms: 5_000,
    })
}

/// Pods' user namespaces lie above every service's identifier.
const _: () = assert!(NETD_ID < super::IDS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_can_be_read_back() {
        let plan = netd("edge").unwrap();
        assert_eq!(Plan::decode(&plan.encode().unwrap()).unwrap(), plan);
        assert_eq!(plan.caps.bits(), 1 << 10 | 1 << 12 | 1 << 13);
        assert!(!plan.seccomp.is_empty());
    }
}
