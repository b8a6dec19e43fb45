//! The root filesystem's tree.
//!
//! | path | what |
//! |---|---|
//! | `/usr/sbin/netd` | the network service; PID 1 itself is in the UKI |
//! | `/usr/sbin/updater`, `/usr/share/coracle/update/` | with `[update]`: the updater, its settings, root, authorities and boot manager |
//! | `/usr/lib/os-release`, `/etc/os-release` | what this is |
//! | `/etc/machine-id`, `/etc/hostname`, `/etc/resolv.conf` | links into `/run`: known only on the machine |
//! | `/etc/hosts` | `localhost` |
//! | `/proc /sys /dev /run /tmp /var` | empty, mounted over at boot |
//! | `/usr/share/coracle/images/DIGEST/` | embedded images, each unpacked |
//! | `/usr/share/coracle/services/`, `pods/` | start plans |
//!
//! The recipe's own files come last and never replace one of these.

use std::path::{Path, PathBuf};

use coracle_layout::paths;
use coracle_recipe::Recipe;
use coracle_runtime::plan::Plan;
use coracle_tree::{Content, Meta, Mode, Tree};

use crate::embedded::{self, Embedded};
use crate::plan::services;
use crate::{Error, osrelease};

const MOUNT_POINTS: [&str; 6] = ["proc", "sys", "dev", "run", "tmp", "var"];
const LINKS: [(&str, &str); 4] = [
    ("etc/os-release", "../usr/lib/os-release"),
    ("etc/machine-id", "/run/machine-id"),
    ("etc/hostname", "/run/hostname"),
    ("etc/resolv.conf", paths::RESOLV_CONF),
];
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// What goes into a root.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The network service, if there is one.
    pub netd: Option<&'a Path>,
    /// The updater, if the machine is kept up to date.
    pub updater: Option<&'a Path>,
    /// What it finds in its folder, by name.
    pub update: &'a [(&'static str, Vec<u8>)],
    /// Embedded images.
    pub images: &'a [Embedded],
    /// Start plans of services.
    pub services: &'a [Plan],
    /// Start plans of pods.
    pub pods: &'a [Plan],
    /// The recipe's own files: where each is on this machine, in the recipe's order.
    pub files: &'a [PathBuf],
}

/// The tree.
pub fn tree(contents: &Contents<'_>) -> Result<Tree, Error> {
    let (folder, file) = (Meta::root(Mode::EXECUTABLE), Meta::root(Mode::READABLE));
    let mut tree = Tree::new(folder.clone());
    for path in MOUNT_POINTS {
        tree.dir(path, folder.clone())?;
    }
    for path in ["etc", "usr/lib", "usr/sbin", paths::IMAGES, paths::SERVICES, paths::PODS] {
        tree.dir_all(path, &folder)?;
    }
    for (path, target) in LINKS {
        tree.symlink(path, Meta::root(Mode::OPEN), target)?;
    }
    tree.file("etc/hosts", file.clone(), Content::from(HOSTS.as_bytes()))?;
    let text = osrelease::text(contents.recipe);
    tree.file("usr/lib/os-release", file.clone(), Content::from(text.into_bytes()))?;
    if let Some(netd) = contents.netd {
        tree.file(services::NETD, folder.clone(), on_disk(netd)?)?;
    }
    if let Some(program) = contents.updater {
        tree.file(services::UPDATER, folder.clone(), on_disk(program)?)?;
        tree.dir_all(paths::UPDATE, &folder)?;
        for (name, bytes) in contents.update {
            let path = format!("{}/{name}", paths::UPDATE);
            tree.file(path, file.clone(), Content::from(bytes.as_slice()))?;
        }
    }
    for image in contents.images {
        let path = format!("{}/{}", paths::IMAGES, image.folder());
        if tree.get(&path).is_none() {
            tree.dir(&path, folder.clone())?;
            embedded::graft(&mut tree, &path, &image.tree)?;
        }
    }
    for (folder, plans) in [(paths::SERVICES, contents.services), (paths::PODS, contents.pods)] {
        for plan in plans {
            let name = plan.name.as_str();
            let bytes = plan.encode().map_err(|source| Error::Plan { name: name.to_owned(), source })?;
            let path = format!("{folder}/{name}.{}", paths::PLAN_EXTENSION);
            tree.file(path, file.clone(), Content::from(bytes))?;
        }
    }
    for (file, source) in contents.recipe.files.iter().zip(contents.files) {
        let path = file.path.as_str();
        if let Some((parent, _)) = path.rsplit_once('/') {
            tree.dir_all(parent, &folder)?;
        }
        tree.file(path, Meta::root(Mode::new(file.mode.bits().into())?), on_disk(source)?)?;
    }
    Ok(tree)
}

/// A whole file of this machine.
fn on_disk(path: &Path) -> Result<Content, Error> {
    let len = path.metadata().map_err(Error::file("look at", path))?.len();
    Ok(Content::File { path: path.to_owned(), offset: 0, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_tree::Kind;

    #[test]
    fn the_tree_is_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, b"\x7fELF").unwrap();
        let recipe = "name=\"edge\"\nversion=\"1.2.3\"\n[[files]]\nsource=\"motd\"\npath=\"/opt/x/motd\"\nmode=\"0600\"\n";
        let recipe = Recipe::parse(recipe, "coracle.toml").unwrap();
        let services = [services::netd("edge").unwrap()];
        let contents = Contents {
            recipe: &recipe,
            netd: Some(&program),
            updater: None,
            update: &[],
            images: &[],
            services: &services,
            pods: &[],
            files: std::slice::from_ref(&program),
        };
        let files = [("root.json", b"{}".to_vec())];
        let updated = Contents { updater: Some(&program), update: &files, ..contents };
        let updated = tree(&updated).unwrap();
        let tree = tree(&contents).unwrap();
        let mut found = Vec::new();
        for entry in tree.walk() {
            let path = String::from_utf8(entry.path).unwrap();
            match entry.node.kind() {
                Kind::Symlink(target) => {
                    found.push(format!("{path} -> {}", String::from_utf8_lossy(target.as_bytes())));
                }
                Kind::Regular(_) => found.push(format!("{path} {:o}", entry.node.meta().mode.bits())),
                _ => {}
            }
        }
        let want = [
            "etc/hostname -> /run/hostname",
            "etc/hosts 644",
            "etc/machine-id -> /run/machine-id",
            "etc/os-release -> ../usr/lib/os-release",
            "etc/resolv.conf -> /run/netd/resolv.conf",
            "opt/x/motd 600",
            "usr/lib/os-release 644",
            "usr/sbin/netd 755",
            "usr/share/coracle/services/netd.plan 644",
        ];
        assert_eq!(found, want);
        for (path, mode) in [("usr/sbin/updater", 0o755), ("usr/share/coracle/update/root.json", 0o644)] {
            assert_eq!(updated.get(path).unwrap().1.meta().mode.bits(), mode, "{path}");
            assert!(tree.get(path).is_none(), "{path}");
        }
        for path in MOUNT_POINTS {
            assert!(matches!(tree.get(path).unwrap().1.kind(), Kind::Directory(list) if list.is_empty()));
        }
    }
}
