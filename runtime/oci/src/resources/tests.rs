use oci_spec::runtime::LinuxResources;

use super::*;

fn read(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// `file=value` for each setting; `?` behind one that may be left out, `|` before one in place of the one before it.
fn written(json: &str) -> Result<String, String> {
    fn one(setting: &Setting) -> String {
        let text = format!("{}={}", setting.file, setting.value);
        match &setting.absent {
            Absent::Refuse => text,
            Absent::Skip => text + "?",
            Absent::Instead(other) => format!("{text} | {}", one(other)),
        }
    }
    let lowered = lower(&read(json)).map_err(|error| error.to_string())?;
    Ok(lowered.settings.iter().map(|asked| one(&asked.setting)).collect::<Vec<_>>().join(", "))
}

fn assert_written(cases: &[(&str, &str)]) {
    for (json, wanted) in cases {
        assert_eq!(written(json).as_deref(), Ok(*wanted), "{json}");
    }
}

fn assert_refused(cases: &[(&str, &str)]) {
    for (json, wanted) in cases {
        assert_eq!(written(json), Err(format!("linux.resources.{wanted}")), "{json}");
    }
}

#[test]
fn what_asks_for_nothing_writes_nothing() {
    assert_written(&[
        ("{}", ""),
        (
            r#"{"memory": {"limit": 0, "swap": 0, "kernel": 0, "kernelTCP": -1, "swappiness": 0, "disableOOMKiller": false,
                "useHierarchy": true, "checkBeforeUpdate": false},
                "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "realtimePeriod": 0, "cpus": "", "mems": ""},
                "blockIO": {"weight": 0, "leafWeight": 0, "weightDevice": [], "throttleReadBpsDevice": []},
                "hugepageLimits": [], "rdma": {}, "unified": {}, "devices": [],
                "network": {"classID": 0, "priorities": [{"name": "eth0", "priority": 0}]}}"#,
            "",
        ),
    ]);
}

#[test]
fn memory_and_swap_are_counted_apart() {
    assert_written(&[
        (r#"{"memory": {"limit": 4096}}"#, "memory.max=4096"),
        (r#"{"memory": {"limit": 4096, "swap": 4096}}"#, "memory.swap.max=0?, memory.max=4096"),
        (r#"{"memory": {"limit": 4096, "swap": 12288}}"#, "memory.swap.max=8192?, memory.max=4096"),
        (r#"{"memory": {"limit": 4096, "swap": -1}}"#, "memory.swap.max=max?, memory.max=4096"),
        (r#"{"memory": {"limit": 4096, "swap": 0}}"#, "memory.max=4096"),
        (r#"{"memory": {"limit": -1}}"#, "memory.swap.max=max?, memory.max=max?"),
        (r#"{"memory": {"limit": -1, "swap": 4096}}"#, "memory.swap.max=4096?, memory.max=max?"),
        (r#"{"memory": {"swap": -1}}"#, "memory.swap.max=max?"),
        (r#"{"memory": {"reservation": 4096, "limit": 8192}}"#, "memory.max=8192, memory.low=4096"),
        (r#"{"memory": {"reservation": -1}}"#, "memory.low=max"),
        (r#"{"memory": {"reservation": 0}}"#, "memory.low=0?"),
    ]);
    assert_refused(&[
        (r#"{"memory": {"limit": -2}}"#, "memory.limit is to be a number of bytes, or -1"),
        (
            r#"{"memory": {"limit": 1, "swap": -9223372036854775808}}"#,
            "memory.swap is to be a number of bytes, or -1",
        ),
        (r#"{"memory": {"swap": 1}}"#, "memory.swap is to be set with memory.limit alone, as it counts both"),
        (
            r#"{"memory": {"limit": 2, "swap": 1}}"#,
            "memory.swap is to be no less than memory.limit, as it counts both",
        ),
        (r#"{"memory": {"kernel": 1}}"#, "memory.kernel: cgroup v2 has nothing for it"),
        (r#"{"memory": {"kernelTCP": 1}}"#, "memory.kernelTCP: cgroup v2 has nothing for it"),
        (r#"{"memory": {"swappiness": 60}}"#, "memory.swappiness: cgroup v2 has nothing for it"),
        (
            r#"{"memory": {"disableOOMKiller": true}}"#,
            "memory.disableOOMKiller: cgroup v2 has nothing for it",
        ),
        (r#"{"memory": {"useHierarchy": false}}"#, "memory.useHierarchy: cgroup v2 has nothing for it"),
    ]);
}

#[test]
fn a_limit_is_checked_against_what_is_used_if_that_is_asked() {
    let check = |json| lower(&read(json)).unwrap().check;
    assert_eq!(check(r#"{"memory": {"limit": 4096}}"#), None);
    assert_eq!(check(r#"{"memory": {"limit": 4096, "checkBeforeUpdate": false}}"#), None);
    let check = check(r#"{"memory": {"limit": 4096, "swap": 8192, "checkBeforeUpdate": true}}"#).unwrap();
    let used = |property, limit, used| Err(Error::Used { property, limit, used });
    for (memory, swap, wanted) in [
        (4095, 4096, Ok(())),
        (4096, 0, used("memory.limit", 4096, 4096)),
        (4000, 4192, used("memory.swap", 8192, 8192)),
        (1, u64::MAX, used("memory.swap", 8192, u64::MAX)),
    ] {
        assert_eq!(check.against(memory, swap), wanted);
    }
    let open =
        lower(&read(r#"{"memory": {"limit": -1, "checkBeforeUpdate": true}}"#)).unwrap().check.unwrap();
    assert_eq!(open.against(u64::MAX, 0), Ok(()));
}

#[test]
fn processor_time_is_a_weight_and_a_bandwidth() {
    assert_written(&[
        (r#"{"cpu": {"shares": 1024}}"#, "cpu.weight=100"),
        (r#"{"cpu": {"shares": 1, "idle": 0}}"#, "cpu.idle=0?, cpu.weight=1"),
        (r#"{"cpu": {"shares": 512, "idle": 1}}"#, "cpu.idle=1"),
        (r#"{"cpu": {"quota": 50000}}"#, "cpu.max=50000"),
        (r#"{"cpu": {"quota": 50000, "period": 200000}}"#, "cpu.max=50000 200000"),
        (r#"{"cpu": {"quota": -1}}"#, "cpu.max=max?"),
        (r#"{"cpu": {"quota": -1, "period": 100000}}"#, "cpu.max=max 100000?"),
        (r#"{"cpu": {"period": 100000}}"#, "cpu.max=max 100000?"),
        (
            r#"{"cpu": {"quota": 50000, "burst": 20000}}"#,
            "cpu.max.burst=0?, cpu.max=50000, cpu.max.burst=20000",
        ),
        (r#"{"cpu": {"burst": 0}}"#, "cpu.max.burst=0?"),
        (r#"{"cpu": {"cpus": "0-2,7", "mems": "0"}}"#, "cpuset.cpus=0-2,7, cpuset.mems=0"),
    ]);
    assert_refused(&[
        (r#"{"cpu": {"realtimeRuntime": 1}}"#, "cpu.realtimeRuntime: cgroup v2 has nothing for it"),
        (r#"{"cpu": {"realtimePeriod": 1}}"#, "cpu.realtimePeriod: cgroup v2 has nothing for it"),
        (r#"{"cpu": {"idle": 2}}"#, "cpu.idle is to be 0 or 1"),
        (r#"{"cpu": {"quota": 1000, "burst": 1001}}"#, "cpu.burst is to be no more than cpu.quota"),
    ]);
}

#[test]
fn disks_have_one_line_each() {
    assert_written(&[
        (r#"{"blockIO": {"weight": 10}}"#, "io.bfq.weight=10 | io.weight=1"),
        (r#"{"blockIO": {"weight": 1000}}"#, "io.bfq.weight=1000 | io.weight=10000"),
        (
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 500}, {"major": 8, "minor": 1, "leafWeight": 0}]}}"#,
            "io.bfq.weight=8:0 500 | io.weight=8:0 4950",
        ),
        (
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}, {"major": 7, "minor": 1, "rate": 0}],
                "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 18446744073709551615}],
                "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}, {"major": 8, "minor": 0, "rate": 2}],
                "throttleWriteIOPSDevice": [{"major": 259, "minor": 1048575, "rate": 3}]}}"#,
            "io.max=7:1 rbps=max, io.max=8:0 rbps=600 riops=2 wbps=18446744073709551615, io.max=259:1048575 wiops=3",
        ),
    ]);
    let many = r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}, {"major": 8, "minor": -1, "rate": 1}]}}"#;
    assert_refused(&[
        (r#"{"blockIO": {"leafWeight": 1}}"#, "blockIO.leafWeight: cgroup v2 has nothing for it"),
        (r#"{"blockIO": {"weight": 9}}"#, "blockIO.weight is to be a weight of 10 to 1000"),
        (r#"{"blockIO": {"weight": 1001}}"#, "blockIO.weight is to be a weight of 10 to 1000"),
        (
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}"#,
            "blockIO.weightDevice.0 is to be a weight of a device",
        ),
        (
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 9}]}}"#,
            "blockIO.weightDevice.0.leafWeight: cgroup v2 has nothing for it",
        ),
        (many, "blockIO.throttleReadBpsDevice.1.minor is to be a number of a device"),
    ]);
}

#[test]
fn the_others_have_a_file_of_their_own_or_none() {
    assert_written(&[
        (r#"{"pids": {"limit": 7}}"#, "pids.max=7"),
        (r#"{"pids": {"limit": 0}}"#, "pids.max=max?"),
        (r#"{"pids": {"limit": -1}}"#, "pids.max=max?"),
        (
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}, {"pageSize": "1GB", "limit": 0}]}"#,
            "hugetlb.2MB.max=4194304, hugetlb.2MB.rsvd.max=4194304?, hugetlb.1GB.max=0, hugetlb.1GB.rsvd.max=0?",
        ),
        (
            r#"{"rdma": {"rxe3": {"hcaObjects": 10000}, "mlx5_1": {"hcaHandles": 3, "hcaObjects": 0}}}"#,
            "rdma.max=mlx5_1 hca_handle=3 hca_object=0, rdma.max=rxe3 hca_object=10000",
        ),
        (
            r#"{"unified": {"memory.high": "9", "io.max": "8:0 rbps=1\n8:1 rbps=2", "later.file": "x"}, "memory": {"limit": 4096}}"#,
            "memory.max=4096, io.max=8:0 rbps=1\n8:1 rbps=2, later.file=x, memory.high=9",
        ),
    ]);
    let name = "is to be the name of a file: CONTROLLER.NAME, without a slash";
    assert_refused(&[
        (r#"{"network": {"classID": 1}}"#, "network.classID: cgroup v2 has nothing for it"),
        (
            r#"{"network": {"priorities": [{"name": "eth0", "priority": 1}]}}"#,
            "network.priorities: cgroup v2 has nothing for it",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}"#,
            "hugepageLimits.0.pageSize is to be a size such as 64KB, 2MB or 1GB",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "MB", "limit": 1}]}"#,
            "hugepageLimits.0.pageSize is to be a size such as 64KB, 2MB or 1GB",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": -1}]}"#,
            "hugepageLimits.0.limit is to be a number of bytes",
        ),
        (r#"{"rdma": {"a b": {"hcaHandles": 1}}}"#, "rdma.a b is to be a device's name"),
        (r#"{"rdma": {"a": {}}}"#, "rdma.a is to be hcaHandles, hcaObjects or both"),
        (r#"{"unified": {"../memory.max": "1"}}"#, &format!("unified.../memory.max {name}")),
        (r#"{"unified": {"..": "1"}}"#, &format!("unified... {name}")),
        (r#"{"unified": {"tasks": "1"}}"#, &format!("unified.tasks {name}")),
    ]);
}

#[test]
fn rules_keep_their_order_before_the_containers_own() {
    use coracle_runtime::devices::{Access, Answer, CONTAINER, Kind};
    let rules =
        |json: &str| lower(&read(json)).map(|lowered| lowered.devices).map_err(|error| error.to_string());
    assert_eq!(rules("{}").unwrap(), CONTAINER);
    let json = r#"{"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "wr"},
        {"allow": true, "type": "b", "major": 8, "minor": -1, "access": "rr"},
        {"allow": false, "type": "a", "major": -1, "access": "m"}]}"#;
    let wanted = [
        Rule { answer: Answer::Deny, kind: None, major: None, minor: None, access: Access::ALL },
        Rule {
            answer: Answer::Allow,
            kind: Some(Kind::Char),
            major: Some(10),
            minor: Some(229),
            access: Access::READ.and(Access::WRITE),
        },
        Rule {
            answer: Answer::Allow,
            kind: Some(Kind::Block),
            major: Some(8),
            minor: None,
            access: Access::READ,
        },
        Rule { answer: Answer::Deny, kind: None, major: None, minor: None, access: Access::MKNOD },
    ];
    assert_eq!(rules(json).unwrap(), [&wanted, CONTAINER].concat());
    for (device, wanted) in [
        (r#"{"allow": true}"#, "access is to be one or more of r, w and m"),
        (r#"{"allow": true, "access": ""}"#, "access is to be one or more of r, w and m"),
        (r#"{"allow": true, "access": "rx"}"#, "access is to be one or more of r, w and m"),
        (r#"{"allow": true, "access": "r", "type": "p"}"#, "type is to be a, b or c"),
        (r#"{"allow": true, "access": "r", "major": -2}"#, "major is to be a number of a device, or -1"),
        (
            r#"{"allow": true, "access": "r", "minor": 4294967296}"#,
            "minor is to be a number of a device, or -1",
        ),
    ] {
        let json = format!(r#"{{"devices": [{device}]}}"#);
        assert_eq!(rules(&json), Err(format!("linux.resources.devices.0.{wanted}")));
    }
}

#[test]
fn controllers_are_needed_for_what_must_be_written() {
    let json = r#"{"pids": {"limit": 0}, "memory": {"limit": 1}, "blockIO": {"weight": 10}, "cpu": {"quota": -1},
        "unified": {"cgroup.max.depth": "1", "cpuset.cpus": "0", "memory.high": "2"}}"#;
    let lowered = lower(&read(json)).unwrap();
    let wanted = [("cpuset", "unified.cpuset.cpus"), ("io", "blockIO.weight"), ("memory", "memory.limit")];
    assert_eq!(lowered.needed().into_iter().collect::<Vec<_>>(), wanted);
}
