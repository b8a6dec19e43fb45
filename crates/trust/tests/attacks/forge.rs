//! Makes repositories, good ones and others, with keys that follow from their names.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use olpc_cjson::CanonicalFormatter;
use serde::Serialize as _;
use serde_json::{Value, json};

pub const SPEC: &str = "1.0.31";

/// A key for signing; the same for the same name.
pub struct Key {
    pair: Ed25519KeyPair,
    pub id: String,
    pub public: Value,
}

pub fn key(name: &str) -> Key {
    key_with(name, json!({}))
}

/// With something written beside it, and so with another ID.
pub fn key_with(name: &str, beside: Value) -> Key {
    let pair = Ed25519KeyPair::from_seed_unchecked(digest(&SHA256, name.as_bytes()).as_ref()).unwrap();
    let mut public = json!({
        "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hex(pair.public_key().as_ref()) },
    });
    public.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    Key { pair, id: sha256(&canonical(&public)), public }
}

/// Metadata with these keys' signatures.
pub fn signed(part: &Value, keys: &[Key]) -> Vec<u8> {
    let bytes = canonical(part);
    let signatures: Vec<_> = keys
        .iter()
        .map(|key| json!({ "keyid": key.id, "sig": hex(key.pair.sign(&bytes).as_ref()) }))
        .collect();
    serde_json::to_vec(&json!({ "signed": part, "signatures": signatures })).unwrap()
}

/// A repository at one moment. What a test does not change is good.
#[derive(Clone)]
pub struct Forge {
    pub versions: Roles<u64>,
    pub expires: Roles<&'static str>,
    /// Names of the keys that the root lists.
    pub keys: Roles<Vec<&'static str>>,
    /// Names of the keys that sign.
    pub signers: Roles<Vec<&'static str>>,
    pub consistent: bool,
    /// The files that it offers.
    pub targets: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone)]
pub struct Roles<T> {
    pub root: T,
    pub timestamp: T,
    pub snapshot: T,
    pub targets: T,
}

impl<T> Roles<T> {
    pub fn of(&mut self, role: &str) -> &mut T {
        match role {
            "root" => &mut self.root,
            "timestamp" => &mut self.timestamp,
            "snapshot" => &mut self.snapshot,
            "targets" => &mut self.targets,
            other => panic!("no role {other}"),
        }
    }
}

impl Forge {
    pub fn new() -> Self {
        let keys = Roles {
            root: vec!["root-1", "root-2", "root-3"],
            timestamp: vec!["timestamp"],
            snapshot: vec!["snapshot"],
            targets: vec!["targets"],
        };
        Self {
            versions: Roles { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
            expires: Roles {
                root: "2027-11-01T00:00:00Z",
                timestamp: "2026-11-22T00:00:00Z",
                snapshot: "2026-12-04T00:00:00Z",
                targets: "2027-02-01T00:00:00Z",
            },
            signers: Roles { root: vec!["root-1", "root-2"], ..keys.clone() },
            keys,
            consistent: true,
            targets: BTreeMap::new(),
        }
    }

    pub fn root_part(&self) -> Value {
        let named = |names: &[&str]| names.iter().map(|name| key(name)).collect::<Vec<_>>();
        let (roles, mut keys) = (&self.keys, serde_json::Map::new());
        for key in [&roles.root, &roles.timestamp, &roles.snapshot, &roles.targets]
            .into_iter()
            .flat_map(|k| named(k))
        {
            keys.insert(key.id, key.public);
        }
        let role = |names: &[&str], threshold: u64| {
            let ids: Vec<_> = named(names).into_iter().map(|key| key.id).collect();
            json!({ "keyids": ids, "threshold": threshold })
        };
        json!({
            "_type": "root", "spec_version": SPEC, "version": self.versions.root, "expires": self.expires.root,
            "consistent_snapshot": self.consistent, "keys": keys,
            "roles": {
                "root": role(&roles.root, 2), "timestamp": role(&roles.timestamp, 1),
                "snapshot": role(&roles.snapshot, 1), "targets": role(&roles.targets, 1),
            },
        })
    }

    pub fn root(&self) -> Vec<u8> {
        signed(&self.root_part(), &named(&self.signers.root))
    }

    pub fn targets_part(&self) -> Value {
        let targets: BTreeMap<_, _> = self
            .targets
            .iter()
            .map(|(name, bytes)| {
                (name, json!({ "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } }))
            })
            .collect();
        json!({
            "_type": "targets", "spec_version": SPEC, "version": self.versions.targets,
            "expires": self.expires.targets, "targets": targets,
        })
    }

    /// Every file of it, the root under its number.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files_with(&self.targets_part())
    }

    /// The same with another list of targets.
    pub fn files_with(&self, targets: &Value) -> BTreeMap<String, Vec<u8>> {
        let targets = signed(targets, &named(&self.signers.targets));
        let snapshot = signed(
            &json!({
                "_type": "snapshot", "spec_version": SPEC, "version": self.versions.snapshot,
                "expires": self.expires.snapshot,
                "meta": { "targets.json": about(self.versions.targets, &targets) },
            }),
            &named(&self.signers.snapshot),
        );
        let timestamp = self.timestamp(&about(self.versions.snapshot, &snapshot));
        let mut files = BTreeMap::from([
            (format!("metadata/{}.root.json", self.versions.root), self.root()),
            ("metadata/timestamp.json".to_owned(), timestamp),
            (format!("metadata/{}.snapshot.json", self.versions.snapshot), snapshot),
            (format!("metadata/{}.targets.json", self.versions.targets), targets),
        ]);
        for (name, bytes) in &self.targets {
            files.insert(format!("targets/{}.{name}", sha256(bytes)), bytes.clone());
        }
        files
    }

    pub fn timestamp(&self, snapshot: &Value) -> Vec<u8> {
        signed(
            &json!({
                "_type": "timestamp", "spec_version": SPEC, "version": self.versions.timestamp,
                "expires": self.expires.timestamp, "meta": { "snapshot.json": snapshot },
            }),
            &named(&self.signers.timestamp),
        )
    }

    /// The next root, with these keys for the online roles, signed by who must sign it.
    pub fn rotate(&mut self, timestamp: &'static str, snapshot: &'static str) {
        self.versions.root += 1;
        self.keys.timestamp = vec![timestamp];
        self.keys.snapshot = vec![snapshot];
        self.signers.timestamp = vec![timestamp];
        self.signers.snapshot = vec![snapshot];
    }
}

/// What one role's metadata says of another's file.
pub fn about(version: u64, bytes: &[u8]) -> Value {
    json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } })
}

pub fn named(names: &[&str]) -> Vec<Key> {
    names.iter().map(|name| key(name)).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn canonical(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut to = serde_json::Serializer::with_formatter(&mut bytes, CanonicalFormatter::new());
    value.serialize(&mut to).unwrap();
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
