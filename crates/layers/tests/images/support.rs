//! Layouts made by hand, so that they can be wrong in exactly one way.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use coracle_layers::{Error, Image, Layout, Request, TreePath, load};
use sha2::{Digest as _, Sha256};

pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A tar record with exactly these bytes; no library sanitises the names.
pub fn record(kind: u8, name: &[u8], link: &[u8], mode: u32, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    header.set_size(data.len() as u64);
    let raw = header.as_mut_bytes();
    raw[..name.len()].copy_from_slice(name);
    raw[157..157 + link.len()].copy_from_slice(link);
    raw[156] = kind;
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub fn file(name: &str, data: &str) -> Vec<u8> {
    record(b'0', name.as_bytes(), b"", 0o644, data.as_bytes())
}

pub fn dir(name: &str) -> Vec<u8> {
    record(b'5', name.as_bytes(), b"", 0o755, b"")
}

pub fn symlink(name: &str, target: &str) -> Vec<u8> {
    record(b'2', name.as_bytes(), target.as_bytes(), 0o777, b"")
}

pub fn link(name: &str, target: &str) -> Vec<u8> {
    record(b'1', name.as_bytes(), target.as_bytes(), 0o644, b"")
}

pub fn pax(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in pairs {
        let bare = key.len() + value.len() + 3;
        let length = (1..).map(|digits| bare + digits).find(|n| n.to_string().len() + bare == *n).unwrap();
        body.extend_from_slice(format!("{length} {key}=").as_bytes());
        body.extend_from_slice(value);
        body.push(b'\n');
    }
    record(b'x', b"pax", b"", 0o644, &body)
}

/// Records with the end-of-archive marker.
pub fn archive(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = records.concat();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

/// One layer: media type, blob, diff ID.
pub struct Layer(pub &'static str, pub Vec<u8>, pub String);

pub fn plain(records: &[Vec<u8>]) -> Layer {
    let bytes = archive(records);
    let diff_id = digest(&bytes);
    Layer(TAR, bytes, diff_id)
}

pub fn put_blob(dir: &Path, media_type: &str, bytes: &[u8]) -> serde_json::Value {
    let digest = digest(bytes);
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    fs::write(dir.join("blobs/sha256").join(&digest[7..]), bytes).unwrap();
    serde_json::json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

pub fn config_json(layers: &[Layer]) -> serde_json::Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.2.clone()).collect();
    serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/app"], "Env": ["A=b"], "Labels": {"k": "v"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// Writes blobs up to the manifest; returns its descriptor.
pub fn manifest(dir: &Path, layers: &[Layer], config: &serde_json::Value) -> serde_json::Value {
    let config = put_blob(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|layer| put_blob(dir, layer.0, &layer.1)).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": layers,
    });
    put_blob(dir, "application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())
}

pub fn index(manifests: &[serde_json::Value]) -> serde_json::Value {
    serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
    })
}

pub fn finish(dir: &Path, manifests: &[serde_json::Value]) {
    fs::write(dir.join("index.json"), index(manifests).to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// A correct layout around the layers.
pub fn layout(layers: &[Layer]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(dir.path(), layers, &config_json(layers));
    finish(dir.path(), &[manifest]);
    dir
}

pub fn open(path: &Path, request: &Request) -> Result<(Image, Vec<u8>), Error> {
    let mut spool = Cursor::new(Vec::new());
    let image = load(&Layout::open(path)?, request, &mut spool)?;
    Ok((image, spool.into_inner()))
}

pub fn merge(layers: &[Layer]) -> Result<(Image, Vec<u8>), Error> {
    open(layout(layers).path(), &Request::default())
}

pub fn path(name: &str) -> TreePath {
    TreePath::parse(name.as_bytes(), 128).unwrap()
}

/// The whole error chain as text.
pub fn refusal(layers: &[Layer]) -> String {
    merge(layers).expect_err("the attack was accepted").to_string()
}

/// All paths but the root.
pub fn paths(image: &Image) -> Vec<String> {
    let all = image.rootfs.iter().map(|(path, _)| String::from_utf8(path.to_bytes()).unwrap());
    all.filter(|path| !path.is_empty()).collect()
}
