use super::*;
use coracle_layers::{Files, PackRequest, pack};
use coracle_recipe::Recipe;
use std::fs;
use std::os::unix::fs::symlink;

/// Packs a folder made by `fill` and loads it under the rest of an `[[images]]` table.
fn load_packed(fill: impl FnOnce(&Path), reference: Option<&str>, table: &str) -> Result<Embedded, Error> {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fill(&files);
    let layout = folder.path().join("layout");
    let request = PackRequest {
        files: Files::Folder(files),
        config: Config { entrypoint: vec!["/app".into()], ..Config::default() },
        reference: reference.map(str::to_owned),
    };
    pack(&request, &layout).unwrap();
    let text = format!("name=\"x\"\nversion=\"1.0.0\"\n[[images]]\npath=\"layout\"\n{table}");
    let recipe = Recipe::parse(&text, "coracle.toml").unwrap();
    load(&recipe.images[0], &layout, &folder.path().join("spool"))
}

#[test]
fn an_image_becomes_a_tree_with_mount_points() {
    let fill = |files: &Path| {
        fs::create_dir(files.join("dev")).unwrap();
        fs::write(files.join("app"), b"program").unwrap();
        symlink("app", files.join("link")).unwrap();
    };
    let image = load_packed(fill, Some("app:1"), "").unwrap();
    assert_eq!((image.reference.as_str(), image.folder().len()), ("app:1", 16));
    assert!(image.digest.contains(image.folder()));
    for name in ["proc", "sys", "dev"] {
        let (_, node) = image.tree.get(name).unwrap();
        assert!(matches!(node.kind(), coracle_tree::Kind::Directory(_)), "{name}");
    }
    let mut root = Tree::new(Meta::root(Mode::EXECUTABLE));
    root.dir("image", Meta::root(Mode::EXECUTABLE)).unwrap();
    graft(&mut root, "image", &image.tree).unwrap();
    let paths = root.walk().map(|entry| String::from_utf8(entry.path).unwrap()).collect::<Vec<_>>();
    let want = " image image/app image/dev image/etc image/etc/hostname image/etc/hosts image/etc/resolv.conf \
                image/link image/proc image/sys";
    assert_eq!(paths.join(" "), want);
}

#[test]
fn hard_links_stay_one_file() {
    let file = Meta::root(Mode::READABLE);
    let mut image = Tree::new(Meta::root(Mode::EXECUTABLE));
    image.file("a", file, Content::from(&b"1"[..])).unwrap();
    image.link("b", "a").unwrap();
    let mut root = Tree::new(Meta::root(Mode::EXECUTABLE));
    root.dir("i", Meta::root(Mode::EXECUTABLE)).unwrap();
    graft(&mut root, "i", &image).unwrap();
    let (a, node) = root.get("i/a").unwrap();
    assert_eq!((root.get("i/b").unwrap().0, node.names()), (a, 2));
}

#[test]
fn mount_points_that_are_no_folders_are_refused() {
    let file = load_packed(|files| fs::write(files.join("proc"), b"").unwrap(), Some("a"), "");
    assert!(matches!(file, Err(Error::MountPoint { place: "proc", .. })), "{file:?}");
    let link = load_packed(|files| symlink("/tmp", files.join("dev")).unwrap(), Some("a"), "");
    assert!(matches!(link, Err(Error::MountPoint { place: "dev", .. })), "{link:?}");
}

#[test]
fn names_and_pins_are_held() {
    let none = load_packed(|_| (), None, "");
    assert!(matches!(none, Err(Error::ImageUnnamed { .. })), "{none:?}");
    let named = load_packed(|_| (), Some("inner"), "name = \"outer\"").unwrap();
    assert_eq!(named.reference, "outer", "the recipe's name wins");
    let digest = &named.digest;
    load_packed(|_| (), Some("inner"), &format!("digest = \"{digest}\"")).unwrap();
    let other = format!("digest = \"sha256:{}\"", "0".repeat(64));
    let wrong = load_packed(|_| (), Some("inner"), &other);
    assert!(matches!(wrong, Err(Error::ImageDigest { .. })), "{wrong:?}");
}
