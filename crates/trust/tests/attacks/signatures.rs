//! Wrong signatures, too few of them, and one that counts twice.

use coracle_trust::{Error, Role};
use serde_json::json;

use crate::chain;
use crate::forge::{self, Forge, key, key_with, signed};
use crate::machine::{Machine, forge as good};
use crate::server::Server;

const ROLES: [(&str, Role); 3] =
    [("timestamp", Role::Timestamp), ("snapshot", Role::Snapshot), ("targets", Role::Targets)];

async fn refused(forge: &Forge, role: Role) {
    let error = Machine::new().refresh(&Server::new(forge.files())).await.unwrap_err();
    assert!(matches!(error, Error::Signatures { role: got, .. } if got == role), "{}", chain(&error));
}

#[tokio::test]
async fn no_signature() {
    for (name, role) in ROLES {
        let mut forge = good();
        forge.signers.of(name).clear();
        refused(&forge, role).await;
    }
}

#[tokio::test]
async fn wrong_signatures() {
    for (name, role) in ROLES {
        for signer in ["stranger", "root-1", "timestamp", "snapshot", "targets"] {
            let mut forge = good();
            if *forge.keys.of(name) != [signer] {
                *forge.signers.of(name) = vec![signer];
                refused(&forge, role).await;
            }
        }
    }
}

#[tokio::test]
async fn a_signature_over_other_bytes() {
    let files = good().files();
    for (name, bytes) in
        files.iter().filter(|(name, _)| name.starts_with("metadata/") && !name.contains("root"))
    {
        let mut changed = files.clone();
        let text = String::from_utf8(bytes.clone()).unwrap();
        changed.insert(name.clone(), text.replace("2026-1", "2036-1").replace("2027-0", "2037-0").into());
        let error = Machine::new().refresh(&Server::new(changed)).await.unwrap_err();
        // The file that is named by a digest is refused for that.
        assert!(
            matches!(error, Error::Signatures { .. } | Error::Refused { .. } | Error::Fetch { .. }),
            "{}",
            chain(&error)
        );
    }
}

#[tokio::test]
async fn too_few_signatures() {
    let mut forge = good();
    forge.versions.root = 2;
    forge.signers.root = vec!["root-3"];
    refused(&forge, Role::Root).await;
    forge.signers.root = vec!["root-3", "stranger", "targets"];
    refused(&forge, Role::Root).await;
}

#[tokio::test]
async fn duplicate_keyid() {
    let mut forge = good();
    forge.versions.root = 2;
    forge.signers.root = vec!["root-3", "root-3"];
    refused(&forge, Role::Root).await;
}

#[tokio::test]
async fn one_key_under_two_ids() {
    let forge = good();
    let mut root = forge.root_part();
    let twin = key_with("root-1", json!({ "keyid_hash_algorithms": ["sha256"] }));
    root["version"] = json!(2);
    root["keys"][&twin.id] = twin.public.clone();
    root["roles"]["root"]["keyids"].as_array_mut().unwrap().push(json!(twin.id));
    let server = Server::new(forge.files());
    let root = signed(&root, &[key("root-1"), key("root-2"), twin]);
    server.put([("metadata/2.root.json".to_owned(), root)].into());
    let error = Machine::new().refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::KeyTwice { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_key_with_an_id_that_is_not_its_own() {
    let forge = good();
    let mut root = forge.root_part();
    root["version"] = json!(2);
    let stranger = key("stranger");
    root["keys"][&key("targets").id] = stranger.public;
    let server = Server::new(forge.files());
    let root = signed(&root, &forge::named(&["root-1", "root-2"]));
    server.put([("metadata/2.root.json".to_owned(), root)].into());
    let error = Machine::new().refresh(&server).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn an_embedded_root_that_is_not_signed() {
    let mut machine = Machine::new();
    let mut forge = good();
    forge.signers.root = vec!["root-1"];
    machine.embedded.root = forge.root();
    let error = machine.refresh(&Server::new(good().files())).await.unwrap_err();
    assert!(matches!(error, Error::Embedded { .. }), "{}", chain(&error));
}
