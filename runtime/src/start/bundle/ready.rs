//! What a bundle's start needs and takes memory to make.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::{clone::Namespaces, exec::Program};
use rustix::{
    fs::{Gid, Uid},
    io::fcntl_dupfd_cloexec,
    thread::CapabilitySet,
};

use crate::{
    Error,
    bundle::{Bundle, IdMap, Ids, Process, Spaces, User},
    plan::{CapMask, OomScoreAdj},
    start::{
        prepared::{instruction, program},
        rights::Rights,
        tree::Owner,
    },
    userns,
};

/// A bundle ready to be started.
#[derive(Debug)]
pub struct Ready {
    pub(super) bundle: Bundle,
    pub(super) actor: Actor,
    /// What the child is born into.
    pub(super) own: Namespaces,
    pub(super) userns: Option<OwnedFd>,
    born: Vec<OwnedFd>,
}

impl Ready {
    /// Makes it, the user namespace and those that belong to it among it.
    ///
    /// # Errors
    /// [`Error::UserNamespace`], and those of [`Actor::new`].
    pub fn new(bundle: Bundle) -> Result<Self, Error> {
        let actor = Actor::new(bundle.process.clone(), bundle.spaces.user.ids())?;
        let beside = beside(&bundle.spaces);
        let (userns, born) = match &bundle.spaces.user {
            User::Host => (None, Vec::new()),
            User::Own(ids) => {
                let (user, born) = userns::create_with(ids, beside)?;
                (Some(user), born)
            }
            User::Joined(user, _) => {
                let born = userns::beside(user.as_fd(), beside)?;
                let copy = fcntl_dupfd_cloexec(user, 3);
                (Some(copy.map_err(|source| Error::UserNamespace { step: "dup", source })?), born)
            }
        };
        let own = match userns {
            Some(_) => Namespaces::MOUNT,
            None if bundle.spaces.pid.is_own() => Namespaces::MOUNT.and(beside).and(Namespaces::PID),
            None => Namespaces::MOUNT.and(beside),
        };
        Ok(Self { bundle, actor, own, userns, born })
    }

    pub(super) fn born(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.born.iter().map(AsFd::as_fd)
    }
}

/// A process ready to be started.
#[derive(Debug)]
pub struct Actor {
    pub(super) process: Process,
    pub(super) owner: Owner,
    /// The host's id of the program's user.
    pub(super) user: Uid,
    pub(super) oom_score_adj: Option<CString>,
    pub(super) rights: Rights,
    pub(super) program: Program,
    /// The seccomp program that is installed before privileges are dropped; empty means none.
    pub(super) early: Vec<libc::sock_filter>,
}

impl Actor {
    /// Makes it, for a user namespace with these ids, or for the host's.
    ///
    /// # Errors
    /// [`Error::IdUnmapped`] if root or the process's user is not in it, [`Error::Nul`].
    pub fn new(process: Process, ids: Option<&Ids>) -> Result<Self, Error> {
        let outside = |maps: &[IdMap], id| {
            let size = maps.iter().map(|map| map.size).fold(0, u32::saturating_add);
            IdMap::outside(maps, id).ok_or(Error::IdUnmapped { id, size })
        };
        let (uid, gid, user) = match ids {
            None => (0, 0, process.uid),
            Some(Ids { users, groups }) => {
                (outside(users, 0)?, outside(groups, 0)?, outside(users, process.uid)?)
            }
        };
        // Without the promise that privileges are never gained a filter takes a privilege, so it comes before they are dropped;
        // with it, it comes last, and need not allow what is done before.
        // So does one with an agent, who has to have it before the program runs.
        let (early, late) = match process.no_new_privs && !process.notifies {
            true => (&[][..], &process.seccomp[..]),
            false => (&process.seccomp[..], &[][..]),
        };
        let text = |adjustment: OomScoreAdj| CString::new(adjustment.get().to_string());
        Ok(Self {
            owner: Owner { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) },
            user: Uid::from_raw(user),
            oom_score_adj: process.oom_score_adj.map(text).transpose().map_err(|_| Error::Nul)?,
            rights: rights(&process),
            program: program(&process.argv, &process.env, late, process.seccomp_flags)?,
            early: early.iter().map(instruction).collect(),
            process,
        })
    }
}

/// Those that can belong to a user namespace from their birth on.
fn beside(spaces: &Spaces) -> Namespaces {
    let kinds =
        [(&spaces.net, Namespaces::NET), (&spaces.ipc, Namespaces::IPC), (&spaces.uts, Namespaces::UTS)];
    let own = kinds.into_iter().filter(|(space, _)| space.is_own());
    own.fold(Namespaces::NONE, |all, (_, kind)| all.and(kind))
}

fn rights(process: &Process) -> Rights {
    let set = |caps: CapMask| CapabilitySet::from_bits_retain(caps.bits());
    Rights {
        uid: Uid::from_raw(process.uid),
        gid: Gid::from_raw(process.gid),
        groups: process.groups.iter().map(|&group| Gid::from_raw(group)).collect(),
        bounding: set(process.caps.bounding),
        effective: set(process.caps.effective),
        permitted: set(process.caps.permitted),
        inheritable: set(process.caps.inheritable),
        ambient: set(process.caps.ambient),
        no_new_privs: process.no_new_privs,
    }
}
