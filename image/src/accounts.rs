//! Users and groups of an image, from its `/etc/passwd` and `/etc/group`.
//!
//! Lines are those of passwd(5) and group(5). A line that is not well formed names nobody, as in the C library; the
//! first of several with one name or number counts.

use coracle_tree::Tree;

use crate::inside;

/// Longest account file that is read.
const LIMIT: u64 = 1 << 20;
/// Most supplementary groups (`NGROUPS_MAX` is 65536; a start plan's list is shorter).
const GROUPS: usize = 1024;

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Home folder, if the user has one.
    pub home: Option<String>,
}

/// A user or group that the image does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the image has no {kind} \"{name}\"")]
pub struct Unknown {
    /// "user" or "group".
    pub kind: &'static str,
    /// The name that was looked for.
    pub name: String,
}

/// Who the manifest wants the process to be; empty leaves it to the image.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// `runAsUser`
    pub user: Option<u32>,
    /// `runAsGroup`
    pub group: Option<u32>,
}

/// The account files of one image.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Reads the files of a tree; missing ones are empty.
    pub fn of(tree: &Tree) -> Self {
        let text = |path: &[u8]| inside::text(tree, path, LIMIT).unwrap_or_default();
        Self::parse(&text(b"/etc/passwd"), &text(b"/etc/group"))
    }

    fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(self::group).collect(),
        }
    }

    /// The account for an image's `User` (`name`, `uid`, each optionally with `:group` or `:gid`) and a manifest's wishes.
    ///
    /// As Kubernetes' runtimes do it: the manifest's numbers win; without a group the user's own counts, or 0 for a number
    /// that the image does not know; supplementary groups are those that list the user, unless the image names a group.
    pub fn find(&self, spec: &str, wanted: Wanted) -> Result<Account, Unknown> {
        let (name, group) = match (wanted.user, spec.split_once(':')) {
            (Some(uid), _) => (uid.to_string(), None),
            (None, Some((name, group))) => (name.to_owned(), Some(group).filter(|group| !group.is_empty())),
            (None, None) => (spec.to_owned(), None),
        };
        let name = if name.is_empty() { "0" } else { &name };
        let number: Option<u32> = name.parse().ok();
        let user = self.users.iter().find(|user| match number {
            Some(uid) => user.uid == uid,
            None => user.name == name,
        });
        let uid = match (number, user) {
            (Some(uid), _) => uid,
            (None, Some(user)) => user.uid,
            (None, None) => return Err(Unknown { kind: "user", name: name.to_owned() }),
        };
        let gid = match (wanted.group, group) {
            (Some(gid), _) => gid,
            (None, Some(group)) => self.gid(group)?,
            (None, None) => user.map_or(0, |user| user.gid),
        };
        let lists = |group: &&Group| user.is_some_and(|user| group.members.contains(&user.name));
        let mut groups: Vec<u32> = match group {
            Some(_) => Vec::new(),
            None => self.groups.iter().filter(lists).map(|group| group.gid).take(GROUPS).collect(),
        };
        groups.sort_unstable();
        groups.dedup();
        let home = user.map(|user| user.home.clone()).filter(|home| home.starts_with('/'));
        Ok(Account { uid, gid, groups, home })
    }

    fn gid(&self, text: &str) -> Result<u32, Unknown> {
        let found = || self.groups.iter().find(|group| group.name == text).map(|group| group.gid);
        text.parse().ok().or_else(found).ok_or_else(|| Unknown { kind: "group", name: text.to_owned() })
    }
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, _] = fields[..] else { return None };
    let named = !name.is_empty() && !name.starts_with(['+', '-', '#']);
    named.then_some(())?;
    Some(User { name: name.into(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.into() })
}

fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    (!name.is_empty()).then_some(())?;
    Some(Group { name: name.into(), gid: gid.parse().ok()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\n# comment\nbad line\nweb:x:100:101:Web:/srv:/bin/false\nlost:x:9:9::rel:/x\n",
            "root:x:0:\nwww:x:101:\nlogs:x:102:root,web\nbroken:x:nine:web\ntape:x:26:web\n",
        )
    }

    #[test]
    fn users_are_found_as_container_engines_find_them() {
        let wanted = |user, group| Wanted { user, group };
        for (spec, who, want) in [
            ("", wanted(None, None), (0, 0, vec![102], Some("/root"))),
            ("web", wanted(None, None), (100, 101, vec![26, 102], Some("/srv"))),
            ("100", wanted(None, None), (100, 101, vec![26, 102], Some("/srv"))),
            ("web:logs", wanted(None, None), (100, 102, vec![], Some("/srv"))),
            ("web:7", wanted(None, None), (100, 7, vec![], Some("/srv"))),
            ("web:", wanted(None, None), (100, 101, vec![26, 102], Some("/srv"))),
            ("4000", wanted(None, None), (4000, 0, vec![], None)),
            ("lost", wanted(None, None), (9, 9, vec![], None)),
            ("web", wanted(Some(0), None), (0, 0, vec![102], Some("/root"))),
            ("web:logs", wanted(Some(100), None), (100, 101, vec![26, 102], Some("/srv"))),
            ("web", wanted(Some(5), Some(6)), (5, 6, vec![], None)),
            ("web", wanted(None, Some(6)), (100, 6, vec![26, 102], Some("/srv"))),
        ] {
            let got = accounts().find(spec, who).unwrap();
            let got = (got.uid, got.gid, got.groups, got.home);
            assert_eq!(got, (want.0, want.1, want.2, want.3.map(String::from)), "{spec} {who:?}");
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for (spec, kind, name) in
            [("nobody", "user", "nobody"), ("web:nogroup", "group", "nogroup"), ("-1", "user", "-1")]
        {
            let want = Unknown { kind, name: name.into() };
            assert_eq!(accounts().find(spec, Wanted::default()), Err(want), "{spec}");
        }
        let none = Accounts::parse("", "");
        assert_eq!(none.find("", Wanted::default()).map(|account| account.uid), Ok(0));
    }
}
