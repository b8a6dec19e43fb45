//! The runtime's own file, which is `/proc/self/exe` in a container until that has become its program.
//!
//! A program that is `/proc/self/exe` again, or a script for it, is this file, and who can look into that process can open it:
//! for writing it would be the host's next runtime (CVE-2019-5736). So whoever enters a container runs from a mount
//! that is read-only and belongs to this process alone. A copy in memory does the same, for the time and the memory of a copy.

use std::{
    env,
    ffi::CString,
    os::{fd::AsFd, unix::ffi::OsStringExt},
};

use anyhow::Result;
use coracle_fence::mounts::{self, Attributes, Propagation, Reach};
use nix::unistd::fexecve;
use rustix::{
    fs::{Mode, OFlags, StatVfsMountFlags, fstatvfs, open},
    mount::{OpenTreeFlags, open_tree},
    thread::set_name,
};

/// Begins anew from a read-only mount, unless this process runs from one.
pub fn make_read_only() -> Result<()> {
    let file = open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if fstatvfs(&file)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        // A program that was started by its descriptor is named by that.
        return Ok(set_name(c"coracle-runtime")?);
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&file, "", flags)?;
    mounts::change(tree.as_fd(), Reach::One, Attributes::RDONLY, Attributes::NONE, Propagation::Private)?;
    let strings = |each: Vec<Vec<u8>>| each.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let words = strings(env::args_os().map(OsStringExt::into_vec).collect())?;
    let variables = strings(
        env::vars_os().map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'=')).collect(),
    )?;
    match fexecve(&tree, &words, &variables)? {}
}
