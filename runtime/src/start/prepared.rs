//! What a start needs and takes memory to make, made once a container.

use std::{
    ffi::CString,
    fmt::Display,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::{
    clone::Namespaces,
    exec::Program,
    filter::{Filter, Flags},
};
use rustix::{
    fs::{Gid, Uid},
    thread::CapabilitySet,
};

use super::{rights::Rights, tree::Owner};
use crate::{
    Error,
    plan::{AbsPath, Namespace, Plan, Root, UserNamespace, Writable},
    seccomp::Insn,
    userns,
};

/// Where a program is looked for when its environment has no `PATH`: where container engines look.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a writable layer of mount points and a few names takes.
const SMALL: u64 = 64 << 10;
/// The group of terminals, as every distribution numbers it.
const TTY: u32 = 5;

/// A container ready to be started, any number of times.
#[derive(Debug)]
pub struct Prepared {
    pub(super) own: Namespaces,
    pub(super) root: Kind,
    pub(super) userns: Option<OwnedFd>,
    pub(super) owner: Owner,
    /// The host's id of the program's user.
    pub(super) user: Uid,
    pub(super) net: Namespace,
    pub(super) pid: Namespace,
    pub(super) hostname: CString,
    pub(super) oom_score_adj: CString,
    pub(super) masked: Vec<CString>,
    pub(super) readonly: Vec<CString>,
    pub(super) cwd: CString,
    pub(super) rights: Rights,
    pub(super) program: Program,
}

/// The two kinds of root.
#[derive(Debug)]
pub(super) enum Kind {
    /// The host's.
    Host,
    /// An image with a layer above.
    Image {
        image: CString,
        /// Size of the filesystem in memory beside it.
        memory: CString,
        /// Where the writable layer goes unless the start says otherwise.
        scratch: Option<CString>,
        sealed: bool,
        terminal_group: CString,
    },
}

impl Prepared {
    /// Makes everything that a child of PID 1 could no longer make, the user namespace among it.
    pub(super) fn new(plan: &Plan) -> Result<Self, Error> {
        plan.agree()?;
        let first = match plan.user {
            UserNamespace::Own(range) => range.base(),
            UserNamespace::Host => 0,
        };
        // The plan's ids are below the range's size, whose end is below 2^32: no sum overflows.
        let outside = |id: u32| first.saturating_add(id);
        let root = kind(plan, outside)?;
        let userns = match plan.user {
            UserNamespace::Own(range) => Some(userns::create(range)?),
            UserNamespace::Host => None,
        };
        Ok(Self {
            own: namespaces(plan),
            root,
            userns,
            owner: Owner { uid: Uid::from_raw(first), gid: Gid::from_raw(first) },
            user: Uid::from_raw(outside(plan.uid)),
            net: plan.net,
            pid: plan.pid,
            hostname: text(plan.hostname.as_str())?,
            oom_score_adj: text(plan.oom_score_adj.get())?,
            masked: owned(&plan.masked),
            readonly: owned(&plan.readonly),
            cwd: plan.cwd.as_c_str().to_owned(),
            rights: rights(plan),
            program: program(&plan.argv, &plan.env, &plan.seccomp, Flags::NONE)?,
        })
    }

    pub(super) fn userns(&self) -> Option<BorrowedFd<'_>> {
        self.userns.as_ref().map(AsFd::as_fd)
    }
}

fn namespaces(plan: &Plan) -> Namespaces {
    let mut own = Namespaces::MOUNT;
    if plan.root != Root::Host {
        own = own.and(Namespaces::IPC).and(Namespaces::UTS);
    }
    if plan.net == Namespace::Own {
        own = own.and(Namespaces::NET);
    }
    if plan.pid == Namespace::Own {
        own = own.and(Namespaces::PID);
    }
    own
}

fn kind(plan: &Plan, outside: impl Fn(u32) -> u32) -> Result<Kind, Error> {
    let image = match (&plan.root, &plan.writable) {
        (Root::Image(image), _) => image,
        (Root::Host, Writable::None) => return Ok(Kind::Host),
        (Root::Host, _) => {
            return Err(Error::Range { field: "writable", want: "nothing above the host's own root" });
        }
    };
    let bytes = match plan.writable {
        Writable::Tmpfs { bytes } => bytes.max(SMALL),
        Writable::None | Writable::State(_) => SMALL,
    };
    let scratch = match &plan.writable {
        Writable::State(path) => Some(path.as_c_str().to_owned()),
        Writable::None | Writable::Tmpfs { .. } => None,
    };
    // In a namespace too small for the group, terminals belong to its first.
    let terminals = match plan.user {
        UserNamespace::Own(range) if range.size() <= TTY => outside(0),
        _ => outside(TTY),
    };
    Ok(Kind::Image {
        image: image.as_c_str().to_owned(),
        memory: text(bytes)?,
        scratch,
        sealed: plan.writable == Writable::None,
        terminal_group: text(terminals)?,
    })
}

/// Capabilities of a user other than 0 end at the exec, as container engines have it; a service of the host keeps its own.
fn rights(plan: &Plan) -> Rights {
    let named = CapabilitySet::from_bits_retain(plan.caps.bits());
    let none = CapabilitySet::empty();
    let ambient = if plan.root == Root::Host && plan.uid != 0 { named } else { none };
    let held = if plan.uid == 0 { named } else { ambient };
    Rights {
        uid: Uid::from_raw(plan.uid),
        gid: Gid::from_raw(plan.gid),
        groups: plan.groups.iter().map(|&group| Gid::from_raw(group)).collect(),
        bounding: named,
        effective: held,
        permitted: held,
        inheritable: ambient,
        ambient,
        no_new_privs: true,
    }
}

pub(super) fn program(
    argv: &[CString],
    env: &[CString],
    seccomp: &[Insn],
    flags: Flags,
) -> Result<Program, Error> {
    let filter = Filter { program: seccomp.iter().map(instruction).collect(), flags };
    Ok(Program::new(&candidates(argv, env)?, argv, env, filter))
}

pub(super) fn instruction(insn: &Insn) -> libc::sock_filter {
    libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k }
}

/// Where the program may be: at its path if it names one, else in the folders of `PATH`. An empty entry, which would mean the
/// working directory, is none.
fn candidates(argv: &[CString], env: &[CString]) -> Result<Vec<CString>, Error> {
    let Some(program) = argv.first() else { return Ok(Vec::new()) };
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![program.clone()]);
    }
    let path = env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=")).unwrap_or(PATH);
    path.split(|&byte| byte == b':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| CString::new([folder, b"/", program.as_bytes()].concat()).map_err(|_| Error::Nul))
        .collect()
}

fn owned(paths: &[AbsPath]) -> Vec<CString> {
    paths.iter().map(|path| path.as_c_str().to_owned()).collect()
}

fn text(value: impl Display) -> Result<CString, Error> {
    CString::new(value.to_string()).map_err(|_| Error::Nul)
}
