//! Cgroups by their paths: made whole or not at all, listed, frozen, told a signal, and gone with all that is below.

use std::{
    fs::{self, File},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use coracle_fence::clone::{Child, Namespaces, spawn};
use coracle_runtime::{
    Error,
    cgroup::{Cgroup, Path, Setting},
    devices::{CONTAINER, Devices},
    plan::Signal,
};
use rustix::{
    fs::{Mode, OFlags, mkdirat, openat},
    io::Errno,
    process::{WaitId, WaitIdOptions, pidfd_send_signal, waitid},
};

use crate::harness::{alone, cgroup_mount};

const NONE: [Setting; 0] = [];

/// A name below the mount's root for one test, and whatever is made there.
struct Tree {
    root: File,
    top: String,
}

impl Tree {
    fn new(test: &str) -> Self {
        let root = File::open(cgroup_mount()).unwrap();
        Self { root, top: format!("coracle-{test}-{}", std::process::id()) }
    }

    fn path(&self, below: &str) -> Path {
        Path::new(&format!("{}/{below}", self.top)).unwrap()
    }

    fn make(&self, below: &str, needed: &[&str]) -> Result<Cgroup, Error> {
        let devices = Devices::Only(CONTAINER);
        Cgroup::make_at(self.root.as_fd(), &self.path(below), needed, devices, NONE)
    }

    fn folder(&self, below: &str) -> PathBuf {
        cgroup_mount().join(self.path(below).as_str())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let Ok(found) = Cgroup::open_at(self.root.as_fd(), &self.path("")) else { return };
        // Its processes hold the output of the tests open: they go even if the test failed.
        let gone = found.kill().and_then(|()| found.remove_all());
        assert!(std::thread::panicking() || gone.is_ok(), "{gone:?}");
    }
}

/// A process in a cgroup that only a signal ends.
fn sleeper(cgroup: &Cgroup) -> Child {
    let _alone = alone();
    spawn(Namespaces::NONE, Some(cgroup.as_fd()), || {
        loop {
            std::thread::sleep(Duration::from_secs(600));
        }
    })
    .unwrap()
}

fn ended_by(child: &Child) -> Option<i32> {
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    status.terminating_signal()
}

#[test]
fn all_processes_are_found_frozen_and_told() {
    let tree = Tree::new("told");
    let cgroup = tree.make("a", &[]).unwrap();
    // Before there are cgroups below: one that hands controllers down takes in no process.
    let beside = sleeper(&cgroup);
    let below = tree.make("a/b/c", &[]).unwrap();
    let children = [beside, sleeper(&below), sleeper(&below)];
    let mut pids = children.each_ref().map(|child| child.pid);
    pids.sort_by_key(|pid| pid.as_raw_nonzero());
    assert_eq!(cgroup.processes().unwrap(), pids);
    assert_eq!(below.processes().unwrap().len(), 2);

    cgroup.freeze().unwrap();
    assert_eq!((cgroup.is_frozen(), below.is_frozen()), (Ok(true), Ok(true)));
    // A frozen cgroup stays so. It is one that ends nobody: whoever is killed is frozen no longer.
    cgroup.signal(Signal::new(17).unwrap()).unwrap();
    assert_eq!((cgroup.is_frozen(), cgroup.processes().unwrap().len()), (Ok(true), 3));
    cgroup.thaw().unwrap();
    cgroup.signal(Signal::new(10).unwrap()).unwrap();
    assert_eq!(children.each_ref().map(ended_by), [Some(10); 3]);

    let last = [sleeper(&cgroup), sleeper(&below)];
    cgroup.signal(Signal::new(34).unwrap()).unwrap();
    assert_eq!(last.each_ref().map(ended_by), [Some(34); 2]);
    assert_eq!((cgroup.is_frozen(), cgroup.processes()), (Ok(false), Ok(vec![])));
    let last = sleeper(&below);
    cgroup.signal(Signal::new(9).unwrap()).unwrap();
    assert_eq!(ended_by(&last), Some(9));
}

#[test]
fn a_cgroup_in_use_is_nobody_elses() {
    let tree = Tree::new("used");
    let cgroup = tree.make("a", &[]).unwrap();
    assert!(tree.make("a", &[]).is_ok(), "it is empty");
    cgroup.freeze().unwrap();
    let refused = tree.make("a", &[]).unwrap_err();
    assert_eq!(refused, Error::CgroupInUse { how: "is frozen" });
    cgroup.thaw().unwrap();
    let child = sleeper(&cgroup);
    let refused = tree.make("a", &[]).unwrap_err();
    assert_eq!(refused, Error::CgroupInUse { how: "has processes" });
    cgroup.kill().unwrap();
    assert_eq!(ended_by(&child), Some(9));
}

#[test]
fn what_fails_leaves_nothing() {
    let tree = Tree::new("fails");
    let name = tree.path("a/b");
    let make = |needed: &[&str], setting| {
        Cgroup::make_at(tree.root.as_fd(), &name, needed, Devices::Any, [setting]).map(drop)
    };
    let refused = |file: &str, source| Err(Error::Cgroup { file: file.into(), source });
    let nothing = Setting::new("memory.nothing", 1);
    let missing = Err(Error::NoController { controller: "nothing".into() });
    assert_eq!(make(&["nothing"], nothing.clone()), missing);
    assert_eq!(make(&[], nothing.clone()), refused("memory.nothing", Errno::NOENT));
    let depth = Setting::new("cgroup.max.depth", "deep");
    assert_eq!(make(&[], depth), refused("cgroup.max.depth", Errno::INVAL));
    assert!(!tree.folder("").exists());
    assert_eq!(make(&[], nothing.or(Setting::new("cgroup.max.depth", 3))), Ok(()));
    assert_eq!(fs::read_to_string(tree.folder("a/b/cgroup.max.depth")).unwrap(), "3\n");
    // What was there before stays.
    assert_eq!(tree.make("a/b/c/d", &["nothing"]).map(drop), missing);
    assert!(tree.folder("a/b").exists() && !tree.folder("a/b/c").exists());
}

/// Hands down a controller that no other test uses, and takes it back.
#[test]
fn a_controller_reaches_the_last_of_a_path() {
    let tree = Tree::new("controller");
    let words = |file: PathBuf| fs::read_to_string(file).unwrap();
    let offered = words(cgroup_mount().join("cgroup.controllers"));
    let mut rare = offered.split_whitespace().filter(|name| !["cpu", "io", "memory", "pids"].contains(name));
    let Some(controller) = rare.next() else { return eprintln!("skipped: cgroup v1 has all controllers") };
    let handed = cgroup_mount().join("cgroup.subtree_control");
    let was_handed = words(handed.clone()).contains(controller);
    tree.make("a/b", &[]).unwrap();
    let has = |below: &str| words(tree.folder(below).join("cgroup.controllers")).contains(controller);
    let cgroup = Cgroup::open_with(tree.root.as_fd(), &tree.path("a/b"), &[controller]).unwrap();
    assert!(has("a/b"));

    // Beside processes nothing can be handed down; without need nothing is.
    let child = sleeper(&cgroup);
    let refused = tree.make("a/b/c", &[controller]).unwrap_err();
    assert_eq!(refused, Error::Cgroup { file: "cgroup.subtree_control".into(), source: Errno::BUSY });
    let other = sleeper(&tree.make("a/b/c", &[]).unwrap());
    assert!(!has("a/b/c"));
    cgroup.kill().unwrap();
    assert_eq!((ended_by(&child), ended_by(&other)), (Some(9), Some(9)));
    drop(tree);
    if !was_handed {
        // Somebody else on this host may have come to need it.
        let _ = fs::write(handed, format!("-{controller}"));
    }
}

#[test]
fn whatever_a_container_made_below_is_removed() {
    let tree = Tree::new("below");
    let cgroup = tree.make("", &[]).unwrap();
    // Deeper than a path or a table of descriptors is long: made from folder to folder.
    let mut here = OwnedFd::from(File::open(tree.folder("")).unwrap());
    let name = "d".repeat(200);
    for _ in 0..1200 {
        mkdirat(&here, name.as_str(), Mode::RWXU).unwrap();
        here = openat(&here, name.as_str(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    for number in 0..300 {
        fs::create_dir(tree.folder(&number.to_string())).unwrap();
    }
    let child = sleeper(&cgroup);
    assert_eq!(cgroup.processes().unwrap(), [child.pid]);
    // Who waits for the last process is told of its end.
    let reaper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        pidfd_send_signal(&child.pidfd, rustix::process::Signal::KILL).unwrap();
        ended_by(&child)
    });
    cgroup.remove_all().unwrap();
    assert!(!tree.folder("").exists());
    assert_eq!(reaper.join().unwrap(), Some(9));
    // And what is gone needs no removing.
    cgroup.remove_all().unwrap();
}
