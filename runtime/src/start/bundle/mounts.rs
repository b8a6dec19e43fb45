//! What a bundle mounts in its root.

use std::os::fd::{AsFd, BorrowedFd};

use coracle_fence::mounts::{self, Attributes, Propagation, Reach};
use rustix::{
    fs::{CWD, FileType, fstat},
    mount::MountAttrFlags,
};

use super::{
    copy_up::copy_up,
    targets::{Links, Missing, target},
};
use crate::{
    bundle::{From, Mount},
    start::{
        stage::{At, Failure, Stage},
        tree::{Owner, Setting, copy, filesystem, put},
    },
};

/// Mounts it.
pub(super) fn attach(mount: &Mount, root: BorrowedFd<'_>, owner: Owner) -> Result<(), Failure> {
    let tree = match &mount.from {
        From::Bind { path, reach } => copy(CWD, path, *reach).at(Stage::MountSource)?,
        From::New { kind, settings } => {
            let settings = settings.iter().map(|(name, value)| match value {
                Some(value) => Setting::Text(name, value),
                None => Setting::Flag(name),
            });
            filesystem(kind, settings, MountAttrFlags::empty()).at(Stage::Mount)?
        }
    };
    let is_folder =
        FileType::from_raw_mode(fstat(&tree).at(Stage::MountSource)?.st_mode) == FileType::Directory;
    let missing = if is_folder { Missing::Folder } else { Missing::File };
    let place = target(root, &mount.to, links(&mount.from), missing, owner).at(Stage::MountTarget)?;
    if mount.copy_up {
        copy_up(place.as_fd(), tree.as_fd()).at(Stage::CopyUp)?;
    }
    change(mount, tree.as_fd()).at(Stage::Mount)?;
    put(tree.as_fd(), place.as_fd()).at(Stage::MountTarget)?;
    match mount.spread {
        Some(spread) => {
            mounts::change(tree.as_fd(), spread.reach, Attributes::NONE, Attributes::NONE, spread.propagation)
                .at(Stage::Mount)
        }
        None => Ok(()),
    }
}

/// Masks and settings are looked up in them: no link leads to another one (CVE-2019-19921).
fn links(from: &From) -> Links {
    match from {
        From::New { kind, .. } if [c"proc", c"sysfs"].contains(&kind.as_c_str()) => Links::Refused,
        _ => Links::Followed,
    }
}

fn change(mount: &Mount, tree: BorrowedFd<'_>) -> Result<(), coracle_fence::Error> {
    if let Some((userns, reach)) = &mount.idmap {
        mounts::idmap(tree, *reach, userns.as_fd())?;
    }
    for (change, reach) in [(mount.one, Reach::One), (mount.tree, Reach::Tree)] {
        if change != Default::default() {
            mounts::change(tree, reach, change.set, change.clear, Propagation::Keep)?;
        }
    }
    Ok(())
}
