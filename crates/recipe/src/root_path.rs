//! Paths inside the root, and which of them a recipe may not touch.

use crate::values::{Refused, refused};

/// Folders that are mounted over at boot: a file there would never be seen.
const MOUNTED: &[&str] = &["/proc", "/sys", "/dev", "/run", "/tmp", "/var"];

/// Files and folders that the builder writes or the boot depends on.
const OWNED: &[&str] = &[
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/mtab",
    "/etc/os-release",
    "/etc/resolv.conf",
    "/init",
    "/sbin",
    "/usr/lib/os-release",
    "/usr/lib/coracle",
    "/usr/sbin",
    "/usr/share/coracle",
];

/// An absolute, plain path of a file inside the root: no `.`, `..`, empty part or NUL; not a reserved place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootPath(String);

impl RootPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let remedy = "write a plain absolute path, like \"/etc/motd\"";
        let Some(relative) = text.strip_prefix('/') else {
            return refused("a path inside the root starts with /", remedy);
        };
        if text.len() > 1024 {
            return refused("a path inside the root has at most 1024 bytes", remedy);
        }
        for part in relative.split('/') {
            if part.is_empty() || part == "." || part == ".." {
                return refused("a path inside the root has no empty part, no . and no ..", remedy);
            }
            if part.len() > 255 || part.contains(char::is_control) {
                return refused("a part of a path has at most 255 bytes and no control characters", remedy);
            }
        }
        let within = |place: &&&str| is_within(text, place);
        if let Some(place) = MOUNTED.iter().find(within) {
            return refused(
                format!("`{place}` is mounted over at boot, a file there would never be seen"),
                "put read-only files under /etc or /usr; what changes belongs to a container's volume",
            );
        }
        if let Some(place) = OWNED.iter().find(within) {
            return refused(
                format!("`{place}` belongs to the system"),
                "choose another path; the system writes this one itself",
            );
        }
        if let Some(place) = MOUNTED.iter().chain(OWNED).find(|p| is_within(p, text)) {
            return refused(
                format!("`{text}` must stay a folder, because `{place}` is in it"),
                "name the file inside the folder",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The path, with its leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the other path is this one or lies below it.
    pub fn holds(&self, other: &Self) -> bool {
        is_within(&other.0, &self.0)
    }
}

fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_and_free_places() {
        for (path, good) in [
            ("/etc/motd", true),
            ("/usr/share/x/y", true),
            ("/variable", true),
            ("/etc/passwd.d", true),
            ("/procfs", true),
            ("etc/motd", false),
            ("/", false),
            ("", false),
            ("//etc", false),
            ("/etc/../var/x", false),
            ("/etc/./x", false),
            ("/etc/x/", false),
            ("/etc/a\0b", false),
            ("/etc/a\nb", false),
            ("/etc/passwd", false),
            ("/etc/passwd/x", false),
            ("/sbin/init", false),
            ("/etc", false),
            ("/usr", false),
            ("/usr/lib", false),
            ("/usr/share/coracle/update/root.json", false),
            ("/proc", false),
            ("/sys/x", false),
            ("/dev/null", false),
            ("/run/x", false),
            ("/tmp/x", false),
            ("/var/lib/x", false),
        ] {
            assert_eq!(RootPath::parse(path).is_ok(), good, "{path:?}");
        }
        assert!(RootPath::parse(&format!("/{}", "a".repeat(256))).is_err());
        assert!(RootPath::parse(&"/aaaa".repeat(300)).is_err());
    }
}
