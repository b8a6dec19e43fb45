//! Cgroup limits, by the rules with which Kubernetes turns quantities into them.

use coracle_pods::pod::{Container, Resources};
use coracle_runtime::Error;
use coracle_runtime::plan::{CpuQuota, Limits, OomScoreAdj, Weight};

/// Kubernetes' period of `cpu.max`, in microseconds.
const PERIOD_US: u32 = 100_000;
/// The shortest quota the kernel takes.
const QUOTA_MIN_US: u64 = 1_000;

/// The limits of a container.
pub fn of(container: &Container) -> Result<Limits, Error> {
    let Resources { cpu, memory, pids, .. } = container.limits;
    let quota = cpu.map(|cpu| cpu.millis().saturating_mul(u64::from(PERIOD_US) / 1000).max(QUOTA_MIN_US));
    Ok(Limits {
        memory: memory.map(|bytes| bytes.units()),
        cpu: quota.map(|quota| CpuQuota::new(quota, PERIOD_US)).transpose()?,
        weight: container.requests.cpu.map(|cpu| Weight::new(weight(cpu.millis()))).transpose()?,
        pids: pids.map(|pids| u32::try_from(pids.units()).unwrap_or(u32::MAX)),
    })
}

/// Thousandths of a processor to `cpu.weight`, by way of cgroup v1 shares (2 to 262144) as Kubernetes goes.
fn weight(millis: u64) -> u16 {
    let shares = millis.saturating_mul(1024) / 1000;
    let shares = shares.clamp(2, 262_144);
    u16::try_from(1 + (shares - 2) * 9999 / 262_142).unwrap_or(10_000)
}

/// Whom the kernel kills first, by Kubernetes' classes.
///
/// Off-spec: "burstable" is 500 flat; Kubernetes scales it with the node's memory, which a builder does not know.
pub fn oom_score_adj(container: &Container) -> Result<OomScoreAdj, Error> {
    let amounts = |of: &Resources| [of.cpu, of.memory];
    let (limits, requests) = (amounts(&container.limits), amounts(&container.requests));
    let guaranteed = limits == requests && limits.iter().all(Option::is_some);
    let best_effort = limits.iter().chain(&requests).all(Option::is_none);
    OomScoreAdj::new(match (guaranteed, best_effort) {
        (true, _) => -997,
        (_, true) => 1000,
        _ => 500,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_kubernetes() {
        for (millis, want) in
            [(0, 1), (2, 1), (100, 4), (1000, 39), (8000, 313), (256_000, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(weight(millis), want, "{millis}");
        }
    }
}
