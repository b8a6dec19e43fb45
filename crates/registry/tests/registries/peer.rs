//! Debian's registry, filled by skopeo, over TLS: once with a file of passwords, once with a token server.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use coracle_registry::{Client, Error, Image, Limits, Login, Platform, Registries, Registry, Trouble};
use serde_json::json;

use crate::image::{CONFIG, GZIP, INDEX, MANIFEST, entry, noise, sha256};
use crate::listener::{Asked, response, serve_tls};
use crate::server::trouble;
use crate::store::Memory;

/// `me` and `hidden`, as `htpasswd -B` writes them.
const HTPASSWD: &str = "me:$2y$05$EpIAuQ8XMATgdKKs.5Znf.VLGPv3PdsPzgG6v4Pk.u.galLgVdlAu";
const BASIC: &str = "Basic bWU6aGlkZGVu";

/// The registry, until it is dropped.
struct Peer {
    folder: tempfile::TempDir,
    process: Child,
    host: String,
    certificate: String,
}

impl Peer {
    /// Its `auth` section says who is let in.
    fn new(auth: impl FnOnce(&Path) -> serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(path("certificates")).unwrap();
        fs::write(path("certificates/ca.crt"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        // JSON is YAML.
        let config = json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": path("storage") } },
            "http": { "addr": host, "tls": { "certificate": path("certificates/ca.crt"), "key": path("key.pem") } },
            "auth": auth(folder.path()),
        });
        fs::write(path("config.yml"), config.to_string()).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config.yml")]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry is there");
        let mut peer = Self { folder, process, host, certificate: made.cert.pem() };
        for _ in 0..600 {
            if std::net::TcpStream::connect(&peer.host).is_ok() {
                return peer;
            }
            assert!(peer.process.try_wait().unwrap().is_none(), "docker-registry has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen");
    }

    /// Pushes a layout in whatever form skopeo is told to.
    fn push(&self, layout: &Path, tag: &str, options: &[&str]) {
        let mut command = Command::new("skopeo");
        command.args(["copy", "--quiet", "--dest-creds", "me:hidden", "--dest-cert-dir"]);
        command.arg(self.folder.path().join("certificates")).args(options);
        command
            .arg(format!("oci:{}:image", layout.display()))
            .arg(format!("docker://{}/app:{tag}", self.host));
        let output = command.output().expect("skopeo is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn client(&self, authorities: &str, login: Option<Login>) -> Client {
        let host: coracle_registry::Host = self.host.parse().unwrap();
        let registries = Registries {
            known: [(host.clone(), Registry::default())].into(),
            logins: login.map(|login| (host, login)).into_iter().collect(),
        };
        let web =
            coracle_fetch::Options { authorities: authorities.as_bytes().to_vec(), ..Default::default() };
        Client::new(&web, registries, Limits::default()).unwrap()
    }

    async fn pull(&self, client: &Client, name: &str, store: &Memory) -> Result<Image, Error> {
        let reference = format!("{}/app{name}", self.host).parse().unwrap();
        client.pull(&reference, Platform::V1, store).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn me() -> Login {
    Login::Password { user: "me".to_owned(), password: "hidden".into() }
}

fn passwords(folder: &Path) -> serde_json::Value {
    fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
    json!({ "htpasswd": { "realm": "x", "path": folder.join("htpasswd") } })
}

/// A layer that others can read.
fn tar(seed: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), noise(300_000, seed)).unwrap();
    let mut command = Command::new("tar");
    command.args(["--create", "--gzip", "--directory"]).arg(folder.path()).arg("file");
    let output = command.output().expect("tar is there");
    assert!(output.status.success());
    output.stdout
}

/// An image for each of these architectures, in an index. Gives the digests of the index and of the manifests.
fn layout(folder: &Path, architectures: &[&str]) -> (String, Vec<Vec<u8>>) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |bytes: &[u8]| {
        let digest = sha256(bytes).to_string();
        fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), bytes).unwrap();
    };
    let (mut entries, mut manifests) = (Vec::new(), Vec::new());
    for (number, architecture) in architectures.iter().enumerate() {
        let layers = [tar(number as u32), tar(number as u32 + 10)];
        let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(&gunzip(layer)).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let layers = layers.each_ref().map(|layer| {
            keep(layer);
            entry(GZIP, layer)
        });
        keep(&config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(CONFIG, &config), "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        keep(&manifest);
        let mut entry = entry(MANIFEST, &manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entries.push(entry);
        manifests.push(manifest);
    }
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string().into_bytes();
    keep(&index);
    let mut named = entry(INDEX, &index);
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": "image" });
    let top = json!({ "schemaVersion": 2, "manifests": [named] });
    fs::write(folder.join("index.json"), top.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    (sha256(&index).to_string(), manifests)
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut command = Command::new("gunzip");
    let mut gunzip = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gunzip is there");
    let (mut stdin, bytes) = (gunzip.stdin.take().unwrap(), bytes.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = gunzip.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

/// What was pulled is what was in the layout.
fn same(store: &Memory, image: &Image, layout: &Path) {
    let kept = store.kept();
    assert_eq!(kept.len(), 3);
    assert_eq!(image.manifest.blobs().len(), 3);
    for (digest, bytes) in kept {
        let name = digest.to_string();
        assert!(
            fs::read(layout.join("blobs/sha256").join(name.strip_prefix("sha256:").unwrap())).unwrap()
                == bytes
        );
    }
}

#[tokio::test]
async fn an_index_with_passwords() {
    let peer = Peer::new(passwords);
    let folder = tempfile::tempdir().unwrap();
    let (index, manifests) = layout(folder.path(), &["arm64", "amd64"]);
    peer.push(folder.path(), "v1", &["--all"]);
    let client = peer.client(&peer.certificate, Some(me()));
    for name in [":v1".to_owned(), format!("@{index}"), format!(":v1@{index}")] {
        let store = Memory::default();
        let image = peer.pull(&client, &name, &store).await.unwrap();
        assert_eq!(image.documents[0].digest.to_string(), index);
        assert_eq!(image.documents[1].bytes, manifests[1]);
        same(&store, &image, folder.path());
    }
    let missing = peer.pull(&client, ":v2", &Memory::default()).await;
    assert!(missing.unwrap_err().to_string().contains("no such file"));
    let stranger = peer.pull(&peer.client(&peer.certificate, None), ":v1", &Memory::default()).await;
    assert!(matches!(trouble(stranger), Trouble::LoginWanted));
    let wrong = Login::Password { user: "me".to_owned(), password: "wrong".into() };
    let wrong = peer.pull(&peer.client(&peer.certificate, Some(wrong)), ":v1", &Memory::default()).await;
    assert!(matches!(trouble(wrong), Trouble::LoginRefused));
}

#[tokio::test]
async fn dockers_own_form() {
    let peer = Peer::new(passwords);
    let folder = tempfile::tempdir().unwrap();
    layout(folder.path(), &["amd64"]);
    peer.push(folder.path(), "list", &["--all", "--format", "v2s2"]);
    peer.push(folder.path(), "one", &["--format", "v2s2"]);
    let client = peer.client(&peer.certificate, Some(me()));
    for (name, documents) in [(":list", 2), (":one", 1)] {
        let store = Memory::default();
        let image = peer.pull(&client, name, &store).await.unwrap();
        assert_eq!(image.documents.len(), documents);
        let types = image.documents.iter().map(|document| document.media_type.as_str());
        assert!(types.into_iter().all(|name| name.starts_with("application/vnd.docker.")));
        same(&store, &image, folder.path());
    }
}

#[tokio::test]
async fn what_breaks_at_a_mirror_goes_on_there() {
    let peer = Peer::new(passwords);
    let folder = tempfile::tempdir().unwrap();
    layout(folder.path(), &["amd64"]);
    peer.push(folder.path(), "v1", &["--all"]);
    let client = peer.client(&peer.certificate, Some(me()));
    let reference = format!("{}/app:v1", peer.host).parse().unwrap();
    let image = client.resolve(&reference, Platform::V1).await.unwrap();
    let layer = image.manifest.layers[0];
    let bytes = fs::read(folder.path().join("blobs/sha256").join(&layer.digest.to_string()[7..])).unwrap();

    // A mirror that has only the beginning of it.
    let (part, asked) = (bytes[..100_000].to_vec(), Arc::new(Mutex::new(0)));
    let (length, count) = (bytes.len(), asked.clone());
    let port = crate::listener::serve(move |_| {
        *count.lock().unwrap() += 1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), &part].concat()
    });
    let mirror = coracle_registry::registries::Mirror {
        location: format!("127.0.0.1:{port}").parse().unwrap(),
        protocol: coracle_registry::registries::Protocol::Http,
        pull: Default::default(),
    };
    let host: coracle_registry::Host = peer.host.parse().unwrap();
    let registries = Registries {
        known: [(host.clone(), Registry { mirrors: vec![mirror], ..Registry::default() })].into(),
        logins: [(host, me())].into(),
    };
    let web =
        coracle_fetch::Options { authorities: peer.certificate.clone().into_bytes(), ..Default::default() };
    let client = Client::new(&web, registries, Limits::default()).unwrap();
    let (mut blob, mut came) = (client.blob(&reference, layer), Vec::new());
    while let Some(chunk) = blob.chunk().await.unwrap() {
        came.extend_from_slice(&chunk);
    }
    assert!(came == bytes);
    assert_eq!(*asked.lock().unwrap(), 1);
}

/// Gives tokens to whoever has the password, each good for what is asked for.
fn token_server() -> (u16, String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["tokens.test".to_owned()]).unwrap();
    let (certificate, key) = (base64(made.cert.der(), STANDARD), made.signing_key.serialize_der());
    let answer = move |asked: &Asked| {
        if asked.header("authorization") != Some(BASIC) {
            return response("401 Unauthorized", "www-authenticate: Basic realm=x\r\n", b"");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // As skopeo and the client write it, with whatever it wants to do.
        let scope = asked.path.split(['?', '&']).find_map(|part| part.strip_prefix("scope="));
        let access = scope.map(|scope| {
            let scope = scope.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/");
            let parts: Vec<_> = scope.split(':').collect();
            json!({ "type": parts[0], "name": parts[1], "actions": parts[2].split(',').collect::<Vec<_>>() })
        });
        let claims = json!({
            "iss": "tokens", "aud": "reg", "sub": "me", "jti": "1", "nbf": now - 60, "iat": now - 60, "exp": now + 300,
            "access": access.into_iter().collect::<Vec<_>>(),
        });
        let head = json!({ "typ": "JWT", "alg": "ES256", "x5c": [certificate] });
        let signed = format!(
            "{}.{}",
            base64(head.to_string().as_bytes(), URL_SAFE),
            base64(claims.to_string().as_bytes(), URL_SAFE)
        );
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).unwrap();
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", base64(signature.as_ref(), URL_SAFE));
        response(
            "200 OK",
            "content-type: application/json\r\n",
            json!({ "token": token }).to_string().as_bytes(),
        )
    };
    let (port, authority) = serve_tls(answer);
    (port, authority, made.cert.pem())
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648; padded in the standard alphabet, as in certificates, and not in the other, as in tokens.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let letters = (0..=group.len()).map(|at| alphabet[(bits >> (18 - 6 * at)) as usize & 63] as char);
        text.extend(letters);
        if alphabet == STANDARD {
            text.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
    }
    text
}

#[tokio::test]
async fn with_a_token_server() {
    let (port, authority, issuer) = token_server();
    let peer = Peer::new(|folder| {
        fs::write(folder.join("issuer.pem"), issuer).unwrap();
        let realm = format!("https://127.0.0.1:{port}/token");
        json!({ "token": { "realm": realm, "service": "reg", "issuer": "tokens", "rootcertbundle": folder.join("issuer.pem") } })
    });
    fs::write(peer.folder.path().join("certificates/tokens.crt"), &authority).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (index, manifests) = layout(folder.path(), &["amd64"]);
    peer.push(folder.path(), "v1", &["--all"]);
    let both = format!("{}{authority}", peer.certificate);
    let store = Memory::default();
    let image = peer.pull(&peer.client(&both, Some(me())), ":v1", &store).await.unwrap();
    assert_eq!(image.documents[0].digest.to_string(), index);
    assert_eq!(image.documents[1].bytes, manifests[0]);
    same(&store, &image, folder.path());
    let stranger = peer.pull(&peer.client(&both, None), ":v1", &Memory::default()).await;
    assert!(matches!(trouble(stranger), Trouble::LoginWanted));
}
