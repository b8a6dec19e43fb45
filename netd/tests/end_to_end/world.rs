//! Two network namespaces, `netd` in one of them and whatever it talks to in the other.

use std::{
    fs::{self, File, Permissions},
    io::{BufRead, BufReader},
    os::{
        fd::AsFd,
        unix::fs::{PermissionsExt, chown},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coracle_fence::filter::{Flags, install};
use coracle_runtime::{plan::CapMask, seccomp};
use nix::libc::sock_filter;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_no_new_privs};
use serde_json::Value;
use tempfile::TempDir;

/// Whom PID 1 runs it as, and with which capabilities: `NET_BIND_SERVICE`, `NET_ADMIN`, `NET_RAW`.
const UID: u32 = 990;
const CAPS: u64 = 1 << 10 | 1 << 12 | 1 << 13;
const CAP_NAMES: &str = "-all,+net_bind_service,+net_admin,+net_raw";
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The namespaces, and a folder that stands in for `/`.
pub struct World {
    pub host: String,
    pub net: String,
    root: TempDir,
    children: Vec<Child>,
}

impl World {
    /// With interfaces of these names on the host, each with a peer `peer-NAME` outside that has an address `10.N.0.1/24`,
    /// N being 1 for the first.
    pub fn new(interfaces: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netd-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("run/netd")).unwrap();
        chown(root.path().join("run/netd"), Some(UID), Some(UID)).unwrap();
        // The folder of the build may be out of that user's reach.
        fs::copy(env!("CARGO_BIN_EXE_netd"), root.path().join("netd")).unwrap();
        let world = Self { host: format!("{name}-host"), net: format!("{name}-net"), root, children: vec![] };
        for namespace in [&world.host, &world.net] {
            ip(&format!("netns add {namespace}"));
        }
        for (at, interface) in interfaces.iter().enumerate() {
            world.plug(interface, at + 1);
        }
        world
    }

    /// Gives the host one more interface.
    pub fn plug(&self, interface: &str, number: usize) {
        let Self { host, net, .. } = self;
        ip(&format!("-n {host} link add {interface} type veth peer name peer-{interface} netns {net}"));
        ip(&format!("-n {net} addr add 10.{number}.0.1/24 dev peer-{interface}"));
        ip(&format!("-n {net} link set peer-{interface} up"));
    }

    /// Starts `netd` with a kernel command line and names of interfaces.
    pub fn start(&self, cmdline: &str, interfaces: &[&str]) -> Netd {
        fs::write(self.root.path().join("proc/cmdline"), cmdline).unwrap();
        let root = self.root.path().to_owned();
        let mut words =
            vec![root.join("netd").display().to_string(), "--root".into(), root.display().to_string()];
        words.extend(interfaces.iter().map(|name| name.to_string()));
        let child = inside(&self.host, move || {
            set_no_new_privs(true).unwrap();
            install(&filter(), Flags::NONE).unwrap();
            let uid = UID.to_string();
            Command::new("setpriv")
                .args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--bounding-set", CAP_NAMES])
                .args(["--inh-caps", CAP_NAMES, "--ambient-caps", CAP_NAMES])
                .args(words)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        });
        Netd::new(child)
    }

    /// Starts a program outside, which ends with the test.
    pub fn serve(&mut self, mut command: Command) {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(inside(&self.net, move || command.spawn().unwrap()));
    }

    /// Ends the programs outside.
    pub fn stop_serving(&mut self) {
        for mut child in self.children.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What `ip -j` says of the host.
    pub fn show(&self, words: &str) -> Value {
        ip(&format!("-j -n {} {words}", self.host))
    }

    /// `ADDRESS/PREFIX` of an interface.
    pub fn addresses(&self, interface: &str) -> Vec<String> {
        let shown = self.show("-4 addr");
        let links = shown.as_array().unwrap();
        let Some(link) = links.iter().find(|link| link["ifname"] == interface) else { return vec![] };
        let show =
            |address: &Value| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]);
        link["addr_info"].as_array().unwrap().iter().map(show).collect()
    }

    /// `DESTINATION via GATEWAY dev INTERFACE` of every route that has a metric, by metric.
    pub fn routes(&self) -> Vec<String> {
        let shown = self.show("-4 route");
        let mut routes: Vec<_> =
            shown.as_array().unwrap().iter().filter(|route| route["metric"].is_u64()).collect();
        routes.sort_by_key(|route| route["metric"].as_u64());
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let show = |route: &Value| {
            format!("{} via {} dev {}", word(&route["dst"]), word(&route["gateway"]), word(&route["dev"]))
        };
        routes.into_iter().map(show).collect()
    }

    /// A file of `/run/netd`; empty if it is not there.
    pub fn report(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join("run/netd").join(name)).unwrap_or_default()
    }

    /// Waits until the status is this.
    pub fn wait_for_status(&self, netd: &Netd, want: &str) {
        eventually(
            || self.report("status") == want,
            || format!("{}\n{}", self.report("status"), netd.said()),
        );
    }

    /// A file for a program outside.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_serving();
        for namespace in [&self.host, &self.net] {
            ip(&format!("netns del {namespace}"));
        }
    }
}

/// The process under test. Ends with the test.
pub struct Netd {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Netd {
    fn new(mut child: Child) -> Self {
        let lines = Arc::new(Mutex::new(vec![]));
        let (stderr, ours) = (child.stderr.take().unwrap(), lines.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                ours.lock().unwrap().push(line.unwrap());
            }
        });
        Self { child, lines }
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// All its lines.
    pub fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits until it has said this.
    pub fn wait_for(&self, text: &str) {
        eventually(|| self.said().contains(text), || format!("no {text:?} in:\n{}", self.said()));
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself, with this code.
    pub fn ends_with(&mut self) -> Option<i32> {
        let mut code = None;
        eventually(
            || {
                code = self.child.try_wait().unwrap();
                code.is_some()
            },
            || "it goes on".to_owned(),
        );
        code.unwrap().code()
    }
}

impl Drop for Netd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// The filter under which PID 1 runs it.
fn filter() -> Vec<sock_filter> {
    let policy = seccomp::container::policy(CapMask::new(CAPS).unwrap());
    let program = seccomp::compile(&policy).unwrap();
    program.iter().map(|insn| sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k }).collect()
}

/// Runs `action` on a thread in that network namespace; what it starts stays there.
pub fn inside<T: Send + 'static>(namespace: &str, action: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    let thread = thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        action()
    });
    thread.join().unwrap()
}

/// Runs `ip`, which must succeed.
pub fn ip(words: &str) -> Value {
    let out = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)
}

/// Waits until something is so.
pub fn eventually(mut is_so: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {}", otherwise());
        thread::sleep(Duration::from_millis(50));
    }
}
