//! A user namespace made beforehand, held by a descriptor.
//!
//! <https://man7.org/linux/man-pages/man7/user_namespaces.7.html>. It belongs to the host's, so whoever enters it later has its
//! capabilities there and nowhere else.

use std::os::fd::{AsFd, OwnedFd};

use coracle_fence::clone::{Child, Namespaces, spawn};
use rustix::{
    event::pause,
    fs::{CWD, Mode, OFlags, openat},
    io::{Errno, write},
    process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid},
};

use crate::{Error, plan::IdRange};

/// A new user namespace whose ids from 0 on are the range's ids outside, for users and groups.
///
/// A namespace needs a process to be born in: this one lives for the three files that are written and opened here.
pub fn create(range: IdRange) -> Result<OwnedFd, Error> {
    let child = spawn(Namespaces::USER, None, || {
        loop {
            pause();
        }
    })
    .map_err(Error::Clone)?;
    let namespace = map(&child, range);
    end(&child)?;
    namespace
}

fn map(child: &Child, range: IdRange) -> Result<OwnedFd, Error> {
    let process = format!("/proc/{}", child.pid.as_raw_nonzero());
    let map = format!("0 {} {}\n", range.base(), range.size());
    for file in ["uid_map", "gid_map"] {
        let failed = |source| Error::UserNamespace { step: file, source };
        let path = format!("{process}/{file}");
        let fd = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        write(&fd, map.as_bytes()).map_err(failed)?;
    }
    openat(CWD, format!("{process}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::UserNamespace { step: "open", source })
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
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

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
