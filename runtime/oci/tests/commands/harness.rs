//! A bundle with busybox for its root, and the runtime with a state folder of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";
/// How long anything here may take, on a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A bundle, and one container of it. What is left of it is removed at the end.
pub struct Bundle {
    folder: TempDir,
    id: String,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// It has failed, and has said this.
    #[track_caller]
    pub fn refused(&self, why: &str) {
        assert_ne!(self.code, Some(0), "{self:#?}");
        assert!(self.err.contains(why), "{why:?} is not in {self:#?}");
    }
}

impl Bundle {
    /// The runtime's own example, for a program without a terminal.
    pub fn new(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir(root.join("tmp")).unwrap();
        // A user namespace's root has to come through.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::copy(BUSYBOX, root.join("bin/busybox")).expect("busybox-static is installed");
        let listed = Command::new(BUSYBOX).arg("--list").output().unwrap();
        for name in String::from_utf8(listed.stdout).unwrap().lines().filter(|name| *name != "busybox") {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let id = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bundle = Self { folder, id };
        bundle.say(&["spec", "-b", bundle.path().to_str().unwrap()]).ok();
        bundle.edit(|config| {
            config["process"]["terminal"] = json!(false);
            config["process"]["args"] = json!(args);
            config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
        });
        bundle
    }

    /// One whose program is this script.
    pub fn script(text: &str) -> Self {
        Self::new(&["sh", "-ec", text])
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn root(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder with the states of containers.
    pub fn states(&self) -> PathBuf {
        self.path().join("states")
    }

    /// The cgroup's folder.
    pub fn cgroup(&self) -> PathBuf {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().rfind(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
        Path::new(line.split(' ').nth(4).unwrap()).join(&self.id)
    }

    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path().join("config.json");
        let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(path, config.to_string()).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coracle-runtime"));
        command.arg("--root").arg(self.states()).args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub fn say(&self, args: &[&str]) -> Said {
        said(self.command(args).output().unwrap())
    }

    /// A command for this container.
    pub fn on(&self, command: &str) -> Said {
        self.say(&[command, &self.id])
    }

    /// Runs it to its end.
    pub fn run(&self) -> Said {
        self.on("run")
    }

    pub fn exec(&self, args: &[&str]) -> Said {
        self.say(&[&["exec", &self.id], args].concat())
    }

    pub fn kill(&self, signal: &str) -> Said {
        self.say(&["kill", &self.id, signal])
    }

    pub fn delete(&self) -> Said {
        self.say(&["delete", "--force", &self.id])
    }

    /// Makes it; its output goes nowhere.
    pub fn create(&self) {
        let made = self.command(&["create", &self.id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(made.unwrap().success());
    }

    /// Makes it and starts it; its output goes nowhere.
    pub fn start(&self) {
        self.create();
        self.on("start").ok();
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.on("state").ok()).unwrap()
    }

    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    pub fn pid(&self) -> i64 {
        self.state()["pid"].as_i64().unwrap()
    }

    #[track_caller]
    pub fn wait_until(&self, status: &str) {
        wait_for(|| self.status() == status);
    }

    /// Nothing of it is left.
    #[track_caller]
    pub fn assert_gone(&self) {
        assert!(!self.states().join(&self.id).exists() && !self.cgroup().exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let path = self.path().to_str().unwrap();
        assert!(!mounts.contains(path), "a mount is left");
        // Those of the runtime name the folder of their states.
        let is_left = |process: fs::DirEntry| {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(path)
        };
        wait_for(|| !fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(is_left));
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = self.delete();
    }
}

pub fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[track_caller]
pub fn wait_for(mut what: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The end of a child, which is killed if it does not come.
pub fn wait(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}
