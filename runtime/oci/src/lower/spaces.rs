//! `linux.namespaces` and what belongs to them.

use std::{ffi::CString, fmt::Write, fs::File, path::Path};

use coracle_runtime::bundle::{IdMap, Ids, Space, Spaces, User};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType};

use super::{Error, invalid, missing, refused, text};

const PROPERTY: &str = "linux.namespaces";

pub(super) fn spaces(linux: &Linux) -> Result<Spaces, Error> {
    let mut spaces = Spaces {
        user: User::Host,
        pid: Space::Host,
        net: Space::Host,
        ipc: Space::Host,
        uts: Space::Host,
        cgroup: Space::Host,
        time: Space::Host,
    };
    let mut seen = Vec::new();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = namespace.typ();
        if seen.contains(&kind) {
            return Err(invalid(PROPERTY, format!("{kind:?} is there twice")));
        }
        seen.push(kind);
        let place = match kind {
            LinuxNamespaceType::User => {
                spaces.user = user_of(linux, namespace)?;
                continue;
            }
            LinuxNamespaceType::Mount if namespace.path().is_some() => {
                return Err(refused(PROPERTY, "a container's mounts are its own"));
            }
            LinuxNamespaceType::Mount => continue,
            LinuxNamespaceType::Pid => &mut spaces.pid,
            LinuxNamespaceType::Network => &mut spaces.net,
            LinuxNamespaceType::Ipc => &mut spaces.ipc,
            LinuxNamespaceType::Uts => &mut spaces.uts,
            LinuxNamespaceType::Cgroup => &mut spaces.cgroup,
            LinuxNamespaceType::Time => &mut spaces.time,
        };
        *place = match namespace.path() {
            Some(path) => Space::Joined(open(path)?.into()),
            None => Space::Own,
        };
    }
    if !seen.contains(&LinuxNamespaceType::Mount) {
        return Err(refused(
            PROPERTY,
            "a container without a mount namespace would change the host's mounts",
        ));
    }
    if matches!(spaces.user, User::Host) {
        for (property, maps) in
            [("linux.uidMappings", linux.uid_mappings()), ("linux.gidMappings", linux.gid_mappings())]
        {
            if maps.as_ref().is_some_and(|maps| !maps.is_empty()) {
                return Err(invalid(property, "nothing without a user namespace"));
            }
        }
    }
    Ok(spaces)
}

/// The user namespace alone.
///
/// # Errors
/// [`Error`].
pub fn user(linux: &Linux) -> Result<User, Error> {
    let mut namespaces = linux.namespaces().iter().flatten();
    match namespaces.find(|namespace| namespace.typ() == LinuxNamespaceType::User) {
        Some(namespace) => user_of(linux, namespace),
        None => Ok(User::Host),
    }
}

fn user_of(linux: &Linux, namespace: &LinuxNamespace) -> Result<User, Error> {
    let ids = Ids {
        users: maps("linux.uidMappings", linux.uid_mappings().as_ref())?,
        groups: maps("linux.gidMappings", linux.gid_mappings().as_ref())?,
    };
    Ok(match namespace.path() {
        Some(path) => User::Joined(open(path)?.into(), ids),
        None => User::Own(ids),
    })
}

/// A user namespace's ids; there have to be some.
pub(super) fn maps(property: &str, maps: Option<&Vec<LinuxIdMapping>>) -> Result<Vec<IdMap>, Error> {
    let maps = maps.filter(|maps| !maps.is_empty()).ok_or_else(|| missing(property))?;
    Ok(maps
        .iter()
        .map(|map| IdMap { inside: map.container_id(), outside: map.host_id(), size: map.size() })
        .collect())
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Open {
        property: PROPERTY.to_owned(),
        path: path.to_owned(),
        source,
    })
}

/// What is written to `timens_offsets`; an own time namespace without offsets has none.
pub(super) fn time_offsets(linux: &Linux, spaces: &Spaces) -> Result<Option<CString>, Error> {
    let mut offsets: Vec<_> = linux.time_offsets().iter().flatten().collect();
    offsets.sort_by_key(|(clock, _)| clock.as_str());
    if !spaces.time.is_own() {
        return match offsets.first() {
            Some(_) => Err(invalid("linux.timeOffsets", "nothing without a time namespace of its own")),
            None => Ok(None),
        };
    }
    let mut lines = String::new();
    for (clock, offset) in offsets {
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(invalid(format!("linux.timeOffsets.{clock}"), "monotonic or boottime"));
        }
        let (secs, nanosecs) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{clock} {secs} {nanosecs}");
    }
    text("linux.timeOffsets", lines).map(Some)
}
