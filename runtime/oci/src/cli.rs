//! The command line: that of runc, as podman, containerd and Docker call it.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};

use crate::state::Id;

/// Where containers' states are unless something else is said.
const ROOT: &str = "/run/coracle-runtime";

/// Shown by `--help`.
pub const HELP: &str = "\
coracle-runtime: an OCI runtime

Usage: coracle-runtime [OPTIONS] COMMAND [ARGUMENTS]

Commands:
  create [-b BUNDLE] ID    make a container; it waits for `start`
  start ID                 start its program
  run [-b BUNDLE] [-d] ID  make and start one; wait for its end and remove it, unless -d
  exec ID COMMAND...       start another program in it (--process FILE instead of COMMAND)
  state ID                 how it is, as JSON
  list                     all containers (--format json, --quiet)
  ps ID                    its processes (--format json)
  kill ID [SIGNAL]         signal its first process, TERM unless said (--all: every one)
  pause ID, resume ID      freeze its processes, thaw them
  update ID                other limits: --resources FILE, - for standard input
  events ID                statistics each 5 seconds (--stats: once; --interval)
  delete ID                remove it, once it has ended (--force: kill it)
  spec                     write an example config.json (-b BUNDLE)
  features                 what this runtime honours, as JSON

Options:
  --root DIR               where the state of containers is kept [/run/coracle-runtime]
  --log FILE               where errors are written, besides standard error
  --log-format text|json   how [text]
  --version, --help

Examples:
  coracle-runtime spec -b /srv/hello && coracle-runtime run -b /srv/hello hello
  coracle-runtime exec -t hello sh
  podman --runtime coracle-runtime run --rm alpine true
";

/// How errors are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// As lines.
    #[default]
    Text,
    /// As one JSON object a line.
    Json,
}

/// What every command heeds.
#[derive(Debug)]
pub struct Global {
    /// Where containers' states are.
    pub root: PathBuf,
    /// Where errors are written.
    pub log: Option<PathBuf>,
    /// How.
    pub log_format: LogFormat,
}

/// How a container is made.
#[derive(Debug, Default)]
pub struct Create {
    /// The bundle's folder; the present one if it is not said.
    pub bundle: Option<PathBuf>,
    /// Where the first process's id is written.
    pub pid_file: Option<PathBuf>,
    /// The socket that a terminal's other side is sent to.
    pub console_socket: Option<PathBuf>,
    /// How many descriptors from 3 on stay open.
    pub preserve_fds: u32,
    /// The root is moved over the old one instead of exchanged with it.
    pub no_pivot: bool,
    /// The caller's session keyring stays.
    pub no_new_keyring: bool,
}

/// A program that joins a container.
#[derive(Debug, Default)]
pub struct Exec {
    /// A file with the process, instead of a command.
    pub process: Option<PathBuf>,
    /// As in [`Create`].
    pub pid_file: Option<PathBuf>,
    /// As in [`Create`].
    pub console_socket: Option<PathBuf>,
    /// As in [`Create`].
    pub preserve_fds: u32,
    /// Nobody waits for its end.
    pub detach: bool,
    /// It has a terminal.
    pub tty: bool,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Additional environment.
    pub env: Vec<String>,
    /// `UID[:GID]`.
    pub user: Option<(u32, Option<u32>)>,
    /// Additional groups.
    pub groups: Vec<u32>,
    /// Additional capabilities.
    pub caps: Vec<String>,
    /// No exec raises its privileges.
    pub no_new_privs: bool,
    /// A paused container is joined, too.
    pub ignore_paused: bool,
    /// The command.
    pub command: Vec<String>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// `create`
    Create(Create, Id),
    /// `run`
    Run {
        /// How it is made.
        create: Create,
        /// Nobody waits for its end.
        detach: bool,
        /// It is not removed at its end.
        keep: bool,
        /// The container.
        id: Id,
    },
    /// `start`
    Start(String),
    /// `state`
    State(String),
    /// `kill`
    Kill {
        /// Every process.
        all: bool,
        /// The container.
        id: String,
        /// The signal's number.
        signal: u8,
    },
    /// `delete`
    Delete {
        /// Whether it is killed first, and may be absent.
        force: bool,
        /// The container.
        id: String,
    },
    /// `exec`
    Exec(Exec, String),
    /// `list`
    List {
        /// As JSON.
        json: bool,
        /// Ids alone.
        quiet: bool,
    },
    /// `ps`
    Ps {
        /// As JSON.
        json: bool,
        /// The container.
        id: String,
        /// Arguments for `ps`.
        arguments: Vec<String>,
    },
    /// `pause`
    Pause(String),
    /// `resume`
    Resume(String),
    /// `update`
    Update {
        /// The file.
        resources: PathBuf,
        /// The container.
        id: String,
    },
    /// `events`
    Events {
        /// Once.
        once: bool,
        /// Seconds between.
        interval: u64,
        /// The container.
        id: String,
    },
    /// `spec`
    Spec {
        /// The bundle's folder.
        bundle: Option<PathBuf>,
    },
    /// `features`
    Features,
    /// `--version`
    Version,
    /// `--help`
    Help,
}

/// Why a command line was not understood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is not known, or lacks its value.
    #[error("command line")]
    Syntax(#[from] lexopt::Error),
    /// No such command.
    #[error("command {name:?} is not known; see --help")]
    Command {
        /// Its name.
        name: String,
    },
    /// Something has to be said.
    #[error("{what} is missing; see --help")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// A value is none of those that are known.
    #[error("{option}: {value:?} is not {want}")]
    Value {
        /// The option or argument.
        option: &'static str,
        /// What was said.
        value: String,
        /// What may be said.
        want: &'static str,
    },
    /// There is no systemd here.
    #[error(
        "--systemd-cgroup: there is no systemd to ask for cgroups; containers are put into cgroups by path"
    )]
    Systemd,
    /// An id that is none.
    #[error(transparent)]
    Id(#[from] crate::state::Error),
}

/// Reads a command line without the program's name.
///
/// # Errors
/// [`Error`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Global, Command), Error> {
    let mut parser = Parser::from_args(arguments);
    let mut global = Global { root: ROOT.into(), log: None, log_format: LogFormat::Text };
    loop {
        match parser.next()? {
            Some(Arg::Long("root")) => global.root = parser.value()?.into(),
            Some(Arg::Long("log")) => global.log = Some(parser.value()?.into()),
            Some(Arg::Long("log-format")) => global.log_format = log_format(&parser.value()?.string()?)?,
            // Whether there is a systemd, and who is root, is seen and not said; there is nothing to debug with.
            Some(Arg::Long("debug")) => {}
            Some(Arg::Long("rootless" | "criu")) => drop(parser.value()?),
            Some(Arg::Long("systemd-cgroup")) => return Err(Error::Systemd),
            Some(Arg::Short('h') | Arg::Long("help")) => return Ok((global, Command::Help)),
            Some(Arg::Short('v') | Arg::Long("version")) => return Ok((global, Command::Version)),
            Some(Arg::Value(name)) => {
                let command = command(&name.string()?, &mut parser)?;
                return Ok((global, command));
            }
            Some(other) => return Err(other.unexpected().into()),
            None => return Err(Error::Missing { what: "a command" }),
        }
    }
}

fn log_format(text: &str) -> Result<LogFormat, Error> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(Error::Value { option: "--log-format", value: other.to_owned(), want: "text or json" }),
    }
}

fn command(name: &str, parser: &mut Parser) -> Result<Command, Error> {
    match name {
        "create" => {
            let Made { create, id, .. } = create(parser)?;
            Ok(Command::Create(create, id))
        }
        "run" => {
            let Made { create, detach, keep, id } = create(parser)?;
            Ok(Command::Run { create, detach, keep, id })
        }
        "start" => lone(parser).map(Command::Start),
        "state" => lone(parser).map(Command::State),
        "pause" => lone(parser).map(Command::Pause),
        "resume" => lone(parser).map(Command::Resume),
        "kill" => kill(parser),
        "delete" => delete(parser),
        "exec" => exec(parser),
        "list" => list(parser),
        "ps" => ps(parser),
        "update" => update(parser),
        "events" => events(parser),
        "spec" => spec(parser),
        "features" => match parser.next()? {
            None => Ok(Command::Features),
            Some(other) => Err(other.unexpected().into()),
        },
        "help" => Ok(Command::Help),
        other => Err(Error::Command { name: other.to_owned() }),
    }
}

struct Made {
    create: Create,
    detach: bool,
    keep: bool,
    id: Id,
}

fn create(parser: &mut Parser) -> Result<Made, Error> {
    let (mut create, mut detach, mut keep, mut id) = (Create::default(), false, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('b') | Arg::Long("bundle") => create.bundle = Some(parser.value()?.into()),
            Arg::Long("pid-file") => create.pid_file = Some(parser.value()?.into()),
            Arg::Long("console-socket") => create.console_socket = Some(parser.value()?.into()),
            Arg::Long("preserve-fds") => create.preserve_fds = descriptors(parser)?,
            Arg::Long("no-pivot") => create.no_pivot = true,
            Arg::Long("no-new-keyring") => create.no_new_keyring = true,
            Arg::Short('d') | Arg::Long("detach") => detach = true,
            Arg::Long("keep") => keep = true,
            Arg::Value(value) if id.is_none() => id = Some(Id::new(&value.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let id = id.ok_or(Error::Missing { what: "the container's id" })?;
    Ok(Made { create, detach, keep, id })
}

/// More than any caller passes, and no number that overflows.
fn descriptors(parser: &mut Parser) -> Result<u32, Error> {
    let value = parser.value()?.string()?;
    match value.parse() {
        Ok(count) if count <= 1024 => Ok(count),
        _ => Err(Error::Value { option: "--preserve-fds", value, want: "0 to 1024" }),
    }
}

fn lone(parser: &mut Parser) -> Result<String, Error> {
    let mut id = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(value) if id.is_none() => id = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    id.ok_or(Error::Missing { what: "the container's id" })
}

fn kill(parser: &mut Parser) -> Result<Command, Error> {
    let (mut all, mut id, mut name) = (false, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('a') | Arg::Long("all") => all = true,
            Arg::Value(value) if id.is_none() => id = Some(value.string()?),
            Arg::Value(value) if name.is_none() => name = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let id = id.ok_or(Error::Missing { what: "the container's id" })?;
    let name = name.unwrap_or_else(|| "TERM".to_owned());
    let want = "the name or number of a signal";
    let signal = signal(&name).ok_or(Error::Value { option: "the signal", value: name, want })?;
    Ok(Command::Kill { all, id, signal })
}

/// A signal by number or name, with or without `SIG`; real-time signals as `RTMIN+N`.
fn signal(name: &str) -> Option<u8> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    if let Ok(number) = name.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(number) = name.strip_prefix("RTMIN+").and_then(|above| above.parse().ok()) {
        return (0..=30u8).contains(&number).then(|| 34 + number);
    }
    let at = NAMES.iter().position(|known| *known == name)?;
    u8::try_from(at + 1).ok()
}

fn delete(parser: &mut Parser) -> Result<Command, Error> {
    let (mut force, mut id) = (false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('f') | Arg::Long("force") => force = true,
            Arg::Value(value) if id.is_none() => id = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Delete { force, id: id.ok_or(Error::Missing { what: "the container's id" })? })
}

fn exec(parser: &mut Parser) -> Result<Command, Error> {
    let (mut exec, mut id) = (Exec::default(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('p') | Arg::Long("process") => exec.process = Some(parser.value()?.into()),
            Arg::Long("pid-file") => exec.pid_file = Some(parser.value()?.into()),
            Arg::Long("console-socket") => exec.console_socket = Some(parser.value()?.into()),
            Arg::Long("preserve-fds") => exec.preserve_fds = descriptors(parser)?,
            Arg::Short('d') | Arg::Long("detach") => exec.detach = true,
            Arg::Short('t') | Arg::Long("tty") => exec.tty = true,
            Arg::Long("cwd") => exec.cwd = Some(parser.value()?.into()),
            Arg::Short('e') | Arg::Long("env") => exec.env.push(parser.value()?.string()?),
            Arg::Short('u') | Arg::Long("user") => exec.user = Some(user(&parser.value()?.string()?)?),
            Arg::Short('g') | Arg::Long("additional-gids") => {
                exec.groups.push(parser.value()?.parse()?);
            }
            Arg::Short('c') | Arg::Long("cap") => exec.caps.push(parser.value()?.string()?),
            Arg::Long("no-new-privs") => exec.no_new_privs = true,
            Arg::Long("ignore-paused") => exec.ignore_paused = true,
            Arg::Value(value) => {
                id = Some(value.string()?);
                // Everything behind the id is the command's.
                exec.command = parser.raw_args()?.map(|word| word.string()).collect::<Result<_, _>>()?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let id = id.ok_or(Error::Missing { what: "the container's id" })?;
    if exec.process.is_none() && exec.command.is_empty() {
        return Err(Error::Missing { what: "the command, or --process" });
    }
    Ok(Command::Exec(exec, id))
}

/// Numbers alone: names are the image's business (CVE-2026-30892).
fn user(text: &str) -> Result<(u32, Option<u32>), Error> {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let ids = match text.split_once(':') {
        None => number(text).map(|uid| (uid, None)),
        Some((uid, gid)) => number(uid).zip(number(gid)).map(|(uid, gid)| (uid, Some(gid))),
    };
    ids.ok_or_else(|| Error::Value { option: "--user", value: text.to_owned(), want: "UID or UID:GID" })
}

fn is_json(parser: &mut Parser) -> Result<bool, Error> {
    let value = parser.value()?.string()?;
    match value.as_str() {
        "json" => Ok(true),
        "table" => Ok(false),
        _ => Err(Error::Value { option: "--format", value, want: "table or json" }),
    }
}

fn list(parser: &mut Parser) -> Result<Command, Error> {
    let (mut json, mut quiet) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('f') | Arg::Long("format") => json = is_json(parser)?,
            Arg::Short('q') | Arg::Long("quiet") => quiet = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::List { json, quiet })
}

fn ps(parser: &mut Parser) -> Result<Command, Error> {
    let (mut json, mut id, mut arguments) = (false, None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('f') | Arg::Long("format") => json = is_json(parser)?,
            Arg::Value(value) => {
                id = Some(value.string()?);
                arguments = parser.raw_args()?.map(|word| word.string()).collect::<Result<_, _>>()?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Ps { json, id: id.ok_or(Error::Missing { what: "the container's id" })?, arguments })
}

fn update(parser: &mut Parser) -> Result<Command, Error> {
    let (mut resources, mut id) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('r') | Arg::Long("resources") => resources = Some(parser.value()?.into()),
            Arg::Value(value) if id.is_none() => id = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let resources = resources.ok_or(Error::Missing { what: "--resources" })?;
    Ok(Command::Update { resources, id: id.ok_or(Error::Missing { what: "the container's id" })? })
}

fn events(parser: &mut Parser) -> Result<Command, Error> {
    let (mut once, mut interval, mut id) = (false, 5, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("stats") => once = true,
            Arg::Long("interval") => interval = seconds(&parser.value()?.string()?)?,
            Arg::Value(value) if id.is_none() => id = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Events { once, interval, id: id.ok_or(Error::Missing { what: "the container's id" })? })
}

/// `5s`, or `5`.
fn seconds(text: &str) -> Result<u64, Error> {
    let number = text.strip_suffix('s').unwrap_or(text).parse().ok();
    number.filter(|seconds| (1..=86_400).contains(seconds)).ok_or_else(|| Error::Value {
        option: "--interval",
        value: text.to_owned(),
        want: "1 to 86400 seconds",
    })
}

fn spec(parser: &mut Parser) -> Result<Command, Error> {
    let mut bundle = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('b') | Arg::Long("bundle") => bundle = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Spec { bundle })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Global, Command), Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn lines_of_podman_and_containerd() {
        let line = "--log-format=json --log /b/oci-log create --bundle /b --pid-file /p --console-socket /s --preserve-fds 2 --no-pivot --no-new-keyring 0af";
        let (global, Command::Create(create, id)) = parsed(line).unwrap() else { panic!() };
        assert_eq!((global.log, global.log_format), (Some("/b/oci-log".into()), LogFormat::Json));
        assert_eq!((create.bundle, create.pid_file), (Some("/b".into()), Some("/p".into())));
        assert_eq!((create.preserve_fds, create.no_pivot, id.as_str()), (2, true, "0af"));
        let line = "--root /run/r exec --process /f --console-socket /s --detach --pid-file /p 0af";
        let (global, Command::Exec(exec, id)) = parsed(line).unwrap() else { panic!() };
        assert_eq!(
            (global.root, exec.process, exec.detach, id),
            ("/run/r".into(), Some("/f".into()), true, "0af".into())
        );
        let (_, Command::Kill { all, signal, .. }) = parsed("kill --all x 9").unwrap() else { panic!() };
        assert_eq!((all, signal), (true, 9));
        let (_, Command::Update { resources, .. }) = parsed("update --resources=- x").unwrap() else {
            panic!()
        };
        assert_eq!(resources, PathBuf::from("-"));
        let (_, Command::Exec(exec, _)) = parsed("exec -u 1:2 -e A=b x ls -l --all").unwrap() else {
            panic!()
        };
        assert_eq!(
            (exec.user, &exec.command[..]),
            (Some((1, Some(2))), &["ls", "-l", "--all"].map(str::to_owned)[..])
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for line in [
            "",
            "--root",
            "creat x",
            "create",
            "create ..",
            "create a/b",
            "create a b",
            "kill x FOO",
            "kill x 65",
            "exec x",
            "exec -u 1: x a",
            "exec -u 0x1 x a",
            "exec -u -1 x a",
            "exec -u 4294967296 x a",
            "--systemd-cgroup create x",
            "list --format yaml",
            "update x",
            "create --preserve-fds 5000 x",
            "start",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        for (name, number) in
            [("TERM", 15), ("SIGKILL", 9), ("sighup", 1), ("64", 64), ("RTMIN+3", 37), ("SYS", 31)]
        {
            assert_eq!(signal(name), Some(number), "{name}");
        }
    }
}
