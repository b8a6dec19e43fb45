//! Paths inside an image's tree, followed as the kernel follows them with that tree as root.

use std::io::Read as _;

use coracle_tree::{Kind, Node, Tree};

/// Links on the way before the kernel gives up (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub struct Found<'t> {
    /// Where it really is: absolute, no link on the way.
    pub path: Vec<u8>,
    /// What is there.
    pub node: &'t Node,
}

/// Follows a path from the root, links included; `..` at the root stays there.
pub fn resolve<'t>(tree: &'t Tree, path: &[u8]) -> Option<Found<'t>> {
    let mut pending: Vec<Vec<u8>> = parts(path);
    let mut at: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(part) = pending.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        let (_, node) = tree.get(joined(&at))?;
        match node.kind() {
            Kind::Directory(_) => {}
            Kind::Symlink(target) => {
                links += 1;
                if links > LINKS {
                    return None;
                }
                at.pop();
                if target.as_bytes().starts_with(b"/") {
                    at.clear();
                }
                pending.extend(parts(target.as_bytes()));
            }
            // Something follows, if only a slash: that asks for a folder.
            _ if !pending.is_empty() => return None,
            _ => {}
        }
    }
    let path = joined(&at);
    let (_, node) = tree.get(&path)?;
    Some(Found { path, node })
}

/// The text of a small file; `None` if there is none. A file over the limit or not UTF-8 is none either.
pub fn text(tree: &Tree, path: &[u8], limit: u64) -> Option<String> {
    let found = resolve(tree, path)?;
    let Kind::Regular(content) = found.node.kind() else { return None };
    if content.len() > limit {
        return None;
    }
    let mut text = String::new();
    content.open().ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The parts of a path, last first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"/".to_vec(), parts.join(&b'/')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_tree::{Content, Meta, Mode};

    fn tree() -> Tree {
        let (dir, file, link) =
            (Meta::root(Mode::EXECUTABLE), Meta::root(Mode::READABLE), Meta::root(Mode::OPEN));
        let mut tree = Tree::new(dir.clone());
        tree.dir_all("usr/bin", &dir).unwrap();
        tree.file("usr/bin/app", file, Content::from(&b"app"[..])).unwrap();
        for (path, target) in [
            ("bin", "usr/bin"),
            ("abs", "/usr/bin/app"),
            ("out", "../../../usr/bin"),
            ("usr/up", "../bin"),
            ("loop", "loop"),
            ("gone", "nowhere"),
        ] {
            tree.symlink(path, link.clone(), target).unwrap();
        }
        tree
    }

    #[test]
    fn links_are_followed_and_never_leave_the_tree() {
        let tree = tree();
        let app = Some(b"/usr/bin/app".to_vec());
        for (path, want) in [
            ("/usr/bin/app", app.clone()),
            ("/bin/app", app.clone()),
            ("bin//./app", app.clone()),
            ("/abs", app.clone()),
            ("/out/app", app.clone()),
            ("/usr/up/app", app.clone()),
            ("/../../bin/app", app.clone()),
            ("/", Some(b"/".to_vec())),
            ("/bin/", Some(b"/usr/bin".to_vec())),
            ("/bin/app/", None),
            ("/bin/app/..", None),
            ("/loop", None),
            ("/gone", None),
            ("/missing", None),
        ] {
            assert_eq!(resolve(&tree, path.as_bytes()).map(|found| found.path), want, "{path}");
        }
    }

    #[test]
    fn text_is_bounded() {
        let tree = tree();
        assert_eq!(text(&tree, b"/abs", 3).as_deref(), Some("app"));
        assert_eq!(text(&tree, b"/abs", 2), None);
        assert_eq!(text(&tree, b"/bin", 9), None);
    }
}
