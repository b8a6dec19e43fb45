//! An image with one program, a plan for it, and what came of starting it.

use std::{
    ffi::CString,
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use coracle_runtime::{
    cgroup::Cgroup,
    devices::Devices,
    exit::Exit,
    plan::*,
    seccomp::{compile, container},
    start::{Failure, Prepared, Report, Start, Started, prepare, start},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pipe::{PipeFlags, pipe_with},
    process::{WaitId, WaitIdOptions, waitid},
};

/// The first host id of every container here.
pub const FIRST: u32 = 200_000;
/// The capabilities that container engines give by default.
pub const CAPS: u64 = 0xa804_25fb;

/// Names a compiled probe, for a machine without a compiler.
const COMPILED: &str = "CORACLE_TEST_PROBE";

/// The probe, compiled once a run.
static PROBE: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(compiled) = std::env::var_os(COMPILED) {
        return compiled.into();
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("probe-{}", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/start/probe.rs");
    let done = Command::new("rustc")
        .args(["--edition=2024", "-Copt-level=1", "-Ctarget-feature=+crt-static", "-Cpanic=abort", "-o"])
        .args([&out, &source])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
});

/// Held while a program is copied and while a child is made: a child that inherits the copy's descriptor keeps the program from
/// being executed (`ETXTBSY`).
pub fn alone() -> MutexGuard<'static, ()> {
    static COPYING: Mutex<()> = Mutex::new(());
    COPYING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prepares a plan.
pub fn ready(plan: &Plan) -> Prepared {
    let _alone = alone();
    prepare(plan).unwrap()
}

/// An image's folder and a plan for it, to be changed before it is started.
pub struct Container {
    pub image: tempfile::TempDir,
    pub plan: Plan,
}

/// What a container left.
#[derive(Debug)]
pub struct Outcome {
    pub output: String,
    pub report: Report,
    pub exit: Exit,
}

impl Container {
    /// As an engine would start it by default, with these arguments for the probe.
    pub fn new(arguments: &[&str]) -> Self {
        let image = tempfile::tempdir().unwrap();
        fs::set_permissions(image.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(image.path().join("bin")).unwrap();
        install(&image.path().join("bin/probe"), 0o755);
        let caps = CapMask::new(CAPS).unwrap();
        let paths = |paths: &[&str]| paths.iter().map(|&path| AbsPath::new(path).unwrap()).collect();
        let plan = Plan {
            name: Name::new("test").unwrap(),
            root: Root::Image(AbsPath::new(image.path().to_str().unwrap()).unwrap()),
            writable: Writable::Tmpfs { bytes: 1 << 20 },
            argv: ["probe"].iter().chain(arguments).map(|&word| CString::new(word).unwrap()).collect(),
            env: vec![c"PATH=/nowhere::/bin".to_owned(), c"COLOUR=blue".to_owned()],
            cwd: AbsPath::new("/").unwrap(),
            uid: 0,
            gid: 0,
            groups: vec![],
            hostname: Hostname::new("inside").unwrap(),
            net: Namespace::Own,
            pid: Namespace::Own,
            user: UserNamespace::Own(IdRange::new(FIRST, 65_536).unwrap()),
            caps,
            seccomp: compile(&container::policy(caps)).unwrap(),
            limits: Limits::default(),
            oom_score_adj: OomScoreAdj::new(500).unwrap(),
            masked: paths(&["/proc/version", "/proc/scsi", "/sys/firmware", "/proc/nothing", "/proc/fs"]),
            readonly: paths(&["/proc/sys", "/proc/sysrq-trigger", "/proc/nothing"]),
            restart: Restart::Never,
            stop_signal: Signal::new(15).unwrap(),
            grace_ms: 1000,
        };
        Self { image, plan }
    }

    /// Starts it, and waits for its end.
    pub fn run(&self) -> Outcome {
        self.start().finish()
    }

    pub fn start(&self) -> Running {
        Running::new(&ready(&self.plan), new_cgroup(&self.plan.limits, self.plan.devices()))
    }

    /// A path in the image.
    pub fn path(&self, name: &str) -> PathBuf {
        self.image.path().join(name)
    }
}

impl Outcome {
    /// What the probe found for an argument.
    pub fn of(&self, argument: &str) -> &str {
        let head = format!("= {argument}\n");
        let (_, rest) = self.output.split_once(&head).unwrap_or_else(|| panic!("no {argument} in {self:?}"));
        rest.split("\n= ").next().unwrap().trim_end()
    }

    /// A field of `/proc/self/status`, its values parted by single blanks.
    pub fn status(&self, name: &str) -> String {
        let line = self.of("cat:/proc/self/status").lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A started container.
pub struct Running {
    pub cgroup: Cgroup,
    pub started: Started,
    parent: File,
    output: Option<OwnedFd>,
}

impl Running {
    /// Starts it in a cgroup, whose parent is told, too.
    pub fn new(prepared: &Prepared, (parent, cgroup): (File, Cgroup)) -> Self {
        let (output, end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let _alone = alone();
        let started = start(prepared, &cgroup, &Start { scratch: None, output: end.as_fd() }).unwrap();
        Self { cgroup, started, parent, output: Some(output) }
    }

    /// The program's processes.
    pub fn processes(&self) -> usize {
        use rustix::fs::{Mode, OFlags, openat};
        let procs = openat(&self.cgroup, "cgroup.procs", OFlags::RDONLY, Mode::empty()).unwrap();
        let mut text = String::new();
        File::from(procs).read_to_string(&mut text).unwrap();
        text.lines().count()
    }

    /// Waits until the program runs.
    pub fn wait_until_it_runs(&self) {
        wait_for(self.started.failure.as_fd());
        assert_eq!(Failure::read(self.started.failure.as_fd()), Ok(Report::Running));
    }

    pub fn finish(mut self) -> Outcome {
        let pidfd = self.started.pidfd.as_fd();
        let pipe = self.output.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut output = String::new();
            File::from(pipe).read_to_string(&mut output).unwrap();
            output
        });
        wait_for(pidfd);
        let status = waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).unwrap().unwrap();
        let oom_kills = self.cgroup.oom_kills().unwrap();
        let exit = Exit::of(status.exit_status(), status.terminating_signal(), oom_kills).unwrap();
        // Other tests' children may still hold copies of this pipe: it ends when they have become their programs.
        wait_for(self.started.failure.as_fd());
        let report = Failure::read(self.started.failure.as_fd()).unwrap();
        self.cgroup.kill().unwrap();
        Outcome { output: reader.join().unwrap(), report, exit }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cgroup.kill().unwrap();
        for _ in 0..500 {
            if !self.cgroup.is_populated().unwrap() {
                return self.cgroup.remove(self.parent.as_fd()).unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("a cgroup of this test could not be emptied");
    }
}

fn wait_for(fd: std::os::fd::BorrowedFd<'_>) {
    let deadline = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&deadline)).unwrap();
    assert_eq!(ready, 1, "nothing happened within a minute");
}

/// Where this host has mounted cgroup2.
pub fn cgroup_mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
    line.split(' ').nth(4).unwrap().into()
}

/// A cgroup of its own in this host's cgroup2 mount, and its parent.
pub fn new_cgroup(limits: &Limits, devices: Devices<'_>) -> (File, Cgroup) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let parent = File::open(cgroup_mount()).unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = Name::new(&format!("coracle-{}-{number}", std::process::id())).unwrap();
    let cgroup = Cgroup::create(parent.as_fd(), &name, limits, devices).unwrap();
    (parent, cgroup)
}

/// A file of this process, to be compared with the container's.
pub fn own(path: &str) -> String {
    fs::read_link(path).unwrap().display().to_string()
}

/// Puts the probe at a path.
pub fn install(path: &Path, mode: u32) {
    let probe = &*PROBE;
    let _alone = alone();
    fs::copy(probe, path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
