//! A user namespace made beforehand, held by a descriptor, and others that belong to it.
//!
//! <https://man7.org/linux/man-pages/man7/user_namespaces.7.html>. It belongs to the host's, so whoever enters it later has its
//! capabilities there, over the namespaces that belong to it, and nowhere else.

use std::{
    fmt::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::clone::{Child, Namespaces, spawn, unshare};
use rustix::{
    event::pause,
    fs::{CWD, Mode, OFlags, openat},
    io::{Errno, read, write},
    pipe::{PipeFlags, pipe_with},
    process::{
        Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, pidfd_send_signal,
        set_parent_process_death_signal, waitid,
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    Error,
    bundle::{IdMap, Ids},
    plan::IdRange,
};

/// Names below `/proc/PID/ns` of what can belong to a user namespace before any process lives in it.
const KINDS: [(Namespaces, &str); 3] =
    [(Namespaces::NET, "net"), (Namespaces::IPC, "ipc"), (Namespaces::UTS, "uts")];

/// A new user namespace whose ids from 0 on are the range's ids outside, for users and groups.
pub fn create(range: IdRange) -> Result<OwnedFd, Error> {
    let map = vec![IdMap { inside: 0, outside: range.base(), size: range.size() }];
    let ids = Ids { users: map.clone(), groups: map };
    create_with(&ids, Namespaces::NONE).map(|(user, _)| user)
}

/// A new user namespace with these ids, and `own` of network, IPC and UTS that belong to it.
///
/// A namespace needs a process to be born in: this one lives for the files that are written and opened here.
pub fn create_with(ids: &Ids, own: Namespaces) -> Result<(OwnedFd, Vec<OwnedFd>), Error> {
    let maker = getpid();
    let child = spawn(Namespaces::USER.and(own), None, || sleep(maker)).map_err(Error::Clone)?;
    let made = map(&child, ids).and_then(|()| Ok((namespace(&child, "user")?, born(&child, own)?)));
    end(&child)?;
    made
}

/// New namespaces, `own` of network, IPC and UTS, that belong to a user namespace.
pub fn beside(user: BorrowedFd<'_>, own: Namespaces) -> Result<Vec<OwnedFd>, Error> {
    let failed = |step| move |source| Error::UserNamespace { step, source };
    let (made, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let maker = getpid();
    let child = spawn(Namespaces::NONE, None, || {
        let errno = match move_into_link_name_space(user, Some(LinkNameSpaceType::User)) {
            Ok(()) => unshare(own).err().map_or(0, |error| error.errno().raw_os_error()),
            Err(errno) => errno.raw_os_error(),
        };
        match write(&tell, &errno.to_ne_bytes()) {
            Ok(_) => sleep(maker),
            Err(_) => 127,
        }
    })
    .map_err(Error::Clone)?;
    drop(tell);
    let mut errno = [0; 4];
    let made = match read(&made, &mut errno).map(|_| i32::from_ne_bytes(errno)) {
        Ok(0) => born(&child, own),
        Ok(errno) => Err(failed("enter")(Errno::from_raw_os_error(errno))),
        Err(errno) => Err(failed("read")(errno)),
    };
    end(&child)?;
    made
}

/// Not for longer than whoever made it lives.
fn sleep(maker: Pid) -> u8 {
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || getppid() != Some(maker) {
        return 127;
    }
    loop {
        pause();
    }
}

fn map(child: &Child, ids: &Ids) -> Result<(), Error> {
    for (file, maps) in [("uid_map", &ids.users), ("gid_map", &ids.groups)] {
        let failed = |source| Error::UserNamespace { step: file, source };
        let mut text = String::new();
        for map in maps {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {} {}", map.inside, map.outside, map.size);
        }
        let path = format!("/proc/{}/{file}", child.pid.as_raw_nonzero());
        let fd = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        write(&fd, text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

fn born(child: &Child, own: Namespaces) -> Result<Vec<OwnedFd>, Error> {
    let kinds = KINDS.iter().filter(|(kind, _)| own.and(*kind) == own);
    kinds.map(|(_, name)| namespace(child, name)).collect()
}

fn namespace(child: &Child, name: &'static str) -> Result<OwnedFd, Error> {
    let path = format!("/proc/{}/ns/{name}", child.pid.as_raw_nonzero());
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::UserNamespace { step: name, source })
}

fn end(child: &Child) -> Result<(), Error> {
    let failed = |source| Error::UserNamespace { step: "end", source };
    pidfd_send_signal(&child.pidfd, Signal::KILL).map_err(failed)?;
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()).map_err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_enters_is_known_outside_by_the_ranges_ids() {
        let range = IdRange::new(300_000, 1_000).unwrap();
        let namespace = create(range).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
        let (uid, gid) = (rustix::fs::Uid::from_raw(7), rustix::fs::Gid::from_raw(8));
        let child = spawn(Namespaces::NONE, None, || {
            let entered = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User)).is_ok()
                && rustix::thread::set_thread_res_gid(gid, gid, gid).is_ok()
                && rustix::thread::set_thread_res_uid(uid, uid, uid).is_ok();
            let made = openat(CWD, &path, OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
            u8::from(!entered || made.is_err())
        })
        .unwrap();
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
        let made = rustix::fs::stat(&file).unwrap();
        assert_eq!((made.st_uid, made.st_gid), (300_007, 300_008));
    }
}
