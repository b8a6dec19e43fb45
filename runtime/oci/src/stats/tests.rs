use serde_json::{Value, json};

use super::*;

fn parse(files: &[(&str, &str)]) -> Result<Stats, Error> {
    Stats::parse(&files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn counters_have_the_names_and_units_of_runc() {
    let stats = parse(&[
        ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 4\nthrottled_usec 3\nlater 1\n"),
        ("cpu.pressure", "some avg10=0.50 avg60=1.00 avg300=2.25 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"),
        ("memory.stat", "anon 1\nfile 4096\n"),
        ("memory.current", "8192\n"),
        ("memory.max", "16384\n"),
        ("memory.peak", "12288\n"),
        ("memory.events", "low 0\nhigh 0\nmax 6\noom 0\n"),
        ("memory.swap.current", "100\n"),
        ("memory.swap.max", "200\n"),
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        ("io.stat", "7:1 7:0 8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:0\n"),
        ("hugetlb.2MB.current", "0\n"),
        ("hugetlb.2MB.rsvd.current", "2097152\n"),
        ("hugetlb.2MB.events", "max 2\n"),
        ("hugetlb.1GB.current", "1073741824\n"),
        ("rdma.max", "mlx4_0 hca_handle=2 hca_object=max\n"),
        ("rdma.current", "mlx4_0 hca_handle=1 hca_object=20\n"),
    ])
    .unwrap();
    let event = Event { kind: "stats", id: "a", data: &stats };
    let nothing = json!({"limit": 0, "usage": 0, "max": 0, "failcnt": 0});
    let disk = |op, value| json!({"major": 8, "minor": 16, "op": op, "value": value});
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({"type": "stats", "id": "a", "data": {
            "cpu": {
                "usage": {"total": 30000, "kernel": 10000, "user": 20000},
                "throttling": {"periods": 5, "throttledPeriods": 4, "throttledTime": 3000},
                "psi": {
                    "some": {"avg10": 0.5, "avg60": 1.0, "avg300": 2.25, "total": 99},
                    "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 7},
                },
            },
            "memory": {
                "cache": 4096,
                "usage": {"limit": 16384, "usage": 8192, "max": 12288, "failcnt": 6},
                "swap": {"limit": 16584, "usage": 8292, "max": 0, "failcnt": 0},
                "kernel": nothing, "kernelTCP": nothing,
                "raw": {"anon": 1, "file": 4096},
            },
            "pids": {"current": 3, "limit": 0},
            "blkio": {
                "ioServiceBytesRecursive": [disk("Read", 1), disk("Write", 2)],
                "ioServicedRecursive": [disk("Read", 3), disk("Write", 4)],
            },
            "hugetlb": {
                "2MB": {"usage": 2097152, "max": 0, "failcnt": 2},
                "1GB": {"usage": 1073741824, "max": 0, "failcnt": 0},
            },
            "rdma": {
                "rdma_limit": [{"device": "mlx4_0", "hca_handles": 2, "hca_objects": u32::MAX}],
                "rdma_current": [{"device": "mlx4_0", "hca_handles": 1, "hca_objects": 20}],
            },
            "network_interfaces": [],
        }})
    );
}

#[test]
fn a_limit_that_is_none_is_the_most_there_is() {
    let stats = parse(&[("memory.max", "max"), ("memory.swap.max", "0"), ("memory.current", "5")]).unwrap();
    assert_eq!(
        (stats.memory.usage.limit, stats.memory.swap.limit, stats.memory.swap.usage),
        (u64::MAX, u64::MAX, 5)
    );
    assert_eq!(parse(&[]).unwrap(), Stats::default());
}

#[test]
fn what_the_kernel_never_writes_is_named() {
    for (file, text) in [
        ("cpu.stat", "usage_usec"),
        ("cpu.stat", "usage_usec -1"),
        ("memory.stat", "anon x"),
        ("memory.current", "max"),
        ("memory.max", "18446744073709551616"),
        ("pids.max", "many"),
        ("io.stat", "rbytes=1"),
        ("io.stat", "8 rbytes=1"),
        ("io.stat", "8:x rbytes=1"),
        ("rdma.max", "a hca_handle"),
        ("cpu.pressure", "some avg10=often"),
    ] {
        let refused = parse(&[(file, text)]).unwrap_err();
        assert!(
            matches!(&refused, Error::Garbled { file: named, .. } if named == file),
            "{file} {text}: {refused:?}"
        );
    }
}

#[test]
fn counters_are_told_from_other_files() {
    for (file, wanted) in [
        ("memory.swap.current", true),
        ("memory.pressure", true),
        ("hugetlb.2MB.rsvd.current", true),
        ("memory.reclaim", false),
        ("cgroup.procs", false),
        ("irq.pressure", false),
        ("cpu.max", false),
    ] {
        assert_eq!(is_counter(file), wanted, "{file}");
    }
}

/// Whatever this host counts can be read: needs a mounted cgroup2.
#[test]
fn the_own_host_writes_nothing_else() {
    use std::os::fd::AsFd;

    use coracle_runtime::cgroup::Path;

    let root = crate::cgroups_path::Hierarchy::open().unwrap().root;
    let path = Path::new(&format!("coracle-stats-{}", std::process::id())).unwrap();
    let resources = crate::resources::lower(&Default::default()).unwrap();
    let cgroup = crate::resources::apply::create(root.as_fd(), &path, &resources).unwrap();
    let stats = Stats::read(&cgroup);
    cgroup.remove_all().unwrap();
    let stats = stats.unwrap();
    assert_eq!(stats.cpu.usage, CpuUsage::default(), "nobody was in it");
    assert!(matches!(serde_json::to_value(&stats), Ok(Value::Object(_))));
}
