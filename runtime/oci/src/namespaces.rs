//! The namespaces in which another process is and this one is not.

use rustix::{process::Pid, thread::ThreadNameSpaceType as Space};

const KINDS: [(&str, Space); 8] = [
    ("user", Space::USER),
    ("mnt", Space::MOUNT),
    ("net", Space::NETWORK),
    ("ipc", Space::INTER_PROCESS_COMMUNICATION),
    ("uts", Space::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("pid", Space::PROCESS_ID),
    ("cgroup", Space::CONTROL_GROUP),
    ("time", Space::TIME),
];

/// Those of a process that differ from the caller's. A namespace of the caller's own cannot be entered again.
///
/// # Errors
/// That of reading a link below `/proc`.
pub fn others(process: Pid) -> std::io::Result<Space> {
    let mut others = Space::empty();
    for (name, space) in KINDS {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{name}"));
        let theirs = of(&process.as_raw_nonzero().to_string());
        match (of("self"), theirs) {
            (Ok(ours), Ok(theirs)) if ours != theirs => others |= space,
            (Ok(_), Ok(_)) => {}
            // A kernel without this kind.
            (Err(_), _) => {}
            (_, Err(error)) => return Err(error),
        }
    }
    Ok(others)
}
