//! Joined resources, and real cgroups. These need root and a mounted cgroup2; what controllers it has they find out.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::PathBuf,
};

use super::*;

fn read(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    for (current, change, wanted) in [
        ("{}", "{}", "{}"),
        (
            r#"{"cpu": {"quota": 1, "period": 2}}"#,
            r#"{"cpu": {"period": 3}}"#,
            r#"{"cpu": {"quota": 1, "period": 3}}"#,
        ),
        (
            r#"{"pids": {"limit": 1}}"#,
            r#"{"memory": {"limit": 2}}"#,
            r#"{"pids": {"limit": 1}, "memory": {"limit": 2}}"#,
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "1GB", "limit": 1}]}"#,
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 2}]}"#,
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 2}]}"#,
        ),
        (
            r#"{"unified": {"a.b": "1", "a.c": "1"}}"#,
            r#"{"unified": {"a.c": "2"}}"#,
            r#"{"unified": {"a.b": "1", "a.c": "2"}}"#,
        ),
    ] {
        assert_eq!(join(&read(current), &read(change)), Ok(read(wanted)), "{current} {change}");
    }
}

/// A cgroup of one test, gone in the end.
struct Container {
    root: File,
    mount: PathBuf,
    path: Path,
    now: LinuxResources,
}

impl Container {
    fn new(name: &str, resources: &str) -> Result<Self, Error> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
        let mount = PathBuf::from(line.split(' ').nth(4).unwrap());
        let root = File::open(&mount).unwrap();
        let path = Path::new(&format!("coracle-{name}-{}", std::process::id())).unwrap();
        let now = read(resources);
        let made = Self { root, mount, path, now };
        create(made.root.as_fd(), &made.path, &lower(&made.now)?)?;
        Ok(made)
    }

    fn update(&mut self, change: &str) -> Result<(), Error> {
        self.now = update(self.root.as_fd(), &self.path, &self.now, &read(change))?;
        Ok(())
    }

    fn file(&self, name: &str) -> String {
        let text = fs::read_to_string(self.mount.join(self.path.as_str()).join(name)).unwrap();
        text.trim_end().to_owned()
    }

    fn offers(&self, controller: &str) -> bool {
        let offered = fs::read_to_string(self.mount.join("cgroup.controllers")).unwrap();
        offered.split_whitespace().any(|name| name == controller)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Ok(cgroup) = Cgroup::open_at(self.root.as_fd(), &self.path) {
            cgroup.remove_all().unwrap();
        }
    }
}

#[test]
fn a_change_is_had_whole_or_not_at_all() {
    let deny = r#"{"devices": [{"allow": false, "access": "rwm"}], "unified": {"cgroup.max.depth": "3"}}"#;
    let mut container = Container::new("change", deny).unwrap();
    assert_eq!(container.file("cgroup.max.depth"), "3");
    container.update(r#"{"unified": {"cgroup.max.descendants": "5"}}"#).unwrap();
    container.update(r#"{"unified": {"cgroup.max.depth": "4"}}"#).unwrap();
    // An engine repeats the devices.
    container.update(r#"{"devices": [{"allow": false, "access": "rwm"}]}"#).unwrap();
    assert_eq!(
        (container.file("cgroup.max.depth"), container.file("cgroup.max.descendants")),
        ("4".into(), "5".into())
    );

    let refused =
        container.update(r#"{"unified": {"cgroup.max.depth": "9", "cgroup.max.descendants": "x"}}"#);
    let Err(Error::Refused { property, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(property, "unified.cgroup.max.descendants");
    assert_eq!(
        (container.file("cgroup.max.depth"), container.file("cgroup.max.descendants")),
        ("4".into(), "5".into())
    );
    let refused = container.update(r#"{"devices": [{"allow": true, "access": "rwm"}]}"#);
    assert_eq!(refused, Err(Error::DevicesChange));
}

#[test]
fn a_controller_that_is_not_there_is_named_with_its_property() {
    let missing = |property: &str, controller: &str| {
        Some(Error::Controller { property: property.into(), controller: controller.into() })
    };
    let refused = Container::new("missing", r#"{"unified": {"nothing.max": "1"}}"#).err();
    assert_eq!(refused, missing("unified.nothing.max", "nothing"));
    let mut container = Container::new("controller", "{}").unwrap();
    let limits =
        r#"{"memory": {"limit": 16777216, "swap": 16777216}, "pids": {"limit": 9}, "cpu": {"shares": 2048}}"#;
    if !container.offers("memory") {
        let refused = container.update(limits).err();
        assert!(matches!(refused, Some(Error::Controller { .. })), "{refused:?}");
        assert_eq!(
            container.update(r#"{"memory": {"limit": 4096}}"#).err(),
            missing("memory.limit", "memory")
        );
        return;
    }
    container.update(limits).unwrap();
    let written = ["memory.max", "pids.max", "cpu.weight"].map(|file| container.file(file));
    assert_eq!(written, ["16777216", "9", "174"]);
    container.update(r#"{"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}}"#).unwrap();
    assert_eq!(
        ["memory.max", "pids.max", "cpu.weight"].map(|file| container.file(file)),
        ["max", "max", "174"]
    );
}

/// The one controller that a host with cgroup v1 may leave to v2.
#[test]
fn huge_pages_are_limited_where_they_can_be() {
    let mut container = Container::new("hugepages", "{}").unwrap();
    if !container.offers("hugetlb") {
        return eprintln!("skipped: no controller hugetlb");
    }
    let handed = container.mount.join("cgroup.subtree_control");
    let was_handed = fs::read_to_string(&handed).unwrap().contains("hugetlb");
    container.update(r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#).unwrap();
    assert_eq!(container.file("hugetlb.2MB.max"), "4194304");
    assert_eq!(container.file("hugetlb.2MB.rsvd.max"), "4194304");
    let refused = container.update(r#"{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}"#);
    let Err(Error::Refused { property, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(property, "hugepageLimits.0.limit");
    drop(container);
    if !was_handed {
        // Somebody else on this host may have come to need it.
        let _ = fs::write(handed, "-hugetlb");
    }
}
