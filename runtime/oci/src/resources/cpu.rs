//! `cpu`, which are the controllers cpu and cpuset of v2.

use coracle_runtime::cgroup::Setting;
use oci_spec::runtime::LinuxCpu;

use super::{Error, List, range, unsupported};

pub(super) fn lower(cpu: &LinuxCpu, list: &mut List) -> Result<(), Error> {
    if cpu.realtime_runtime().is_some_and(|time| time != 0) {
        return Err(unsupported("cpu.realtimeRuntime"));
    }
    if cpu.realtime_period().is_some_and(|time| time != 0) {
        return Err(unsupported("cpu.realtimePeriod"));
    }
    let is_idle = match cpu.idle() {
        None => false,
        Some(0) => {
            // Before the weight, which an idle cgroup does not take.
            list.ask("cpu.idle", Setting::new("cpu.idle", 0).or_skip());
            false
        }
        Some(1) => {
            list.ask("cpu.idle", Setting::new("cpu.idle", 1));
            true
        }
        Some(_) => return Err(range("cpu.idle", "0 or 1")),
    };
    match cpu.shares() {
        // The least weight of all is what idle means.
        None | Some(0) => {}
        Some(_) if is_idle => {}
        Some(shares) => list.ask("cpu.shares", Setting::new("cpu.weight", weight(shares))),
    }
    bandwidth(cpu, list)?;
    for (property, file, text) in
        [("cpu.cpus", "cpuset.cpus", cpu.cpus()), ("cpu.mems", "cpuset.mems", cpu.mems())]
    {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            list.ask(property, Setting::new(file, text));
        }
    }
    Ok(())
}

/// The quota alone leaves the period as it is. A burst is taken back first and given last: the kernel refuses one that is longer
/// than the quota, of both at any time.
fn bandwidth(cpu: &LinuxCpu, list: &mut List) -> Result<(), Error> {
    let quota = cpu.quota().filter(|&quota| quota > 0);
    let period = cpu.period().filter(|&period| period != 0);
    if let (Some(quota), Some(burst)) = (quota, cpu.burst())
        && u64::try_from(quota).is_ok_and(|quota| burst > quota)
    {
        return Err(range("cpu.burst", "no more than cpu.quota"));
    }
    if cpu.burst().is_some() {
        list.ask("cpu.burst", Setting::new("cpu.max.burst", 0).or_skip());
    }
    let none = cpu.quota().filter(|&quota| quota < 0);
    match (quota, none, period) {
        (Some(quota), _, None) => list.ask("cpu.quota", Setting::new("cpu.max", quota)),
        (Some(quota), _, Some(period)) => {
            list.ask("cpu.quota", Setting::new("cpu.max", format_args!("{quota} {period}")));
        }
        (None, _, Some(period)) => {
            list.ask("cpu.period", Setting::new("cpu.max", format_args!("max {period}")).or_skip());
        }
        (None, Some(_), None) => list.ask("cpu.quota", Setting::new("cpu.max", "max").or_skip()),
        (None, None, None) => {}
    }
    match cpu.burst() {
        None | Some(0) => {}
        Some(burst) => list.ask("cpu.burst", Setting::new("cpu.max.burst", burst)),
    }
    Ok(())
}

/// A weight of 1 to 10000 for shares of 2 to 262144. The square in the exponent goes through the least, the default, 1024 to 100,
/// and the most. runc 1.3.2 and crun 1.23 brought it in place of a line, which made 39 of the default
/// (<https://github.com/opencontainers/runc/pull/4785>).
fn weight(shares: u64) -> u64 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn shares_become_the_weights_of_runc() {
        // Of its tests, and some that Kubernetes asks for: 100, 250 and 2000 thousandths of a processor.
        for (shares, wanted) in [
            (0, 1),
            (1, 1),
            (2, 1),
            (102, 17),
            (256, 35),
            (1024, 100),
            (2048, 174),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight(shares), wanted, "{shares}");
        }
        let weights: Vec<u64> = (0..=262_144).map(weight).collect();
        assert!(weights.is_sorted() && weights.iter().all(|weight| (1..=10_000).contains(weight)));
    }
}
