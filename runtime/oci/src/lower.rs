//! What a configuration asks for, in the starter library's terms.
//!
//! A property that the specification knows and that cannot be honoured is refused by its name.

mod mounts;
mod process;
mod spaces;

use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use coracle_runtime::bundle::{Access, Bundle, Device, IdMap, Kind, Process, Spread, Switch, User};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, Spec};

use crate::seccomp;

pub use mounts::options as mount_options;
pub use process::{capabilities, capability, process};
pub use spaces::user;

/// Why a configuration cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has to be there.
    #[error("{property} is missing")]
    Missing {
        /// Its path.
        property: String,
    },
    /// It has another form or range.
    #[error("{property}: {want}")]
    Invalid {
        /// Its path.
        property: String,
        /// What it may be.
        want: String,
    },
    /// It is known, and this runtime does not do it.
    #[error("{property} cannot be honoured: {why}")]
    Refused {
        /// Its path.
        property: String,
        /// Why.
        why: String,
    },
    /// A file that it names could not be opened.
    #[error("{property}: open {}", path.display())]
    Open {
        /// Its path in the configuration.
        property: String,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The filter that it describes is none.
    #[error(transparent)]
    Seccomp(seccomp::Error),
    /// The user namespace that it describes was not made.
    #[error("{property}")]
    UserNamespace {
        /// Its path.
        property: String,
        /// Why.
        #[source]
        source: coracle_runtime::Error,
    },
}

pub(crate) fn missing(property: impl Into<String>) -> Error {
    Error::Missing { property: property.into() }
}

pub(crate) fn invalid(property: impl Into<String>, want: impl Into<String>) -> Error {
    Error::Invalid { property: property.into(), want: want.into() }
}

pub(crate) fn refused(property: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Refused { property: property.into(), why: why.into() }
}

/// Text for the kernel.
fn text(property: &str, bytes: impl Into<Vec<u8>>) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| invalid(property, "it holds a NUL byte"))
}

fn texts(property: &str, paths: Option<&Vec<String>>) -> Result<Vec<CString>, Error> {
    paths.into_iter().flatten().map(|path| text(property, path.as_bytes())).collect()
}

/// A container from its configuration and the folder that its relative paths are below.
///
/// No descriptor beside the standard ones stays open.
///
/// # Errors
/// [`Error`].
pub fn bundle(spec: &Spec, folder: &Path) -> Result<Bundle, Error> {
    for (property, is_there) in [
        ("solaris", spec.solaris().is_some()),
        ("windows", spec.windows().is_some()),
        ("vm", spec.vm().is_some()),
        ("zos", spec.zos().is_some()),
    ] {
        if is_there {
            return Err(refused(property, "this is Linux"));
        }
    }
    let none = Linux::default();
    let linux = spec.linux().as_ref().unwrap_or(&none);
    for (property, is_there) in [
        ("linux.netDevices", linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty())),
        ("linux.mountLabel", linux.mount_label().as_ref().is_some_and(|label| !label.is_empty())),
        ("linux.intelRdt", linux.intel_rdt().is_some()),
        ("linux.memoryPolicy", linux.memory_policy().is_some()),
    ] {
        if is_there {
            return Err(refused(property, "there is no such facility here"));
        }
    }
    let root = spec.root().as_ref().ok_or_else(|| missing("root"))?;
    let rootfs = std::fs::canonicalize(folder.join(root.path()));
    let rootfs = rootfs.map_err(|source| Error::Open {
        property: "root.path".to_owned(),
        path: root.path().clone(),
        source,
    })?;
    let spaces = spaces::spaces(linux)?;
    let mounts = mounts::mounts(spec, folder, &spaces.user)?;
    let process = spec.process().as_ref().ok_or_else(|| missing("process"))?;
    let personality = linux.personality().as_ref().map(process::personality).transpose()?;
    let bind_over_dev = mounts::bind_over(&mounts, c"/dev");
    let name = |property, name: &Option<String>| match name {
        Some(name) if !name.is_empty() => text(property, name.as_bytes()).map(Some),
        _ => Ok(None),
    };
    Ok(Bundle {
        rootfs: text("root.path", rootfs.as_os_str().as_bytes())?,
        access: if root.readonly().unwrap_or(false) { Access::ReadOnly } else { Access::ReadWrite },
        switch: Switch::Pivot,
        spread: spread(linux)?,
        devices: if bind_over_dev { None } else { Some(devices(linux, &spaces.user)?) },
        mounts,
        hostname: name("hostname", spec.hostname())?,
        domainname: name("domainname", spec.domainname())?,
        sysctls: sysctls(linux)?,
        time_offsets: spaces::time_offsets(linux, &spaces)?,
        masked: texts("linux.maskedPaths", linux.masked_paths().as_ref())?,
        readonly: texts("linux.readonlyPaths", linux.readonly_paths().as_ref())?,
        process: filtered(Process { personality, ..process::process(process)? }, linux)?,
        spaces,
    })
}

/// A process with the container's seccomp filter.
///
/// # Errors
/// [`Error::Seccomp`].
pub fn filtered(process: Process, linux: &Linux) -> Result<Process, Error> {
    let Some(named) = linux.seccomp() else { return Ok(process) };
    let filter = seccomp::lower(named).map_err(Error::Seccomp)?;
    let notifies = filter.listener.is_some();
    Ok(Process { seccomp: filter.program, seccomp_flags: filter.flags, notifies, ..process })
}

fn spread(linux: &Linux) -> Result<Option<Spread>, Error> {
    const PROPERTY: &str = "linux.rootfsPropagation";
    match linux.rootfs_propagation().as_deref() {
        None | Some("") => Ok(None),
        Some(name) => match mounts::spread(name) {
            Some(spread) => Ok(Some(spread)),
            None => {
                Err(invalid(PROPERTY, "shared, slave, private, unbindable, or one of them with r before it"))
            }
        },
    }
}

/// `a.b.c` and `a/b/c` name the same file.
fn sysctls(linux: &Linux) -> Result<Vec<(CString, CString)>, Error> {
    let mut all: Vec<_> = linux.sysctl().iter().flatten().collect();
    all.sort();
    all.into_iter()
        .map(|(name, value)| {
            let property = format!("linux.sysctl.{name}");
            let path = if name.contains('/') { name.clone() } else { name.replace('.', "/") };
            let is_own = path.starts_with("net/")
                || path.starts_with("fs/mqueue/")
                || path.starts_with("kernel/msg")
                || path.starts_with("kernel/sem")
                || path.starts_with("kernel/shm");
            let is_plain = path.split('/').all(|part| !["", ".", ".."].contains(&part));
            if !is_own || !is_plain {
                return Err(refused(property, "it is not a container's own setting"));
            }
            Ok((text(&property, format!("sys/{path}"))?, text(&property, value.as_bytes())?))
        })
        .collect()
}

/// Those of the specification, and those of the configuration, which may have the same paths.
fn devices(linux: &Linux, user: &User) -> Result<Vec<Device>, Error> {
    const DEFAULT: [(&str, u32, u32); 6] = [
        ("/dev/null", 1, 3),
        ("/dev/zero", 1, 5),
        ("/dev/full", 1, 7),
        ("/dev/random", 1, 8),
        ("/dev/urandom", 1, 9),
        ("/dev/tty", 5, 0),
    ];
    let named: Vec<_> = linux.devices().iter().flatten().collect();
    let mut devices = Vec::with_capacity(named.len() + DEFAULT.len());
    let (uid, gid) = owners(user, "linux.devices", 0, 0)?;
    for (path, major, minor) in DEFAULT {
        if named.iter().all(|device| device.path() != Path::new(path)) {
            let path = text("linux.devices", path)?;
            devices.push(Device { path, kind: Kind::Char(major, minor), mode: 0o666, uid, gid });
        }
    }
    for (at, device) in named.into_iter().enumerate() {
        devices.push(named_device(device, &format!("linux.devices[{at}]"), user)?);
    }
    Ok(devices)
}

fn named_device(device: &LinuxDevice, property: &str, user: &User) -> Result<Device, Error> {
    let number = |name, number: i64| {
        u32::try_from(number).map_err(|_| invalid(format!("{property}.{name}"), "0 to 2^32-1"))
    };
    let numbers = || Ok((number("major", device.major())?, number("minor", device.minor())?));
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => {
            numbers().map(|(major, minor)| Kind::Char(major, minor))?
        }
        LinuxDeviceType::B => numbers().map(|(major, minor)| Kind::Block(major, minor))?,
        LinuxDeviceType::P => Kind::Fifo,
        LinuxDeviceType::A => return Err(invalid(format!("{property}.type"), "c, b, u or p")),
    };
    let (uid, gid) = owners(user, property, device.uid().unwrap_or(0), device.gid().unwrap_or(0))?;
    let path = text(property, device.path().as_os_str().as_bytes())?;
    Ok(Device { path, kind, mode: device.file_mode().unwrap_or(0o666) & 0o7777, uid, gid })
}

/// Ids of the inside as they are known outside.
fn owners(user: &User, property: &str, uid: u32, gid: u32) -> Result<(u32, u32), Error> {
    let Some(ids) = user.ids() else { return Ok((uid, gid)) };
    let outside = |maps: &[IdMap], id| {
        IdMap::outside(maps, id).ok_or_else(|| invalid(property, format!("id {id} is not mapped")))
    };
    Ok((outside(&ids.users, uid)?, outside(&ids.groups, gid)?))
}
