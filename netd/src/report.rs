//! What others may know: two files in `/run/netd`.
//!
//! `resolv.conf` is written in place. Containers are shown the file itself, not its name: were another renamed over it, those
//! that run would keep the old one for good. It has at most 100 bytes and is written by one call, from its start, and cut to
//! its new length after; who reads between the two finds the new servers and, after them, an end of the old text.
//!
//! `status` is replaced whole: readers see the old file or the new one.
//!
//! `status` has a line for each interface that is looked after, in the order of their indices: four words.
//!
//! | word | values |
//! |---|---|
//! | name | of the interface |
//! | state | `down`: it cannot be set up · `no-carrier`: no cable, or nobody at its other end · `searching`: no server has given a lease yet · `failed`: the kernel refused the address · `ready` |
//! | addresses | `ADDRESS/PREFIX`, several separated by commas; `-` for none |
//! | source | `dhcp`, `static` |

use std::{
    fmt::{self, Write as _},
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    net::Ipv4Addr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::settings::Source;

/// Name servers that a C library asks (`MAXNS` of resolv.h).
const MAX_DNS: usize = 3;
const RESOLV_CONF: &str = "resolv.conf";
const STATUS: &str = "status";
const HEADER: &str = "# Written by netd.\n";
const MODE: u32 = 0o644;

/// What an interface is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Down,
    NoCarrier,
    Searching,
    Failed,
    Ready,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::NoCarrier => "no-carrier",
            Self::Searching => "searching",
            Self::Failed => "failed",
            Self::Ready => "ready",
        })
    }
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) address: Option<(Ipv4Addr, u8)>,
    pub(crate) source: Source,
    pub(crate) dns: Vec<Ipv4Addr>,
}

/// Whether name servers of an earlier netd give way to an empty list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Not yet: as the addresses, they stay until something is known.
    KeepOld,
    /// They do.
    Replace,
}

/// The files, and what is in them.
#[derive(Debug)]
pub(crate) struct Report {
    folder: PathBuf,
    written: [Option<String>; 2],
}

impl Report {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, written: [None, None] }
    }

    /// Writes what has changed.
    pub(crate) fn write(&mut self, lines: &[Line], names: Names) -> io::Result<()> {
        let [servers, states] = &mut self.written;
        let new = resolv_conf(lines);
        let old = servers.is_none() && names == Names::KeepOld && self.folder.join(RESOLV_CONF).exists();
        if !(old && new == HEADER) {
            write_if_other(overwrite, &self.folder.join(RESOLV_CONF), new, servers)?;
        }
        write_if_other(replace, &self.folder.join(STATUS), status(lines), states)
    }
}

fn status(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let address = line.address.map_or("-".to_owned(), |(address, prefix)| format!("{address}/{prefix}"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {address} {}", line.name, line.state, line.source);
        text
    })
}

fn resolv_conf(lines: &[Line]) -> String {
    let mut servers: Vec<&Ipv4Addr> = vec![];
    for server in lines.iter().filter(|line| line.state == State::Ready).flat_map(|line| &line.dns) {
        if servers.len() < MAX_DNS && !servers.contains(&server) {
            servers.push(server);
        }
    }
    let mut text = HEADER.to_owned();
    for server in servers {
        // Likewise.
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

fn write_if_other(
    write: fn(&Path, &str) -> io::Result<()>,
    path: &Path,
    text: String,
    written: &mut Option<String>,
) -> io::Result<()> {
    if written.as_ref() != Some(&text) {
        write(path, &text)?;
        *written = Some(text);
    }
    Ok(())
}

/// The same file with another text. The folder is in memory: there is nothing to sync, here and below.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = open(OpenOptions::new().truncate(false), path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Another file under the same name.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    open(OpenOptions::new().truncate(true), &new)?.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

/// A file to write that everybody reads, whatever the umask.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.write(true).create(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    fn line(name: &str, state: State, dns: &[u8]) -> Line {
        Line {
            name: name.to_owned(),
            state,
            address: (state == State::Ready).then_some(([10, 0, 2, 15].into(), 24)),
            source: Source::Dhcp,
            dns: dns.iter().map(|n| Ipv4Addr::from([*n; 4])).collect(),
        }
    }

    #[test]
    fn the_files_say_what_interfaces_have() {
        let lines = [
            line("eth0", State::NoCarrier, &[9]),
            line("eth1", State::Ready, &[1, 8]),
            Line { source: Source::Static, ..line("eth2", State::Ready, &[8, 3, 4]) },
        ];
        let want = "eth0 no-carrier - dhcp\neth1 ready 10.0.2.15/24 dhcp\neth2 ready 10.0.2.15/24 static\n";
        assert_eq!(status(&lines), want);
        let want = "# Written by netd.\nnameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 3.3.3.3\n";
        assert_eq!(resolv_conf(&lines), want);
        assert_eq!((status(&[]), resolv_conf(&[])), (String::new(), "# Written by netd.\n".to_owned()));
    }

    #[test]
    fn whoever_was_shown_the_name_servers_sees_the_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESOLV_CONF);
        fs::write(&path, "").unwrap();
        let mut shown = File::open(&path).unwrap();
        let mut report = Report::new(folder.path().to_owned());
        for dns in [&[1, 2, 3][..], &[4], &[], &[111, 222, 123]] {
            let lines = [line("eth0", State::Ready, dns)];
            report.write(&lines, Names::Replace).unwrap();
            shown.rewind().unwrap();
            let text = io::read_to_string(&shown).unwrap();
            assert_eq!(text, resolv_conf(&lines));
            assert!(text.len() <= 100, "{text}");
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn the_status_is_replaced_whole_and_only_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STATUS);
        let mut report = Report::new(folder.path().to_owned());
        report.write(&[], Names::Replace).unwrap();
        let old = fs::File::open(&path).unwrap();
        report.write(&[line("eth0", State::Down, &[])], Names::Replace).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "eth0 down - dhcp\n");
        assert_eq!(io::read_to_string(old).unwrap(), "", "whoever has the old file open keeps it");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        fs::remove_file(&path).unwrap();
        report.write(&[line("eth0", State::Down, &[])], Names::Replace).unwrap();
        assert!(!path.exists(), "not written again");
        let mut nowhere = Report::new(folder.path().join("missing"));
        assert_eq!(nowhere.write(&[], Names::Replace).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn old_name_servers_stay_until_something_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESOLV_CONF);
        let written = |report: &mut Report, dns: &[u8], names| {
            report.write(&[line("eth0", State::Ready, dns)], names).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let mut report = Report::new(folder.path().to_owned());
        assert_eq!(written(&mut report, &[], Names::KeepOld), HEADER, "there were none");
        let one = written(&mut report, &[1], Names::KeepOld);
        let mut report = Report::new(folder.path().to_owned());
        assert_eq!(written(&mut report, &[], Names::KeepOld), one);
        assert_ne!(written(&mut report, &[2], Names::KeepOld), one);
        assert_eq!(written(&mut report, &[], Names::KeepOld), HEADER, "they were its own");
        fs::write(&path, &one).unwrap();
        let mut report = Report::new(folder.path().to_owned());
        assert_eq!(written(&mut report, &[], Names::Replace), HEADER);
    }
}
