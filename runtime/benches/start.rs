//! How long a container takes from the call to the end of its program, against a bare floor: the same namespaces, cgroup, kinds of
//! mounts and filter, made with as few calls as they take and nothing checked; no user namespace, no id-mapping, nothing masked.
//!
//! The subjects take turns, `--runs N` of each. With `--json`, one line a subject. Needs root and a cgroup2 mount; quote ratios,
//! not times.

#[path = "../tests/start/harness.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod harness;

use std::{
    ffi::CString,
    fs::{self, File},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    time::{Duration, Instant},
};

use coracle_fence::{
    clone::{Namespaces, spawn, unshare},
    exec::Program,
    filter::{Filter, Flags},
};
use coracle_runtime::{
    cgroup::Cgroup,
    plan::{Limits, Plan, UserNamespace},
    start::{Start, prepare, start},
};
use harness::{Container, new_cgroup};
use rustix::{
    fs::{CWD, FileType, Mode, makedev, mkdir, mknodat},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount},
    pipe::{PipeFlags, pipe_with},
    process::{WaitId, WaitIdOptions, chdir, pivot_root, waitid},
    system::sethostname,
    thread::set_no_new_privs,
};

/// Runs of each subject unless the command line says otherwise.
const RUNS: usize = 200;
const SUBJECTS: [&str; 3] = ["floor", "start", "start, host's user namespace"];

fn main() {
    let (json, runs) = options();
    let container = Container::new(&["exit:0"]);
    // As images have them.
    for folder in ["dev", "etc", "proc", "sys"] {
        fs::create_dir(container.path(folder)).unwrap();
    }
    for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        fs::write(container.path(file), "").unwrap();
    }
    let mut unmapped = container.plan.clone();
    unmapped.user = UserNamespace::Host;
    let prepared = [&container.plan, &unmapped].map(|plan| prepare(plan).unwrap());
    let floor = Floor::new(&container);
    let (parent, cgroup) = new_cgroup(&Limits::default(), container.plan.devices());
    let null = File::options().write(true).open("/dev/null").unwrap();
    let setting = Start { scratch: None, output: null.as_fd() };

    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..runs {
        times[0].push(timed(|| floor.start(&cgroup)));
        for (at, prepared) in prepared.iter().enumerate() {
            times[at + 1].push(timed(|| start(prepared, &cgroup, &setting).unwrap().pidfd));
        }
    }
    while cgroup.is_populated().unwrap() {}
    cgroup.remove(parent.as_fd()).unwrap();

    let median = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort();
        (sorted[sorted.len() / 2], sorted[0])
    };
    let (base, _) = median(&times[0]);
    for (subject, times) in SUBJECTS.iter().zip(&times) {
        let (median, least) = median(times);
        let (median_us, least_us) = (median.as_micros(), least.as_micros());
        let ratio = median.as_secs_f64() / base.as_secs_f64();
        if json {
            println!(
                "{{\"bench\":\"runtime\",\"case\":\"static program\",\"subject\":\"{subject}\",\"unit\":\"us\",\
                 \"median\":{median_us},\"min\":{least_us},\"runs\":{runs}}}"
            );
        } else {
            println!("{subject:30} {median_us:6} us median, {least_us:6} us least, {ratio:.2} of the floor");
        }
    }
}

/// Whether JSON is asked for, and how many runs.
fn options() -> (bool, usize) {
    let (mut json, mut runs) = (false, RUNS);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // cargo's own.
            "--bench" => {}
            "--json" => json = true,
            "--runs" => {
                let number = words.next().and_then(|number| number.parse().ok()).filter(|runs| *runs > 0);
                runs = number.expect("--runs needs a number, at least 1");
            }
            _ => panic!("{word:?} is none of --json, --runs N"),
        }
    }
    (json, runs)
}

fn timed(start: impl FnOnce() -> OwnedFd) -> Duration {
    let begin = Instant::now();
    let pidfd = start();
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    let took = begin.elapsed();
    assert_eq!(status.exit_status(), Some(0));
    took
}

/// The floor.
struct Floor {
    image: CString,
    program: Program,
}

impl Floor {
    fn new(container: &Container) -> Self {
        let plan: &Plan = &container.plan;
        let instructions = plan.seccomp.iter().map(|insn| libc::sock_filter {
            code: insn.code,
            jt: insn.jt,
            jf: insn.jf,
            k: insn.k,
        });
        let filter = Filter { program: instructions.collect(), flags: Flags::NONE };
        let image = CString::new(container.image.path().as_os_str().as_bytes()).unwrap();
        Self { image, program: Program::new(&[c"/bin/probe".to_owned()], &plan.argv, &plan.env, filter) }
    }

    fn start(&self, cgroup: &Cgroup) -> OwnedFd {
        let own = Namespaces::MOUNT.and(Namespaces::PID).and(Namespaces::NET);
        let own = own.and(Namespaces::IPC).and(Namespaces::UTS);
        let (_reader, report) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut report = Some(report);
        let child = spawn(own, Some(cgroup.as_fd()), || match (report.take(), self.mounts()) {
            (Some(report), Ok(())) => self.program.run(report, 0, |_, _| [0; 8]),
            _ => 1,
        });
        child.unwrap().pidfd
    }

    fn mounts(&self) -> Result<(), Errno> {
        unshare(Namespaces::CGROUP).map_err(|error| error.errno())?;
        mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
        chdir(self.image.as_c_str())?;
        let none = MountFlags::empty();
        mount(c"tmpfs", c"/tmp", c"tmpfs", none, c"mode=755")?;
        for folder in [c"/tmp/image", c"/tmp/upper", c"/tmp/work", c"/tmp/root"] {
            mkdir(folder, Mode::from_raw_mode(0o755))?;
        }
        mount_bind(c".", c"/tmp/image")?;
        let layers = c"lowerdir=/tmp/image,upperdir=/tmp/upper,workdir=/tmp/work";
        mount(c"overlay", c"/tmp/root", c"overlay", none, layers)?;
        chdir(c"/tmp/root")?;
        mount(c"proc", c"proc", c"proc", none, None)?;
        mount(c"sysfs", c"sys", c"sysfs", none, None)?;
        mount(c"cgroup2", c"sys/fs/cgroup", c"cgroup2", none, None)?;
        mount(c"tmpfs", c"dev", c"tmpfs", none, None)?;
        for (kind, place) in [(c"devpts", c"dev/pts"), (c"tmpfs", c"dev/shm"), (c"mqueue", c"dev/mqueue")] {
            mkdir(place, Mode::from_raw_mode(0o755))?;
            mount(kind, place, kind, none, None)?;
        }
        for (name, minor) in
            [(c"dev/null", 3), (c"dev/zero", 5), (c"dev/full", 7), (c"dev/random", 8), (c"dev/urandom", 9)]
        {
            mknodat(CWD, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, minor))?;
        }
        pivot_root(c".", c".")?;
        unmount(c".", UnmountFlags::DETACH)?;
        sethostname(b"inside")?;
        set_no_new_privs(true)
    }
}
