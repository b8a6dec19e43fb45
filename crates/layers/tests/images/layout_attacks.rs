//! Layouts whose documents lie.

use std::fs;

use coracle_layers::{Error, Request};
use serde_json::json;

use crate::support::*;

fn error(dir: &std::path::Path) -> Error {
    open(dir, &Request::default()).expect_err("the attack was accepted")
}

/// A layout with one layer, its documents changed by hand.
fn with_config(change: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let (dir, layers) = (tempfile::tempdir().unwrap(), [plain(&[file("a", "x")])]);
    let mut config = config_json(&layers);
    change(&mut config);
    let manifest = manifest(dir.path(), &layers, &config);
    finish(dir.path(), &[manifest]);
    dir
}

#[test]
fn every_swapped_blob_is_noticed() {
    let blobs = layout(&[plain(&[file("a", "x")])]).keep();
    let names: Vec<_> =
        fs::read_dir(blobs.join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(names.len(), 3);
    for name in names {
        let good = fs::read(&name).unwrap();
        let mut bad = good.clone();
        bad[5] ^= 1;
        fs::write(&name, &bad).unwrap();
        assert!(matches!(error(&blobs), Error::Digest { .. }));
        fs::write(&name, [&good[..], b"x"].concat()).unwrap();
        assert!(matches!(error(&blobs), Error::Size { .. }));
        fs::remove_file(&name).unwrap();
        assert!(matches!(error(&blobs), Error::Missing { .. }));
        std::os::unix::fs::symlink("/dev/zero", &name).unwrap();
        assert!(matches!(error(&blobs), Error::Missing { .. }));
        fs::remove_file(&name).unwrap();
        fs::write(&name, &good).unwrap();
    }
    fs::remove_dir_all(blobs).unwrap();
}

#[test]
fn digest_that_is_a_path_or_weak() {
    let dir = layout(&[]);
    for digest in ["sha256:../../../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:AB"] {
        let lie =
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2});
        finish(dir.path(), &[lie]);
        assert!(matches!(error(dir.path()), Error::Parse { .. } | Error::DigestAlgorithm { .. }), "{digest}");
    }
}

#[test]
fn oversized_index() {
    let dir = layout(&[]);
    fs::write(dir.path().join("index.json"), vec![b' '; (4 << 20) + 1]).unwrap();
    assert!(matches!(error(dir.path()), Error::DocumentTooLarge { .. }));
}

#[test]
fn other_layout_version() {
    let dir = layout(&[]);
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(error(dir.path()), Error::Document { .. }));
}

#[test]
fn config_lies() {
    for (pointer, value) in [
        ("/os", json!("windows")),
        ("/architecture", json!("arm64")),
        ("/rootfs/diff_ids", json!([])),
        ("/rootfs/type", json!("other")),
        ("/config/Env", json!(["no equals sign"])),
        ("/config/Env", json!(["=empty name"])),
        ("/config/Entrypoint", json!(["a\u{0}b"])),
        ("/config/Entrypoint", json!(vec!["x"; 1025])),
        ("/config/Entrypoint", json!(["x".repeat(128 << 10)])),
    ] {
        let dir = with_config(|config| *config.pointer_mut(pointer).unwrap() = value.clone());
        assert!(matches!(error(dir.path()), Error::Document { .. }), "{pointer}");
    }
    let dir = with_config(|config| config["config"]["WorkingDir"] = json!("relative"));
    assert!(matches!(error(dir.path()), Error::Document { .. }));
}

#[test]
fn platform_is_chosen_through_nested_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let layers = [plain(&[file("a", "x")])];
    let mut ours = manifest(dir.path(), &layers, &config_json(&layers));
    ours["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let mut other = ours.clone();
    other["platform"]["architecture"] = json!("arm64");
    let mut newer = ours.clone();
    newer["platform"]["variant"] = json!("v3");
    let mut nested = put_blob(
        dir.path(),
        "application/vnd.oci.image.index.v1+json",
        index(&[other.clone(), newer.clone(), ours.clone()]).to_string().as_bytes(),
    );
    nested["annotations"] = json!({"org.opencontainers.image.ref.name": "one"});
    finish(dir.path(), &[other.clone(), nested.clone()]);
    let (image, _) = open(dir.path(), &Request::default()).unwrap();
    assert_eq!(image.manifest_digest, ours["digest"].as_str().unwrap());
    assert_eq!(image.reference.as_deref(), Some("one"), "the name that index.json gives it");
    finish(dir.path(), &[other, newer]);
    assert!(matches!(error(dir.path()), Error::NoManifest));

    let second = [plain(&[file("b", "y")])];
    let second = manifest(dir.path(), &second, &config_json(&second));
    finish(dir.path(), &[nested, second]);
    assert!(matches!(error(dir.path()), Error::Ambiguous { count: 2 }));
    let request = Request { reference: Some("one".into()), ..Request::default() };
    assert!(open(dir.path(), &request).is_ok());
}

#[test]
fn endlessly_nested_index() {
    let dir = tempfile::tempdir().unwrap();
    let kind = "application/vnd.oci.image.index.v1+json";
    let mut inner = put_blob(dir.path(), kind, index(&[]).to_string().as_bytes());
    for _ in 0..6 {
        inner = put_blob(dir.path(), kind, index(&[inner]).to_string().as_bytes());
    }
    finish(dir.path(), &[inner]);
    assert!(matches!(error(dir.path()), Error::Document { .. }));
}

#[test]
fn archive_of_a_layout() {
    let dir = layout(&[plain(&[file("a", "x")])]);
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(out.as_file());
    builder.append_dir_all(".", dir.path()).unwrap();
    builder.finish().unwrap();
    let from_archive = open(out.path(), &Request::default()).unwrap();
    assert_eq!(from_archive, open(dir.path(), &Request::default()).unwrap());

    let whole = fs::read(out.path()).unwrap();
    fs::write(out.path(), &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(error(out.path()), Error::Archive { .. } | Error::Missing { .. }));
}

#[test]
fn archive_with_links_or_repeated_members() {
    let out = tempfile::NamedTempFile::new().unwrap();
    for members in [
        vec![symlink("index.json", "/etc/passwd")],
        vec![file("index.json", "{}"), file("./index.json", "[]")],
        vec![file("../index.json", "{}")],
    ] {
        fs::write(out.path(), archive(&members)).unwrap();
        assert!(matches!(error(out.path()), Error::Archive { .. }));
    }
}
