//! Layouts we write: stable bytes, read back whole, and valid to another reader.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use coracle_layers::{Config, Error, Files, Kind, PackRequest, Request, pack};

use crate::support::{open, path, paths};

fn request(files: Files) -> PackRequest {
    let config = Config {
        entrypoint: vec!["/bin/app".into()],
        cmd: vec!["--serve".into()],
        env: vec!["PATH=/bin".into()],
        working_dir: "/".into(),
        user: "1000".into(),
        stop_signal: Some("SIGTERM".into()),
        exposed_ports: vec!["443/tcp".into(), "80/tcp".into()],
        labels: BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]),
    };
    PackRequest { files, config, reference: Some("test".into()) }
}

fn folder(root: &Path) -> Files {
    fs::create_dir_all(root.join("bin/deep")).unwrap();
    fs::write(root.join("bin/app"), b"#!binary").unwrap();
    fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(root.join("bin/deep").join("n".repeat(150)), b"long").unwrap();
    symlink("app", root.join("bin/alias")).unwrap();
    Files::Folder(root.to_owned())
}

/// Relative name to bytes of every file below a folder.
fn bytes_of(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in ["oci-layout", "index.json"] {
        found.insert(name.to_owned(), fs::read(root.join(name)).unwrap());
    }
    for entry in fs::read_dir(root.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        found.insert(entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    }
    found
}

#[test]
fn a_folder_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(folder(&dir.path().join("in")));
    let packed = pack(&request, &dir.path().join("out")).unwrap();
    let (image, spool) = open(&dir.path().join("out"), &Request::default()).unwrap();
    assert_eq!(image.manifest_digest, packed.manifest_digest);
    assert_eq!(image.config, request.config);
    let long = format!("bin/deep/{}", "n".repeat(150));
    assert_eq!(paths(&image), ["bin", "bin/alias", "bin/app", "bin/deep", &long]);
    let app = image.rootfs.get(&path("bin/app")).unwrap();
    assert_eq!((app.mode, app.uid, app.mtime), (0o755, 0, 0));
    let Kind::Regular { content } = app.kind else { panic!("not a file") };
    assert_eq!(&spool[content.offset as usize..][..content.len as usize], b"#!binary");
    assert_eq!(image.rootfs.get(&path("bin/alias")).unwrap().kind, Kind::Symlink { target: b"app".to_vec() });
}

#[test]
fn a_binary_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let source = fs::canonicalize("/bin/sh").unwrap();
    let files = Files::Binary { source: source.clone(), target: "usr/bin/app".into() };
    pack(&request(files), &dir.path().join("out")).unwrap();
    let (image, spool) = open(&dir.path().join("out"), &Request::default()).unwrap();
    assert_eq!(paths(&image), ["usr", "usr/bin", "usr/bin/app"]);
    assert_eq!(spool, fs::read(source).unwrap());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for round in ["1", "2"] {
        let request = request(folder(&dir.path().join(round)));
        pack(&request, &dir.path().join("out").join(round)).unwrap();
        seen.push(bytes_of(&dir.path().join("out").join(round)));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn what_cannot_be_packed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("in");
    let files = folder(&source);
    assert!(matches!(pack(&request(files.clone()), dir.path()), Err(Error::Pack { .. })), "output in use");
    fs::write(source.join(".wh.x"), b"").unwrap();
    assert!(matches!(pack(&request(files.clone()), &dir.path().join("a")), Err(Error::Pack { .. })));
    fs::remove_file(source.join(".wh.x")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();
    assert!(matches!(pack(&request(files), &dir.path().join("b")), Err(Error::Pack { .. })));
    for target in ["../app", "/app", "."] {
        let binary = Files::Binary { source: source.join("bin/app"), target: target.into() };
        assert!(matches!(pack(&request(binary), &dir.path().join("c")), Err(Error::Pack { .. })), "{target}");
    }
}

#[test]
fn skopeo_accepts_the_layout() {
    let dir = tempfile::tempdir().unwrap();
    let (out, copy) = (dir.path().join("out"), dir.path().join("copy.tar"));
    let packed = pack(&request(folder(&dir.path().join("in"))), &out).unwrap();
    let skopeo = |arguments: &[String]| {
        let run = Command::new("skopeo").args(arguments).output().expect("skopeo is installed");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        run.stdout
    };
    let image = format!("oci:{}:test", out.display());
    let seen: serde_json::Value =
        serde_json::from_slice(&skopeo(&["inspect".into(), image.clone()])).unwrap();
    assert_eq!(seen["Digest"], packed.manifest_digest.as_str());
    assert_eq!(seen["Labels"]["b"], "2");
    assert_eq!(seen["Env"][0], "PATH=/bin");

    // skopeo checks every blob while it copies, and what it writes must be readable here.
    let policy = "--insecure-policy".to_owned();
    skopeo(&[policy, "copy".into(), image, format!("oci-archive:{}:test", copy.display())]);
    let ours = open(&out, &Request::default()).unwrap();
    assert_eq!(open(&copy, &Request::default()).unwrap(), ours);
}
