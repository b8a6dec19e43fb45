//! `linux.cgroupsPath`: where in the cgroup2 hierarchy a container lives,
//! <https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config-linux.md#cgroups-path>.
//!
//! An absolute path begins at the root of the mount, a relative one at the runtime's own cgroup. Without any the container's id
//! is its name, right below the root.

use std::{
    fs::File,
    io::{self, Read},
};

use coracle_runtime::cgroup::Path;

/// Where cgroup2 is looked for first, should it be mounted at several places.
const USUAL: &str = "/sys/fs/cgroup";
/// Ten thousand mounts fit.
const LONGEST: u64 = 4 << 20;

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is meant for systemd, which makes the cgroup and gives it its name.
    #[error(
        "linux.cgroupsPath {path:?} asks systemd for a cgroup (slice:prefix:name), and none is asked here"
    )]
    Systemd {
        /// The path.
        path: String,
    },
    /// The path leads nowhere.
    #[error("linux.cgroupsPath")]
    Path(#[source] coracle_runtime::Error),
    /// The path is relative, and this process's own cgroup is not in the mount.
    #[error(
        "linux.cgroupsPath {path:?} is relative, and the runtime's own cgroup is not below the mount of cgroup2"
    )]
    Outside {
        /// The path.
        path: String,
    },
    /// There is no cgroup v2.
    #[error("cgroup2 is not mounted")]
    NotMounted,
    /// The kernel did not say what is mounted, or did not open it.
    #[error("{file}")]
    Read {
        /// The file or folder.
        file: String,
        /// Its answer.
        #[source]
        source: io::Error,
    },
}

/// The mounted hierarchy as this process sees it.
#[derive(Debug)]
pub struct Hierarchy {
    /// The folder at its root.
    pub root: File,
    own: Option<String>,
}

impl Hierarchy {
    /// Finds it.
    ///
    /// # Errors
    /// [`Error::NotMounted`] and [`Error::Read`].
    pub fn open() -> Result<Self, Error> {
        let mounts = read("/proc/self/mountinfo")?;
        let mount = Mount::find(&mounts).ok_or(Error::NotMounted)?;
        let root = File::open(mount.point);
        let root = root.map_err(|source| Error::Read { file: mount.point.to_owned(), source })?;
        let own = mount.below(&read("/proc/self/cgroup")?).map(str::to_owned);
        Ok(Self { root, own })
    }

    /// The place of a container with this id.
    ///
    /// # Errors
    /// [`Error::Systemd`], [`Error::Path`] and [`Error::Outside`].
    pub fn place(&self, cgroups_path: Option<&str>, id: &str) -> Result<Path, Error> {
        place(self.own.as_deref(), cgroups_path.unwrap_or_default(), id)
    }
}

fn place(own: Option<&str>, path: &str, id: &str) -> Result<Path, Error> {
    let whole = match path {
        "" => id.to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        systemd if systemd.split(':').count() == 3 => {
            return Err(Error::Systemd { path: systemd.to_owned() });
        }
        // A path to nowhere is refused for itself, not for what it is appended to.
        relative => match own {
            Some(own) => {
                Path::new(relative).map(|path| format!("{own}/{}", path.as_str())).map_err(Error::Path)?
            }
            None => return Err(Error::Outside { path: relative.to_owned() }),
        },
    };
    Path::new(&whole).map_err(Error::Path)
}

/// One mount of cgroup2: the folder of the hierarchy that it shows, and where.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    shows: &'a str,
    point: &'a str,
}

impl<'a> Mount<'a> {
    /// The usual one, or the first (<https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>).
    fn find(mountinfo: &'a str) -> Option<Self> {
        let mounts = mountinfo.lines().filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut words = mount.split(' ').skip(3);
            let mount = Self { shows: words.next()?, point: words.next()? };
            (kind.split(' ').next() == Some("cgroup2")).then_some(mount)
        });
        // The last one at a place hides those before it.
        let (usual, mut others): (Vec<_>, Vec<_>) = mounts.partition(|mount| mount.point == USUAL);
        others.truncate(1);
        usual.into_iter().next_back().or(others.pop())
    }

    /// Where in it the cgroup of this `/proc/PID/cgroup` is.
    fn below<'b>(&self, cgroup: &'b str) -> Option<&'b str> {
        let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
        match self.shows {
            "/" => Some(own),
            shows => own.strip_prefix(shows).filter(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

fn read(file: &str) -> Result<String, Error> {
    let mut text = String::new();
    let done = File::open(file).and_then(|opened| opened.take(LONGEST).read_to_string(&mut text));
    match done {
        Ok(_) => Ok(text),
        Err(source) => Err(Error::Read { file: file.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_at_the_root_or_at_the_own_cgroup() {
        let own = Some("/services/engine");
        for (path, wanted) in [
            ("", "id"),
            ("/machine/a", "machine/a"),
            ("//a/", "a"),
            ("/a:b:c", "a:b:c"),
            ("a", "services/engine/a"),
            ("a:b/c", "services/engine/a:b/c"),
        ] {
            assert_eq!(place(own, path, "id").unwrap().as_str(), wanted, "{path}");
        }
        assert_eq!(place(Some("/"), "a", "id").unwrap().as_str(), "a");
        assert!(matches!(place(own, "system.slice:engine:id", "id"), Err(Error::Systemd { .. })));
        assert!(matches!(place(own, ":a:b", "id"), Err(Error::Systemd { .. })));
        assert!(matches!(place(None, "a", "id"), Err(Error::Outside { .. })));
        for path in ["/", "/..", "/a/../b", "..", "./a"] {
            assert!(matches!(place(own, path, "id"), Err(Error::Path(_))), "{path}");
        }
    }

    #[test]
    fn the_usual_mount_is_taken_before_others() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
            42 31 0:38 /a /elsewhere rw - cgroup2 cgroup2 rw\n";
        let find =
            |text| Mount::find(text).map(|mount: Mount<'_>| (mount.shows.to_owned(), mount.point.to_owned()));
        let mount = |shows: &str, point: &str| Some((shows.to_owned(), point.to_owned()));
        assert_eq!(find(hybrid), mount("/", "/sys/fs/cgroup/unified"));
        let usual = format!(
            "{hybrid}9 1 0:3 /x /sys/fs/cgroup rw - cgroup2 c rw\n9 1 0:3 /y /sys/fs/cgroup rw - cgroup2 c rw\n"
        );
        assert_eq!(find(&usual), mount("/y", "/sys/fs/cgroup"));
        assert_eq!(find("31 23 0:28 / /sys/fs/cgroup rw - tmpfs cgroup2 rw\nshort\n"), None);
    }

    #[test]
    fn the_own_cgroup_is_seen_from_the_mount() {
        let own = "4:memory:/v1\n0::/a/b\n";
        for (shows, wanted) in
            [("/", Some("/a/b")), ("/a", Some("/b")), ("/a/b", Some("")), ("/a/bc", None), ("/x", None)]
        {
            assert_eq!(Mount { shows, point: USUAL }.below(own), wanted, "{shows}");
        }
        assert_eq!(Mount { shows: "/a", point: USUAL }.below("0::/ab\n"), None);
        assert_eq!(Mount { shows: "/", point: USUAL }.below("4:memory:/v1\n"), None);
    }

    #[test]
    fn this_process_is_in_a_mounted_hierarchy() {
        let found = Hierarchy::open().unwrap();
        assert_eq!(found.place(None, "id").unwrap().as_str(), "id");
        assert!(found.place(Some("a"), "id").is_ok());
    }
}
