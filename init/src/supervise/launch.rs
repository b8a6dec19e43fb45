//! From a start plan to a process, and back to nothing.

use std::{
    ffi::OsStr,
    fs,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use coracle_fence::signals;
use coracle_layout::{control::Kind, paths};
use coracle_runtime::{
    cgroup::Cgroup,
    exit::Exit,
    plan::{AbsPath, Plan, Writable, codec::MAX_ENCODED},
    start::{Failure, Prepared, Report, Start, prepare, start},
};
use nix::{
    fcntl::OFlag,
    unistd::{Gid, Uid, chown, fchown, pipe2},
};
use rustix::process::Pid;

use super::{
    backoff::Backoff,
    output::Output,
    polled::{Polled, Token},
    unit::{Outcome, Unit},
};
use crate::{
    PODS_CGROUP, SERVICES_CGROUP,
    boot::Mode,
    layers,
    log::{Chain, error, info, warning},
};

/// As the kernel numbers it.
const SIGKILL: u8 = 9;

/// A unit with what it takes to start it, and what there is while it runs.
pub(crate) struct Supervised {
    pub(crate) plan: Plan,
    pub(crate) unit: Unit,
    /// Its first process, until that is reaped.
    process: Option<Process>,
    pub(crate) output: Option<Output>,
    /// Its output is over budget and not polled.
    pub(crate) is_spent: bool,
    pub(crate) kind: Kind,
    /// Where its cgroup is.
    branch: Rc<File>,
    prepared: Option<Prepared>,
    cgroup: Option<Cgroup>,
    failure: Option<OwnedFd>,
    why_not: Option<String>,
    attempt: u32,
    /// What the cgroup had counted when this attempt began.
    oom_kills: u64,
}

/// A unit's first process.
struct Process {
    pid: Pid,
    /// For signals.
    pidfd: OwnedFd,
}

/// Reads every plan. One that cannot be read is reported and left out: the others are none the worse for it.
pub(crate) fn load(mode: Mode) -> io::Result<Vec<Supervised>> {
    let mut units = vec![];
    load_folder(Path::new(paths::SERVICES), Kind::Service, File::open(SERVICES_CGROUP)?, &mut units);
    if mode != Mode::Recovery {
        load_folder(Path::new(paths::PODS), Kind::Pod, File::open(PODS_CGROUP)?, &mut units);
    }
    info!("units loaded units={}", units.len());
    Ok(units)
}

fn load_folder(folder: &Path, kind: Kind, branch: File, units: &mut Vec<Supervised>) {
    // A system without pods has no folder of them.
    let Ok(entries) = fs::read_dir(folder) else { return };
    let branch = Rc::new(branch);
    let mut plans: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == paths::PLAN_EXTENSION))
        .collect();
    plans.sort();
    let left_out = plans.len().saturating_sub(paths::MAX_PLANS);
    if left_out > 0 {
        error!(
            "too many start plans folder={} most={} left_out={left_out}",
            folder.display(),
            paths::MAX_PLANS
        );
    }
    for path in plans.iter().take(paths::MAX_PLANS) {
        match read(path) {
            Ok(plan) => units.push(Supervised::new(plan, kind, Rc::clone(&branch))),
            Err(why) => error!("start plan refused path={} error={why:?}", path.display()),
        }
    }
}

fn read(path: &Path) -> Result<Plan, String> {
    let mut bytes = vec![];
    let limit = MAX_ENCODED as u64 + 1;
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Plan::decode(&bytes).map_err(|error| Chain(&error).to_string())
}

impl Supervised {
    fn new(plan: Plan, kind: Kind, branch: Rc<File>) -> Self {
        let backoff = match kind {
            Kind::Service => Backoff::SERVICE,
            Kind::Pod => Backoff::WORKLOAD,
        };
        let unit = Unit::new(plan.restart, Duration::from_millis(plan.grace_ms.into()), backoff);
        Self {
            plan,
            unit,
            process: None,
            output: None,
            is_spent: false,
            kind,
            branch,
            prepared: None,
            cgroup: None,
            failure: None,
            why_not: None,
            attempt: 0,
            oom_kills: 0,
        }
    }

    /// Whether this is its first process.
    pub(crate) fn is(&self, pid: Pid) -> bool {
        self.process.as_ref().is_some_and(|process| process.pid == pid)
    }

    fn name(&self) -> &str {
        self.plan.name.as_str()
    }

    /// Makes the process. That it became the program is reported by its start pipe.
    pub(crate) fn start(&mut self, index: usize, polled: &Polled) -> Result<(), String> {
        self.attempt = self.attempt.saturating_add(1);
        if self.kind == Kind::Service {
            self.make_run_folder()?;
        }
        let layer = self.layer().map(|path| AbsPath::new(path.into_os_string().into_vec())).transpose();
        let layer = layer.map_err(|error| Chain(&error).to_string())?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("make a pipe: {errno}"))?;
        set_nonblocking(&reader).map_err(|errno| format!("set up a pipe: {errno}"))?;
        let request = Start { scratch: layer.as_ref(), output: writer.as_fd() };
        self.make_ready().map_err(|error| Chain(&error).to_string())?;
        let (Some(prepared), Some(cgroup)) = (&self.prepared, &self.cgroup) else {
            return Err("it was not made ready".to_owned());
        };
        self.oom_kills = cgroup.oom_kills().unwrap_or_default();
        let started = start(prepared, cgroup, &request).map_err(|error| Chain(&error).to_string())?;
        let output = Output::new(reader);
        let watched = polled
            .add(output.fd(), Token::Output(index))
            .and_then(|()| polled.add(&started.failure, Token::Failure(index)));
        self.process = Some(Process { pid: started.pid, pidfd: started.pidfd });
        (self.output, self.failure, self.why_not) = (Some(output), Some(started.failure), None);
        self.is_spent = false;
        // The process exists: what is amiss with watching it must end it, or it would run unseen.
        if let Err(errno) = watched {
            self.kill();
            self.why_not = Some(format!("watch it: {errno}"));
        }
        Ok(())
    }

    /// Makes what every attempt uses, at the first.
    fn make_ready(&mut self) -> Result<(), coracle_runtime::Error> {
        if self.prepared.is_none() {
            self.prepared = Some(prepare(&self.plan)?);
        }
        if self.cgroup.is_none() {
            let Plan { name, limits, .. } = &self.plan;
            self.cgroup = Some(Cgroup::create(self.branch.as_fd(), name, limits, self.plan.devices())?);
        }
        Ok(())
    }

    /// A service's folder for what it tells others, gone with the power. In that of the network service its list of name
    /// servers is there from the start, still empty: containers are shown this file itself, and one that starts before the
    /// first lease would otherwise have none for good.
    fn make_run_folder(&self) -> Result<(), String> {
        let path = format!("/run/{}", self.name());
        let made = fs::create_dir_all(&path);
        made.map_err(|error| format!("make {path}: {error}"))?;
        let owner = (Some(Uid::from_raw(self.plan.uid)), Some(Gid::from_raw(self.plan.gid)));
        if path == paths::RUN_NETD {
            // Never through a link: the folder is the service's, and after a restart what is in it may be its work.
            match File::create_new(paths::RESOLV_CONF) {
                Ok(file) => {
                    fchown(&file, owner.0, owner.1).map_err(|errno| format!("own its file: {errno}"))?
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("make {}: {error}", paths::RESOLV_CONF)),
            }
        }
        chown(path.as_str(), owner.0, owner.1).map_err(|errno| format!("own {path}: {errno}"))
    }

    /// The writable layer of this attempt.
    fn layer(&self) -> Option<PathBuf> {
        let Writable::State(folder) = &self.plan.writable else { return None };
        Some(Path::new(OsStr::from_bytes(folder.as_c_str().to_bytes())).join(self.attempt.to_string()))
    }

    /// Reads the start pipe; whether the program runs.
    pub(crate) fn take_report(&mut self, polled: &Polled) -> bool {
        let Some(pipe) = &self.failure else { return false };
        let report = Failure::read(pipe.as_fd());
        match report {
            Ok(Report::Starting) => return false,
            Ok(Report::Running) => {}
            Ok(Report::Failed(failure)) => self.why_not = Some(Chain(&failure).to_string()),
            Err(error) => self.why_not = Some(Chain(&error).to_string()),
        }
        polled.remove(pipe);
        self.failure = None;
        self.why_not.is_none()
    }

    /// Sends the stop signal.
    pub(crate) fn ask_to_end(&mut self) {
        let asked = self.signal(self.plan.stop_signal.get());
        if let Err(error) = asked {
            warning!("not asked to end name={} error={:?}", self.name(), Chain(&error).to_string());
        }
    }

    fn signal(&self, number: u8) -> Result<(), coracle_fence::Error> {
        self.process.as_ref().map_or(Ok(()), |process| signals::send(process.pidfd.as_fd(), number))
    }

    /// Kills everything in the unit's cgroup.
    pub(crate) fn kill(&mut self) {
        let killed = self.cgroup.as_ref().map(Cgroup::kill);
        if let Some(Err(error)) = killed {
            warning!("not killed by its cgroup name={} error={:?}", self.name(), Chain(&error).to_string());
            if let Err(error) = self.signal(SIGKILL) {
                warning!("nor by itself name={} error={:?}", self.name(), Chain(&error).to_string());
            }
        }
    }

    /// After the process was reaped: what became of it, and nothing of it left behind.
    pub(crate) fn clear(&mut self, polled: &Polled, code: Option<i32>, signal: Option<i32>) -> Outcome {
        self.take_report(polled);
        if let Some(mut output) = self.output.take() {
            output.refill();
            output.read(self.plan.name.as_str());
            if !self.is_spent {
                polled.remove(output.fd());
            }
        }
        (self.process, self.is_spent) = (None, false);
        let counted = self.cgroup.as_ref().and_then(|cgroup| cgroup.oom_kills().ok()).unwrap_or_default();
        // Whatever its first process left behind goes with it.
        self.kill();
        if let Some(layer) = self.layer() {
            layers::remove_later(&layer);
        }
        if let Some(why) = self.why_not.take() {
            return Outcome::NotStarted(why);
        }
        match Exit::of(code, signal, counted.saturating_sub(self.oom_kills)) {
            Some(exit) => Outcome::Ended(exit),
            None => Outcome::NotStarted("it ended in a way that the kernel does not tell".to_owned()),
        }
    }
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), nix::errno::Errno> {
    use nix::fcntl::{FcntlArg, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}
