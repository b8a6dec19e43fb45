//! Program, arguments, environment and working folder.
//!
//! | manifest | `argv` is |
//! |---|---|
//! | `command` | `command`, `args`; nothing of the image |
//! | only `args` | the image's `Entrypoint`, `args` |
//! | neither | the image's `Entrypoint`, `Cmd` |
//!
//! The program is looked for in the image now, so that a name that leads nowhere fails the build and not the boot.

use std::ffi::CString;

use coracle_pods::Pod;
use coracle_runtime::plan::AbsPath;
use coracle_tree::{Kind, Tree};

use super::unsupported;
use crate::Error;
use crate::accounts::Account;
use crate::embedded::Embedded;
use crate::inside;

/// Where programs are looked for when neither image nor manifest says: the container engines' choice.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const COMMAND: &str = "spec.containers[0].command";

/// What is started and in which surroundings.
#[derive(Debug)]
pub struct Process {
    /// Program, with its absolute path, and arguments.
    pub argv: Vec<CString>,
    /// `NAME=value`, each name once.
    pub env: Vec<CString>,
    /// Working folder.
    pub cwd: AbsPath,
}

/// The process of a pod.
pub fn of(pod: &Pod, image: &Embedded, account: &Account) -> Result<Process, Error> {
    let container = &pod.container;
    let variables = variables(pod, image, account);
    let cwd = container.working_dir.as_deref().unwrap_or(&image.config.working_dir);
    let cwd = if cwd.is_empty() { "/" } else { cwd };
    match inside::resolve(&image.tree, cwd.as_bytes()).map(|found| found.node.kind()) {
        Some(Kind::Directory(_)) => {}
        _ => {
            let reason = format!("the image has no folder {cwd}");
            return Err(unsupported(pod, "spec.containers[0].workingDir", reason));
        }
    }
    let mut argv = words(pod, image);
    let Some(program) = argv.first_mut() else {
        return Err(unsupported(pod, COMMAND, "neither manifest nor image names a program"));
    };
    let path = variables.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, value)| value);
    match find(&image.tree, program, path, cwd) {
        Some(found) => *program = found,
        None => {
            let reason = format!("\"{}\" is no program in the image", program.escape_debug());
            return Err(unsupported(pod, COMMAND, reason));
        }
    }
    let terminated = |text: String| {
        CString::new(text).map_err(|_| unsupported(pod, COMMAND, "a word or variable holds a NUL"))
    };
    Ok(Process {
        argv: argv.into_iter().map(terminated).collect::<Result<_, _>>()?,
        env: variables
            .into_iter()
            .map(|(name, value)| terminated(format!("{name}={value}")))
            .collect::<Result<_, _>>()?,
        cwd: AbsPath::new(cwd)
            .map_err(|source| Error::Plan { name: pod.name.as_str().to_owned(), source })?,
    })
}

fn words(pod: &Pod, image: &Embedded) -> Vec<String> {
    let (container, config) = (&pod.container, &image.config);
    let (first, second) = match (container.command.is_empty(), container.args.is_empty()) {
        (false, _) => (&container.command, &container.args),
        (true, false) => (&config.entrypoint, &container.args),
        (true, true) => (&config.entrypoint, &config.cmd),
    };
    first.iter().chain(second).cloned().collect()
}

/// The image's variables, then the manifest's; what both lack and programs count on comes first.
fn variables(pod: &Pod, image: &Embedded, account: &Account) -> Vec<(String, String)> {
    let given = image.config.env.iter().filter_map(|pair| pair.split_once('='));
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let home = account.home.clone().unwrap_or_else(|| "/".to_owned());
    let defaults =
        [("PATH", PATH.to_owned()), ("HOSTNAME", pod.hostname.as_str().to_owned()), ("HOME", home)];
    let mut all: Vec<(String, String)> = Vec::new();
    let defaults = defaults.into_iter().map(|(name, value)| (name.to_owned(), value));
    for (name, value) in defaults.chain(given).chain(pod.container.env.iter().cloned()) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => all.push((name, value)),
        }
    }
    all
}

/// The absolute path of a program: its own, seen from the working folder, or by the search path.
fn find(tree: &Tree, program: &str, path: &str, cwd: &str) -> Option<String> {
    let candidates: Vec<String> = match program {
        "" => Vec::new(),
        _ if program.starts_with('/') => vec![program.to_owned()],
        _ if program.contains('/') => vec![format!("{}/{program}", cwd.trim_end_matches('/'))],
        _ => path.split(':').map(|folder| format!("{}/{program}", folder.trim_end_matches('/'))).collect(),
    };
    candidates.into_iter().find(|candidate| {
        let found = inside::resolve(tree, candidate.as_bytes());
        found.is_some_and(|found| {
            matches!(found.node.kind(), Kind::Regular(_)) && found.node.meta().mode.bits() & 0o111 != 0
        })
    })
}
