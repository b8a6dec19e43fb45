//! `mounts`: sources, and options as `mount(8)` has them.

use std::{
    ffi::{CStr, CString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use coracle_fence::mounts::{Attributes, Propagation, Reach};
use coracle_runtime::{
    bundle::{Change, From, Ids, Mount, Spread, User},
    userns,
};
use oci_spec::runtime::{Mount as Named, Spec};

use super::{Error, invalid, owners, refused, spaces::maps, text};

/// What an option does to a mount's attributes.
struct Flag {
    name: &'static str,
    set: Attributes,
    clear: Attributes,
}

const fn sets(name: &'static str, set: Attributes) -> Flag {
    Flag { name, set, clear: Attributes::NONE }
}

const fn clears(name: &'static str, clear: Attributes) -> Flag {
    Flag { name, set: Attributes::NONE, clear }
}

const fn times(name: &'static str, set: Attributes) -> Flag {
    Flag { name, set, clear: Attributes::ATIME }
}

/// Those that have a recursive form with `r` before the name.
const FLAGS: [Flag; 17] = [
    sets("ro", Attributes::RDONLY),
    clears("rw", Attributes::RDONLY),
    sets("nosuid", Attributes::NOSUID),
    clears("suid", Attributes::NOSUID),
    sets("nodev", Attributes::NODEV),
    clears("dev", Attributes::NODEV),
    sets("noexec", Attributes::NOEXEC),
    clears("exec", Attributes::NOEXEC),
    sets("nodiratime", Attributes::NODIRATIME),
    clears("diratime", Attributes::NODIRATIME),
    sets("nosymfollow", Attributes::NOSYMFOLLOW),
    clears("symfollow", Attributes::NOSYMFOLLOW),
    times("noatime", Attributes::NOATIME),
    times("atime", Attributes::NONE),
    times("relatime", Attributes::NONE),
    times("strictatime", Attributes::STRICTATIME),
    times("norelatime", Attributes::STRICTATIME),
];
/// What `mount(8)` knows and no kernel heeds, or what is so anyway.
const NOTHING: [&str; 11] = [
    "defaults",
    "async",
    "loud",
    "silent",
    "mand",
    "nomand",
    "iversion",
    "noiversion",
    "nolazytime",
    "nostrictatime",
    "rnostrictatime",
];
/// Settings of a filesystem, which a bind does not have.
const SUPER: [&str; 3] = ["sync", "dirsync", "lazytime"];

/// A propagation by its name.
pub(super) fn spread(name: &str) -> Option<Spread> {
    let (reach, kind) = match name {
        "rshared" | "rslave" | "rprivate" | "runbindable" => (Reach::Tree, name.get(1..)?),
        name => (Reach::One, name),
    };
    let propagation = match kind {
        "shared" => Propagation::Shared,
        "slave" => Propagation::Slave,
        "private" => Propagation::Private,
        "unbindable" => Propagation::Unbindable,
        _ => return None,
    };
    Some(Spread { propagation, reach })
}

/// Names of all options that change something or are known to change nothing, for `features`.
pub fn options() -> Vec<String> {
    let flags = FLAGS.iter().flat_map(|flag| [flag.name.to_owned(), format!("r{}", flag.name)]);
    let spreads = ["shared", "slave", "private", "unbindable"].into_iter();
    let spreads = spreads.flat_map(|name| [name.to_owned(), format!("r{name}")]);
    let others = ["bind", "rbind", "idmap", "ridmap", "tmpcopyup"].into_iter().chain(NOTHING).chain(SUPER);
    let mut all: Vec<_> = flags.chain(spreads).chain(others.map(str::to_owned)).collect();
    all.sort();
    all
}

/// Whether a path of the host's is put there.
pub(super) fn bind_over(mounts: &[Mount], place: &CStr) -> bool {
    mounts.iter().any(|mount| mount.to.as_c_str() == place && matches!(mount.from, From::Bind { .. }))
}

pub(super) fn mounts(spec: &Spec, folder: &Path, user: &User) -> Result<Vec<Mount>, Error> {
    let named = spec.mounts().iter().flatten().enumerate();
    named.map(|(at, named)| mount(named, &format!("mounts[{at}]"), folder, user)).collect()
}

fn mount(named: &Named, property: &str, folder: &Path, user: &User) -> Result<Mount, Error> {
    if !named.destination().is_absolute() {
        return Err(invalid(format!("{property}.destination"), "an absolute path"));
    }
    let to = text(&format!("{property}.destination"), named.destination().as_os_str().as_bytes())?;
    let mut options = Options::default();
    let property = format!("{property}.options");
    for option in named.options().iter().flatten() {
        options.add(option, &property)?;
    }
    let source = named.source().as_deref();
    let from = match (options.bind, named.typ().as_deref()) {
        (Some(reach), _) => bind(source, reach, folder, &property)?,
        (None, Some("bind")) => bind(source, Reach::One, folder, &property)?,
        (None, None | Some("" | "none")) => return Err(invalid(property, "bind or rbind, without a type")),
        (None, Some(kind)) => new(kind, source, &options, user, &property)?,
    };
    let copy_up = options.copy_up;
    if copy_up && !matches!(&from, From::New { kind, .. } if kind.as_c_str() == c"tmpfs") {
        return Err(invalid(property, "tmpcopyup for a tmpfs alone"));
    }
    let idmap = match options.idmap {
        None => None,
        Some(reach) => Some((idmap(named, user, &property)?, reach)),
    };
    Ok(Mount { to, from, one: options.one, tree: options.tree, spread: options.spread, idmap, copy_up })
}

#[derive(Default)]
struct Options {
    bind: Option<Reach>,
    one: Change,
    tree: Change,
    spread: Option<Spread>,
    idmap: Option<Reach>,
    copy_up: bool,
    /// Those of the filesystem itself.
    settings: Vec<String>,
}

impl Options {
    fn add(&mut self, option: &str, property: &str) -> Result<(), Error> {
        match option {
            "bind" => self.bind = self.bind.or(Some(Reach::One)),
            "rbind" => self.bind = Some(Reach::Tree),
            "idmap" => self.idmap = Some(Reach::One),
            "ridmap" => self.idmap = Some(Reach::Tree),
            "tmpcopyup" => self.copy_up = true,
            "remount" => return Err(refused(property, "nothing is mounted twice here")),
            _ if NOTHING.contains(&option) => {}
            _ => {
                if let Some(spread) = spread(option) {
                    self.spread = Some(spread);
                } else if let Some(flag) = find(option) {
                    self.one = with(self.one, flag);
                } else if let Some(flag) = option.strip_prefix('r').and_then(find) {
                    self.tree = with(self.tree, flag);
                } else {
                    self.settings.push(option.to_owned());
                }
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The later option counts.
fn with(change: Change, flag: &Flag) -> Change {
    let touched = flag.set.and(flag.clear);
    Change {
        set: change.set.without(touched).and(flag.set),
        clear: change.clear.without(flag.set.without(flag.clear)).and(flag.clear),
    }
}

fn bind(source: Option<&Path>, reach: Reach, folder: &Path, property: &str) -> Result<From, Error> {
    let source = source.ok_or_else(|| invalid(property, "a source for what is bound"))?;
    let path = text(property, folder.join(source).as_os_str().as_bytes())?;
    Ok(From::Bind { path, reach })
}

fn new(
    kind: &str,
    source: Option<&Path>,
    options: &Options,
    user: &User,
    property: &str,
) -> Result<From, Error> {
    let mut settings: Vec<(CString, Option<CString>)> = Vec::new();
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    if let Some(source) = source.filter(|source| !source.as_os_str().is_empty()) {
        settings.push((c"source".to_owned(), Some(text(property, source.as_os_str().as_bytes())?)));
    }
    // What is mounted is mounted by the host's root, who owns it unless something else is said.
    let (uid, gid) = owners(user, property, 0, 0)?;
    if kind == "tmpfs" && user.ids().is_some() {
        settings.push((c"uid".to_owned(), Some(text(property, uid.to_string())?)));
        settings.push((c"gid".to_owned(), Some(text(property, gid.to_string())?)));
    }
    for option in &options.settings {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option.as_str(), None),
        };
        let value = match (name, value) {
            ("uid" | "gid", Some(value)) if user.ids().is_some() => {
                Some(outside(user, name, value, property)?)
            }
            (_, value) => value.map(str::to_owned),
        };
        let value = value.map(|value| text(property, value)).transpose()?;
        settings.push((text(property, name)?, value));
    }
    Ok(From::New { kind: text(property, kind)?, settings })
}

fn outside(user: &User, name: &str, value: &str, property: &str) -> Result<String, Error> {
    let id: u32 = value.parse().map_err(|_| invalid(property, format!("a number for {name}")))?;
    let (uid, gid) = match name {
        "uid" => owners(user, property, id, 0)?,
        _ => owners(user, property, 0, id)?,
    };
    Ok(if name == "uid" { uid } else { gid }.to_string())
}

/// The mount's own ids, or the container's.
fn idmap(named: &Named, user: &User, property: &str) -> Result<std::os::fd::OwnedFd, Error> {
    let failed = |source| Error::UserNamespace { property: property.to_owned(), source };
    let own = [named.uid_mappings(), named.gid_mappings()].iter().any(|maps| maps.is_some());
    let ids = match (own, user.ids()) {
        (false, Some(ids)) => ids.clone(),
        _ => Ids {
            users: maps(property, named.uid_mappings().as_ref())?,
            groups: maps(property, named.gid_mappings().as_ref())?,
        },
    };
    userns::create_with(&ids, Default::default()).map(|(user, _)| user).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(mount: &str) -> Result<Mount, Error> {
        let named: Named = serde_json::from_str(mount).unwrap();
        super::mount(&named, "mounts[0]", Path::new("/bundle"), &User::Host)
    }

    #[test]
    fn the_later_option_counts() {
        let options = |options: &[&str]| {
            let mut all = Options::default();
            options.iter().for_each(|option| all.add(option, "").unwrap());
            (all.one, all.tree)
        };
        let (ro, noexec) = (Attributes::RDONLY, Attributes::NOEXEC);
        let change = |set, clear| Change { set, clear };
        let none = Change::default();
        for (given, one, tree) in [
            (&["ro", "noexec"][..], change(ro.and(noexec), Attributes::NONE), none),
            (&["ro", "rw"], change(Attributes::NONE, ro), none),
            (&["rw", "ro"], change(ro, Attributes::NONE), none),
            (&["rro", "exec"], change(Attributes::NONE, noexec), change(ro, Attributes::NONE)),
            (&["noatime", "strictatime"], change(Attributes::STRICTATIME, Attributes::ATIME), none),
            (&["noatime", "relatime"], change(Attributes::NONE, Attributes::ATIME), none),
            (&["defaults", "async", "mand"], none, none),
        ] {
            assert_eq!(options(given), (one, tree), "{given:?}");
        }
    }

    #[test]
    fn sources_and_settings() {
        let bind =
            lowered(r#"{"destination": "/a", "source": "data", "options": ["rbind", "rslave"]}"#).unwrap();
        assert!(
            matches!(&bind.from, From::Bind { path, reach: Reach::Tree } if path.as_c_str() == c"/bundle/data")
        );
        assert_eq!(bind.spread, Some(Spread { propagation: Propagation::Slave, reach: Reach::Tree }));
        let tmpfs = lowered(
            r#"{"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=65536k", "mode=755", "noswap"]}"#,
        )
        .unwrap();
        let From::New { kind, settings } = tmpfs.from else { panic!() };
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| {
                (name.to_str().unwrap(), value.as_ref().map(|value| value.to_str().unwrap()))
            })
            .collect();
        let want =
            [("source", Some("tmpfs")), ("size", Some("65536k")), ("mode", Some("755")), ("noswap", None)];
        assert_eq!((kind.as_c_str(), &settings[..]), (c"tmpfs", &want[..]));
        for refused in [
            r#"{"destination": "a", "type": "tmpfs"}"#,
            r#"{"destination": "/a"}"#,
            r#"{"destination": "/a", "type": "bind"}"#,
            r#"{"destination": "/a", "type": "proc", "options": ["tmpcopyup"]}"#,
            r#"{"destination": "/a", "type": "tmpfs", "options": ["remount"]}"#,
            r#"{"destination": "/a", "source": "b", "options": ["bind", "idmap"]}"#,
            r#"{"destination": "/a\u0000", "type": "tmpfs"}"#,
        ] {
            assert!(lowered(refused).is_err(), "{refused}");
        }
    }
}
