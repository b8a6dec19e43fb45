//! Layers that try to break out, to confuse or to exhaust. Each test is named for its attack.

use coracle_layers::{Limits, Request, SpecialFiles};
use proptest::prelude::*;

use crate::support::*;

/// One test per attack: the records of a single layer, and what the refusal must say.
macro_rules! refused {
    ($($name:ident: [$($record:expr),* $(,)?] => $want:expr;)*) => {$(
        #[test]
        fn $name() {
            let layer = plain(&[$($record),*]);
            let digest = digest(&layer.1);
            let error = refusal(&[layer]);
            assert!(error.contains($want), "{error}");
            assert!(error.contains(&digest), "the layer is not named: {error}");
            assert!(error.contains("entry"), "the entry is not named: {error}");
        }
    )*};
}

refused! {
    absolute_path: [file("/etc/passwd", "x")] => "absolute path";
    dot_dot_at_start: [file("../escape", "x")] => "`..`";
    dot_dot_inside: [dir("a/"), file("a/../../b", "x")] => "`..`";
    dot_dot_behind_dot: [file("./../b", "x")] => "`..`";
    file_below_symlink: [symlink("a", "/etc"), file("a/passwd", "x")] => "parent is not a directory but a symbolic link";
    file_below_symlink_to_dot: [symlink("a", "."), file("a/b/c", "x")] => "symbolic link";
    file_below_file: [file("a", ""), file("a/b", "x")] => "regular file";
    root_replaced_by_symlink: [symlink("./", "/etc")] => "root must be a directory";
    hard_link_outside: [link("a", "../../etc/shadow")] => "`..`";
    hard_link_absolute: [link("a", "/etc/shadow")] => "absolute path";
    hard_link_missing: [link("a", "nothing")] => "is missing";
    hard_link_to_itself: [link("a", "a")] => "is missing";
    hard_link_to_directory: [dir("d/"), link("a", "d")] => "is a directory";
    hard_link_through_symlink: [symlink("s", "/etc"), link("a", "s/shadow")] => "symbolic link";
    character_device: [record(b'3', b"null", b"", 0o666, b"")] => "character device refused by policy";
    block_device: [record(b'4', b"sda", b"", 0o666, b"")] => "block device refused by policy";
    fifo: [record(b'6', b"pipe", b"", 0o666, b"")] => "fifo refused by policy";
    unknown_record_type: [record(b'Z', b"odd", b"", 0o644, b"")] => "record type";
    gnu_sparse_record: [record(b'S', b"sparse", b"", 0o644, b"")] => "record type";
    symlink_without_target: [symlink("a", "")] => "empty name";
    directory_with_data: [record(b'5', b"d", b"", 0o755, b"x")] => "unexpected data";
    regular_file_named_as_directory: [file("a/", "x")] => "name ending";
    long_name_in_pax: [pax(&[("path", &[b'a'; 256])]), file("x", "")] => "name longer than 255";
    long_path_in_pax: [pax(&[("path", &b"ab/".repeat(1400))]), dir("x")] => "path longer than 4095";
    long_path_in_gnu_header: [record(b'L', b"l", b"", 0, &b"ab/".repeat(1400)), file("x", "")] => "path longer than 4095";
    long_symlink_target: [pax(&[("linkpath", &[b'a'; 4096])]), symlink("x", "y")] => "path longer than 4095";
    nul_in_pax_path: [pax(&[("path", b"a\0b")]), file("x", "")] => "NUL";
    absolute_path_in_pax: [pax(&[("path", b"/a")]), file("x", "")] => "absolute path";
    pax_size_larger: [pax(&[("size", b"1024")]), file("x", "abc")] => "contradicts header size 3";
    pax_size_smaller: [pax(&[("size", b"0")]), file("x", "abc")] => "contradicts header size 3";
    pax_size_overflow: [pax(&[("size", b"99999999999999999999")]), file("x", "abc")] => "malformed PAX";
    pax_repeated_key: [pax(&[("path", b"a"), ("path", b"b")]), file("x", "")] => "repeated key";
    pax_sparse: [pax(&[("GNU.sparse.major", b"1")]), file("x", "")] => "sparse";
    pax_header_bomb: [record(b'x', b"p", b"", 0, &[b'0'; 300_000]), file("x", "")] => "extension header";
    two_pax_headers: [pax(&[("uid", b"1")]), pax(&[("uid", b"2")]), file("x", "")] => "two extension headers";
    two_long_names: [record(b'L', b"l", b"", 0, b"a\0"), pax(&[("path", b"b")]), file("x", "")] => "two extension headers";
    global_pax_renames_everything: [record(b'g', b"g", b"", 0, b"9 path=a\n"), file("x", "")] => "global header";
    dangling_pax_header: [file("x", ""), pax(&[("path", b"a")])] => "without an entry";
    uid_out_of_range: [pax(&[("uid", b"4294967296")]), file("x", "")] => "bad uid";
    xattr_overlay_redirect: [pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/etc")]), dir("x")] => "not allowed";
    xattr_overlay_user: [pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")]), dir("x")] => "not allowed";
    xattr_unknown_namespace: [pax(&[("SCHILY.xattr.other.x", b"y")]), dir("x")] => "not allowed";
    xattr_too_large: [pax(&[("SCHILY.xattr.user.x", &[0; 65537])]), dir("x")] => "extended attribute value";
    whiteout_of_dot_dot: [file("a/.wh...", "")] => "reserved";
    whiteout_of_dot: [file("a/.wh..", "")] => "reserved";
    whiteout_of_nothing: [file("a/.wh.", "")] => "reserved";
    whiteout_as_directory: [dir(".wh.a/"), file(".wh.a/b", "")] => "reserved";
    whiteout_as_symlink: [symlink(".wh.a", "b")] => "reserved";
    whiteout_with_data: [file(".wh.a", "x")] => "unexpected data";
    whiteout_aufs_metadata: [file(".wh..wh.plnk", "")] => "reserved";
    too_deep: [pax(&[("path", &b"a/".repeat(129))]), dir("x")] => "depth";
}

#[test]
fn too_many_xattrs() {
    let names: Vec<String> = (0..129).map(|n| format!("SCHILY.xattr.user.{n}")).collect();
    let pairs: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refusal(&[plain(&[pax(&pairs), file("x", "")])]).contains("extended attributes of one entry"));
}

#[test]
fn upper_file_below_lower_symlink() {
    let error = refusal(&[plain(&[symlink("a", "/etc")]), plain(&[file("a/passwd", "x")])]);
    assert!(error.contains("symbolic link") && error.contains("a/passwd"), "{error}");
}

#[test]
fn upper_file_below_lower_file() {
    assert!(refusal(&[plain(&[file("a", "")]), plain(&[file("a/b", "x")])]).contains("regular file"));
}

#[test]
fn whiteout_through_lower_symlink() {
    let lower = || plain(&[dir("d"), file("d/f", ""), symlink("s", "d")]);
    for marker in ["s/.wh.f", "s/.wh..wh..opq"] {
        assert!(refusal(&[lower(), plain(&[file(marker, "")])]).contains("symbolic link"), "{marker}");
    }
}

#[test]
fn hard_link_to_lower_file_whited_out_by_the_same_layer() {
    for upper in [[link("b", "a"), file(".wh.a", "")], [file(".wh.a", ""), link("b", "a")]] {
        assert!(refusal(&[plain(&[file("a", "x")]), plain(&upper)]).contains("is missing"));
    }
}

#[test]
fn hard_link_through_lower_symlink() {
    let lower = plain(&[dir("d"), file("d/f", ""), symlink("s", "d")]);
    assert!(refusal(&[lower, plain(&[link("b", "s/f")])]).contains("is missing"));
}

#[test]
fn omitted_device_is_counted_and_still_hides() {
    let layers = [plain(&[file("a", "x")]), plain(&[record(b'3', b"a", b"", 0o600, b"")])];
    let request = Request { special: SpecialFiles::Omit, ..Request::default() };
    let (image, _) = open(layout(&layers).path(), &request).unwrap();
    assert_eq!((image.notes.omitted, paths(&image).len()), (1, 0));
}

#[test]
fn truncated_gzip() {
    let tar = archive(&[file("a", &"x".repeat(5000))]);
    let whole = gzip(&tar);
    for cut in [5, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let error = refusal(&[Layer(GZIP, whole[..cut].to_vec(), digest(&tar))]);
        assert!(error.contains("damaged stream"), "{cut}: {error}");
    }
}

#[test]
fn garbage_behind_gzip() {
    let tar = archive(&[file("a", "x")]);
    let blob = [gzip(&tar), b"garbage behind the member".to_vec()].concat();
    assert!(refusal(&[Layer(GZIP, blob, digest(&tar))]).contains("damaged stream"));
}

#[test]
fn truncated_zstd_and_garbage_behind() {
    let tar = archive(&[file("a", &"x".repeat(5000))]);
    let whole = zstd::encode_all(&tar[..], 3).unwrap();
    let cut = whole[..whole.len() - 3].to_vec();
    assert!(refusal(&[Layer(ZSTD, cut, digest(&tar))]).contains("damaged stream"));
    let tail = [whole, b"garbage behind".to_vec()].concat();
    assert!(refusal(&[Layer(ZSTD, tail, digest(&tar))]).contains("damaged stream"));
}

#[test]
fn garbage_behind_the_archive() {
    let bytes = [archive(&[file("a", "x")]), file("hidden", "second archive")].concat();
    let diff_id = digest(&bytes);
    assert!(refusal(&[Layer(TAR, bytes, diff_id)]).contains("trailing garbage"));
}

#[test]
fn truncated_tar() {
    let bytes = archive(&[file("a", &"x".repeat(5000))])[..3000].to_vec();
    let diff_id = digest(&bytes);
    assert!(refusal(&[Layer(TAR, bytes, diff_id)]).contains("damaged stream"));
}

#[test]
fn diff_id_of_another_stream() {
    let tar = archive(&[file("a", "x")]);
    assert!(refusal(&[Layer(GZIP, gzip(&tar), digest(b"other"))]).contains("diff ID mismatch"));
}

#[test]
fn media_types_that_are_refused() {
    for kind in ["application/vnd.oci.image.layer.nondistributable.v1.tar", "text/plain"] {
        let Layer(_, blob, diff_id) = plain(&[]);
        assert!(refusal(&[Layer(kind, blob, diff_id)]).contains("not supported"));
    }
}

/// Each limit is hit alone by an image that passes with the defaults.
#[test]
fn bombs_hit_each_limit() {
    let many: Vec<_> = (0..50).map(|n| file(&format!("d/{n}"), "x")).collect();
    let tar = archive(&[many, vec![file("big", &"\0".repeat(1 << 20))]].concat());
    let bomb = || [Layer(GZIP, gzip(&tar), digest(&tar))];
    assert!(merge(&bomb()).is_ok());
    let all = Limits::default();
    for (limits, want) in [
        (Limits { layer_compressed: 1000, ..all }, "layer_compressed"),
        (Limits { layer_decompressed: 1 << 19, ..all }, "layer_decompressed"),
        (Limits { content_bytes: 1 << 20, ..all }, "content_bytes"),
        (Limits { entries: 50, ..all }, "entries"),
        (Limits { metadata_bytes: 100, ..all }, "metadata_bytes"),
        (Limits { depth: 1, ..all }, "depth"),
        (Limits { layers: 0, ..all }, "too many layers"),
        (Limits { json_bytes: 100, ..all }, "limit 100"),
        (Limits { documents: 0, ..all }, "too many manifests"),
    ] {
        let request = Request { limits, ..Request::default() };
        let error = open(layout(&bomb()).path(), &request).unwrap_err().to_string();
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn implicit_directories_are_paid_for() {
    let deep = "d/".repeat(40) + "f";
    let limits = Limits { entries: 20, ..Limits::default() };
    let dir = layout(&[plain(&[file(&deep, "")])]);
    let error = open(dir.path(), &Request { limits, ..Request::default() }).unwrap_err().to_string();
    assert!(error.contains("limit exceeded: entries"), "{error}");
}

#[test]
fn setuid_is_kept_and_counted() {
    let (image, _) = merge(&[plain(&[record(b'0', b"su", b"", 0o4755, b"x")])]).unwrap();
    assert_eq!((image.notes.set_id, image.rootfs.get(&path("su")).unwrap().mode), (1, 0o4755));
}

fn survives(kind: &'static str, blob: Vec<u8>) {
    let diff_id = digest(&blob);
    // Refused or accepted, the merged tree must hold its own law: each parent is a directory.
    if let Ok((image, spool)) = merge(&[plain(&[dir("a"), symlink("s", "a")]), Layer(kind, blob, diff_id)]) {
        for (path, entry) in image.rootfs.iter() {
            if let Some(parent) = path.parent() {
                assert_eq!(image.rootfs.get(&parent).unwrap().kind, coracle_layers::Kind::Directory);
            }
            if let coracle_layers::Kind::Regular { content } = &entry.kind {
                assert!(content.offset + content.len <= spool.len() as u64);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_bytes_never_panic(blob in prop::collection::vec(any::<u8>(), 0..2048), kind in 0..3usize) {
        survives([TAR, GZIP, ZSTD][kind], blob);
    }

    #[test]
    fn arbitrary_records_keep_the_law(records in prop::collection::vec(
        ("[0-7xgLKS]", "[./as]{1,6}|(a/|s/)?\\.wh\\.[.a-s]{0,3}", "[./as]{0,4}", any::<u16>(), "[0-9 =a-z\n]{0,20}"), 0..12,
    )) {
        let records: Vec<_> = records.iter().map(|(kind, name, link, mode, data)| {
            record(kind.as_bytes()[0], name.as_bytes(), link.as_bytes(), u32::from(*mode), data.as_bytes())
        }).collect();
        survives(TAR, archive(&records));
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0..4096usize, with in any::<u8>()) {
        let mut blob = archive(&[dir("a"), pax(&[("path", b"b/c")]), file("f", "data"), link("l", "f")]);
        let at = at % blob.len();
        blob[at] ^= with;
        survives(TAR, blob);
    }
}
