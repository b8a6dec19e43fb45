//! What others may know: two files in `/run/netd`, each replaced whole.
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
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    net::Ipv4Addr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::settings::Source;

/// Name servers that a C library asks (`MAXNS` of resolv.h).
const MAX_DNS: usize = 3;
const RESOLV_CONF: &str = "resolv.conf";
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
            replace_if_other(&self.folder, RESOLV_CONF, new, servers)?;
        }
        replace_if_other(&self.folder, "status", status(lines), states)
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

fn replace_if_other(folder: &Path, name: &str, text: String, written: &mut Option<String>) -> io::Result<()> {
    if written.as_ref() != Some(&text) {
        replace(folder, name, &text)?;
        *written = Some(text);
    }
    Ok(())
}

/// Readers see the old file or the new one. The folder is in memory: there is nothing to sync.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&new)?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask: everybody reads it.
    file.set_permissions(Permissions::from_mode(MODE))?;
    fs::rename(&new, folder.join(name))
}

#[cfg(test)]
mod tests {
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
    fn files_are_replaced_whole_and_only_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status");
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
