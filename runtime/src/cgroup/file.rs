//! The files of a cgroup's folder, read and written within bounds.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{Mode, OFlags, openat},
    io::{Errno, read as read_some, write as write_some},
};

use crate::Error;

/// Longer than the files of a few words.
pub(super) const SHORT: usize = 1024;

/// What comes of an errno of this file or operation.
pub(super) fn failed(file: &str) -> impl Fn(Errno) -> Error + '_ {
    move |source| Error::Cgroup { file: file.to_owned(), source }
}

/// The beginning of a file, as much as fits.
pub(super) fn read<'a>(
    folder: BorrowedFd<'_>,
    file: &str,
    buffer: &'a mut [u8; SHORT],
) -> Result<&'a str, Error> {
    let failed = failed(file);
    let fd = openat(folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    let len = read_some(&fd, &mut buffer[..]).map_err(&failed)?;
    buffer.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(failed(Errno::ILSEQ))
}

/// A whole file of at most `limit` bytes.
pub(super) fn read_whole(folder: BorrowedFd<'_>, file: &str, limit: usize) -> Result<String, Error> {
    let failed = failed(file);
    let fd = openat(folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    let (mut bytes, mut part) = (Vec::new(), [0; 4 * SHORT]);
    loop {
        let len = read_some(&fd, &mut part[..]).map_err(&failed)?;
        let Some(read @ [_, ..]) = part.get(..len) else { break };
        if bytes.len() + len > limit {
            return Err(failed(Errno::FBIG));
        }
        bytes.extend_from_slice(read);
    }
    String::from_utf8(bytes).map_err(|_| failed(Errno::ILSEQ))
}

/// Writes a value, each of its lines by a write of its own: the kernel takes a line whole or refuses it.
pub(super) fn write(folder: BorrowedFd<'_>, file: &str, value: &str) -> Result<(), Error> {
    let failed = failed(file);
    let fd = openat(folder, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    value.lines().try_for_each(|line| write_some(&fd, line.as_bytes()).map(drop)).map_err(failed)
}

/// The number after `key` in a file of lines `key number`.
pub(super) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let events = "low 0\nhigh 1\noom 4\noom_kill 3\noom_group_kill 2\n";
        assert_eq!((field(events, "oom_kill"), field(events, "oom")), (Some(3), Some(4)));
        assert_eq!((field(events, "kill"), field("populated x", "populated")), (None, None));
    }
}
