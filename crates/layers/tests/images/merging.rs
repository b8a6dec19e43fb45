//! What the OCI image specification says about layers that change one another.

use coracle_layers::{Image, Kind};

use crate::support::*;

fn merged(layers: &[Layer]) -> Vec<String> {
    paths(&merge(layers).unwrap().0)
}

fn text(image: &Image, spool: &[u8], name: &str) -> String {
    let Kind::Regular { content } = &image.rootfs.get(&path(name)).unwrap().kind else {
        panic!("not a file")
    };
    let range = content.offset as usize..(content.offset + content.len) as usize;
    String::from_utf8(spool[range].to_vec()).unwrap()
}

#[test]
fn three_media_types_make_the_same_tree() {
    let tar = archive(&[dir("./"), dir("./a/"), file("./a/f", "hello"), symlink("./s", "/a/f")]);
    let zstd = zstd::encode_all(&tar[..], 3).unwrap();
    for (kind, blob) in [(TAR, tar.clone()), (GZIP, gzip(&tar)), (ZSTD, zstd)] {
        let (image, spool) = merge(&[Layer(kind, blob, digest(&tar))]).unwrap();
        assert_eq!(paths(&image), ["a", "a/f", "s"]);
        assert_eq!(text(&image, &spool, "a/f"), "hello");
        assert_eq!(image.config.entrypoint, ["/app"]);
        assert_eq!(image.config.labels["k"], "v");
    }
}

#[test]
fn whiteouts_touch_lower_layers_only() {
    let lower = || plain(&[dir("a"), file("a/x", "1"), file("a/y", "1"), file("b", "1")]);
    for (upper, want) in [
        (vec![file("a/.wh.x", "")], vec!["a", "a/y", "b"]),
        (vec![file(".wh.a", "")], vec!["b"]),
        (vec![file(".wh.none", "")], vec!["a", "a/x", "a/y", "b"]),
        (vec![file("none/.wh.f", "")], vec!["a", "a/x", "a/y", "b"]),
        (vec![file("a/.wh..wh..opq", ""), file("a/z", "")], vec!["a", "a/z", "b"]),
        (vec![file("a/z", ""), file("a/.wh..wh..opq", "")], vec!["a", "a/z", "b"]),
        (vec![file(".wh..wh..opq", "")], vec![]),
        (vec![file("a/x", "2"), file("a/.wh.x", "")], vec!["a", "a/x", "a/y", "b"]),
        (vec![file(".wh.a", ""), file("a/new", "")], vec!["a", "a/new", "b"]),
        (vec![dir("b"), file("b/.wh..wh..opq", ""), file("b/c", "")], vec!["a", "a/x", "a/y", "b", "b/c"]),
    ] {
        assert_eq!(merged(&[lower(), plain(&upper)]), want);
    }
}

#[test]
fn replacement_rule() {
    let lower = || plain(&[dir("d"), file("d/f", "1"), symlink("s", "d"), file("f", "1")]);
    for (upper, want) in [
        (vec![file("d", "")], vec!["d", "f", "s"]),
        (vec![symlink("d", "x")], vec!["d", "f", "s"]),
        (vec![dir("d")], vec!["d", "d/f", "f", "s"]),
        (vec![dir("s"), file("s/new", "")], vec!["d", "d/f", "f", "s", "s/new"]),
        (vec![dir("f")], vec!["d", "d/f", "f", "s"]),
    ] {
        assert_eq!(merged(&[lower(), plain(&upper)]), want);
    }
}

#[test]
fn hard_links_share_one_inode_across_layers() {
    let lower = plain(&[file("a", "one"), symlink("s", "a")]);
    let upper = plain(&[link("./b", "./a"), link("c", "b"), link("t", "s")]);
    let (image, spool) = merge(&[lower, upper, plain(&[file("a", "two")])]).unwrap();
    let inode = |name| image.rootfs.get(&path(name)).unwrap().inode;
    assert_eq!((inode("b"), inode("s")), (inode("c"), inode("t")));
    assert_ne!(inode("a"), inode("b"));
    assert_eq!((text(&image, &spool, "a"), text(&image, &spool, "b")), ("two".into(), "one".into()));
}

#[test]
fn missing_parents_are_plain_directories() {
    let (image, _) = merge(&[plain(&[file("a/b/c", "")])]).unwrap();
    let parent = image.rootfs.get(&path("a/b")).unwrap();
    assert_eq!((parent.mode, parent.uid, parent.mtime), (0o755, 0, 0));
}

#[test]
fn pax_and_gnu_headers_describe_the_next_entry() {
    let long = "n".repeat(200);
    let (image, _) = merge(&[plain(&[
        pax(&[
            ("path", long.as_bytes()),
            ("uid", b"3000000"),
            ("mtime", b"9.25"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.security.capability", b"\x01\n=\0"),
        ]),
        file("short", ""),
        record(b'L', b"l", b"", 0, format!("{}\0", "g".repeat(150)).as_bytes()),
        file("x", ""),
    ])])
    .unwrap();
    let entry = image.rootfs.get(&path(&long)).unwrap();
    assert_eq!((entry.uid, entry.mtime), (3_000_000, 9));
    let want = [("security.capability", &b"\x01\n=\0"[..]), ("user.empty", b"")];
    assert_eq!(entry.xattrs, want.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())));
    assert_eq!(image.notes.file_capabilities, 1);
    let other = image.rootfs.get(&path(&"g".repeat(150))).unwrap();
    assert_eq!((other.uid, other.xattrs.len()), (0, 0));
}
