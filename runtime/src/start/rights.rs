//! Who the program is and what it may: user namespace, limits, ids, capabilities.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{Gid, Mode, OFlags, Uid, openat},
    io::{Errno, write},
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, LinkNameSpaceType, configure_capability_in_ambient_set,
        move_into_link_name_space, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::stage::{At, Failure, Stage};

/// One above the highest capability a kernel can have.
const CAPABILITIES: u32 = 64;
/// Open files: 1024 for programs that use `select`, as many as they raise it to for the others (systemd's numbers).
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// The rights of a program.
#[derive(Debug)]
pub(super) struct Rights {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
    pub(super) bounding: CapabilitySet,
    pub(super) effective: CapabilitySet,
    pub(super) permitted: CapabilitySet,
    pub(super) inheritable: CapabilitySet,
    pub(super) ambient: CapabilitySet,
    pub(super) no_new_privs: bool,
}

impl Rights {
    /// Takes them, and with them leaves those of the host's root, or of the user namespace's.
    pub(super) fn take(&self) -> Result<(), Failure> {
        // Entering a user namespace fills the bounding set, so this comes after; it takes CAP_SETPCAP, so it comes before.
        self.bound().at(Stage::BoundingSet)?;
        self.ids().at(Stage::Ids)?;
        let sets = CapabilitySets {
            effective: self.effective,
            permitted: self.permitted,
            inheritable: self.inheritable,
        };
        set_capabilities(None, sets).at(Stage::Capabilities)?;
        for capability in self.ambient.iter() {
            configure_capability_in_ambient_set(capability, true).at(Stage::Capabilities)?;
        }
        if self.no_new_privs { set_no_new_privs(true).at(Stage::NoNewPrivs) } else { Ok(()) }
    }

    fn bound(&self) -> Result<(), Errno> {
        for number in 0..CAPABILITIES {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if self.bounding.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                // The kernel does not know it, nor any above it.
                Err(Errno::INVAL) => break,
                other => other?,
            }
        }
        Ok(())
    }

    fn ids(&self) -> Result<(), Errno> {
        // Else leaving user 0 of the host takes the capabilities with it; an exec clears the mark.
        set_keep_capabilities(true)?;
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)
    }
}

/// Moves into a user namespace.
pub(super) fn enter(userns: BorrowedFd<'_>) -> Result<(), Failure> {
    move_into_link_name_space(userns, Some(LinkNameSpaceType::User)).at(Stage::UserNamespace)
}

/// The same for every container, whatever PID 1 has; how many processes there may be is the cgroup's to say.
pub(super) fn limits() -> Result<(), Errno> {
    let (soft, hard) = OPEN_FILES;
    limit(Resource::Nofile, Some(soft), Some(hard))?;
    limit(Resource::Nproc, None, None)
}

/// Sets a limit, or as much of it as a host without `CAP_SYS_RESOURCE` may give.
fn limit(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Result<(), Errno> {
    match setrlimit(resource, Rlimit { current: soft, maximum: hard }) {
        Err(Errno::PERM) => {
            let maximum = getrlimit(resource).maximum;
            let current = match (soft, maximum) {
                (Some(soft), Some(most)) => Some(soft.min(most)),
                (soft, most) => soft.or(most),
            };
            setrlimit(resource, Rlimit { current, maximum })
        }
        other => other,
    }
}

/// Tells the out-of-memory killer how much this process is worth, by a procfs that nobody else has touched.
pub(super) fn oom_score(proc: BorrowedFd<'_>, adjustment: &[u8]) -> Result<(), Errno> {
    let file = openat(proc, c"self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&file, adjustment).map(|_| ())
}
