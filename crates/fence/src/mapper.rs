//! Device-mapper: a device of one target, such as dm-verity, made. It stays until the power goes.
//!
//! <https://docs.kernel.org/admin-guide/device-mapper/verity.html>, linux/dm-ioctl.h interface 4.0.0, which every Linux with
//! dm-verity (3.4) has. A request is one buffer of fixed size:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 312 | `struct dm_ioctl` |
//! | 312 | 40 | `struct dm_target_spec`, read by the load command only |
//! | 352 | 1024 | the target's parameters, ended by NUL |

use std::os::fd::BorrowedFd;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::Error;

/// `struct dm_ioctl`.
#[repr(C)]
pub(crate) struct Header {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}
const _: () = assert!(size_of::<Header>() == 312);

/// `struct dm_target_spec`.
#[repr(C)]
pub(crate) struct Target {
    sector_start: u64,
    length: u64,
    status: i32,
    next: u32,
    target_type: [u8; 16],
}
const _: () = assert!(size_of::<Target>() == 40);

#[repr(C)]
struct Request {
    header: Header,
    target: Target,
    params: [u8; 1024],
}
const _: () = assert!(size_of::<Request>() == 1376);

pub(crate) const CREATE: Opcode = opcode::read_write::<Header>(0xfd, 3);
pub(crate) const SUSPEND: Opcode = opcode::read_write::<Header>(0xfd, 6);
pub(crate) const LOAD: Opcode = opcode::read_write::<Header>(0xfd, 9);
const READONLY: u32 = 1;
#[cfg(test)]
pub(crate) const NAME_OFFSET: usize = std::mem::offset_of!(Header, name);

/// A device's name: 1 to 127 bytes, neither `/` nor NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Checks a name.
    pub fn new(name: &'a str) -> Result<Self, Error> {
        if name.contains('/') {
            return Err(Error::MapperText { field: "name" });
        }
        text::<128>("name", name).map(|_| Self(name))
    }
}

/// The one target that a device consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table<'a> {
    /// Length in sectors of 512 bytes.
    pub sectors: u64,
    /// The target's type, such as `verity`.
    pub target: &'a str,
    /// Its parameters.
    pub params: &'a str,
}

/// Makes a device without a table. `control` is `/dev/mapper/control`, here and below.
pub fn create(control: BorrowedFd<'_>, name: Name<'_>) -> Result<(), Error> {
    send::<CREATE>("create", control, &mut request(name, 0)?)
}

/// Loads a read-only table, which takes effect at the next [`resume`].
pub fn load(control: BorrowedFd<'_>, name: Name<'_>, table: Table<'_>) -> Result<(), Error> {
    send::<LOAD>("load", control, &mut load_request(name, table)?)
}

/// Makes the loaded table the device.
pub fn resume(control: BorrowedFd<'_>, name: Name<'_>) -> Result<(), Error> {
    send::<SUSPEND>("resume", control, &mut request(name, 0)?)
}

fn load_request(name: Name<'_>, table: Table<'_>) -> Result<Request, Error> {
    let mut request = request(name, READONLY)?;
    request.header.target_count = 1;
    request.target.length = table.sectors;
    request.target.target_type = text("target type", table.target)?;
    request.params = text("parameters", table.params)?;
    Ok(request)
}

fn request(name: Name<'_>, flags: u32) -> Result<Request, Error> {
    Ok(Request {
        header: Header {
            version: [4, 0, 0],
            data_size: size_of::<Request>() as u32,
            data_start: size_of::<Header>() as u32,
            target_count: 0,
            open_count: 0,
            flags,
            event_nr: 0,
            padding: 0,
            dev: 0,
            name: text("name", name.0)?,
            uuid: [0; 129],
            data: [0; 7],
        },
        target: Target { sector_start: 0, length: 0, status: 0, next: 0, target_type: [0; 16] },
        params: [0; 1024],
    })
}

/// Text in a field that ends with a NUL.
fn text<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], Error> {
    let mut out = [0; N];
    if text.is_empty() || text.len() >= N || text.contains('\0') {
        return Err(Error::MapperText { field });
    }
    for (to, from) in out.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Ok(out)
}

fn send<const OPCODE: Opcode>(
    command: &'static str,
    control: BorrowedFd<'_>,
    request: &mut Request,
) -> Result<(), Error> {
    // SAFETY: a device-mapper command reads and writes `data_size` bytes at its argument, and `request` makes that the size
    // of `Request`, all of whose bit patterns are valid.
    unsafe { ioctl(control, Updater::<OPCODE, Request>::new(request)) }
        .map_err(|source| Error::Mapper { command, source })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn a_request_is_what_the_kernel_reads() {
        let table = Table { sectors: 2048, target: "verity", params: "1 /dev/a /dev/b 4096 4096" };
        let request = load_request(Name::new("root-a").unwrap(), table).unwrap();
        let header = &request.header;
        assert_eq!((header.version, header.data_size, header.data_start), ([4, 0, 0], 1376, 312));
        assert_eq!((header.target_count, header.flags, request.target.length), (1, READONLY, 2048));
        assert!(header.name.starts_with(b"root-a\0") && request.target.target_type.starts_with(b"verity\0"));
        assert!(request.params.starts_with(b"1 /dev/a /dev/b 4096 4096\0"));
        assert_eq!(std::mem::offset_of!(Request, params), 352);
    }

    #[test]
    fn texts_that_do_not_fit_are_refused() {
        for bad in ["", "a/b", "a\0b", &"x".repeat(128)] {
            assert_eq!(Name::new(bad), Err(Error::MapperText { field: "name" }), "{bad}");
        }
        let name = Name::new("a").unwrap();
        let long = "x".repeat(1024);
        for (target, params, field) in [("", "1", "target type"), ("verity", long.as_str(), "parameters")] {
            let refused = load_request(name, Table { sectors: 1, target, params }).err();
            assert_eq!(refused, Some(Error::MapperText { field }));
        }
    }

    #[test]
    fn what_is_not_the_control_device_is_refused() {
        let null = File::open("/dev/null").unwrap();
        let name = Name::new("a").unwrap();
        let refused = |command| Error::Mapper { command, source: rustix::io::Errno::NOTTY };
        assert_eq!(create(null.as_fd(), name), Err(refused("create")));
        assert_eq!(resume(null.as_fd(), name), Err(refused("resume")));
    }
}
