//! Keys: encrypted as openssl expects it, made once, somewhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::place::Place;

#[test]
fn keys_at_rest_are_encrypted_and_openssl_reads_them() {
    let place = Place::new();
    assert_eq!(fs::metadata(place.path("keys")).unwrap().permissions().mode() & 0o777, 0o700);
    let names = ["root-1", "root-2", "root-3", "targets-1", "snapshot-1", "timestamp-1"];
    for name in names {
        let path = format!("keys/{name}.pem");
        assert_eq!(fs::metadata(place.path(&path)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            fs::read_to_string(place.path(&path))
                .unwrap()
                .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        );
        let read = place.openssl(&["pkey", "-in", &path, "-passin", "file:passphrase", "-noout", "-text"]);
        assert!(String::from_utf8_lossy(&read.stdout).contains("ED25519 Private-Key"), "{read:?}");
        assert!(!place.openssl(&["pkey", "-in", &path, "-passin", "pass:wrong", "-noout"]).status.success());
    }
    assert_eq!(fs::read_dir(place.path("keys")).unwrap().count(), names.len());
}

#[test]
fn a_second_init_changes_nothing() {
    let place = Place::new();
    assert!(place.fails(&["keys", "init"]).contains("1.root.json is there already"));
}

#[test]
fn a_wrong_passphrase_is_said() {
    let place = Place::new();
    fs::write(place.path("passphrase"), "wrong\n").unwrap();
    assert!(place.fails(&["refresh"]).contains("none of the passphrases opens it"));
    fs::write(place.path("passphrase"), "\n").unwrap();
    assert!(place.fails(&["refresh"]).contains("empty"));
}

#[test]
fn a_passphrase_through_a_pipe() {
    let place = Place::new();
    let coracle = env!("CARGO_BIN_EXE_coracle");
    let words = "keys rotate timestamp-1 --repo repo --keys keys --passphrase-file /dev/fd/3";
    let said = shell(&place, &format!("cat passphrase | {coracle} {words} 3<&0 </dev/null"));
    assert_eq!(said.trim(), "root 2 timestamp 2 snapshot 1 targets 1");
    let named = shell(
        &place,
        &format!("CORACLE_PASSPHRASE_FILE=passphrase {coracle} refresh --repo repo --keys keys"),
    );
    assert_eq!(named.trim(), "root 2 timestamp 3 snapshot 1 targets 1");
    // Without any, and without a terminal to ask on.
    let words = ["refresh", "--repo", "repo", "--keys", "keys"];
    let none = std::process::Command::new(coracle).args(words).current_dir(place.path(".")).output().unwrap();
    assert!(String::from_utf8_lossy(&none.stderr).contains("no passphrase"), "{none:?}");
}

#[test]
fn a_key_that_is_not_encrypted_is_refused() {
    let place = Place::new();
    let words = ["genpkey", "-algorithm", "ed25519", "-out", "keys/timestamp-1.pem"];
    assert!(place.openssl(&words).status.success());
    assert!(place.fails(&["refresh"]).contains("is not encrypted: `openssl pkcs8"));
}

/// The words that make a key of openssl's, encrypted like ours.
const GENERATE: &str = "openssl genpkey -algorithm ed25519 -out plain.pem &&
    openssl pkcs8 -topk8 -scrypt -in plain.pem -passout file:passphrase -out";

#[test]
fn a_key_that_openssl_made() {
    let place = Place::empty();
    fs::create_dir(place.path("keys")).unwrap();
    shell(&place, &format!("{GENERATE} keys/root-2.pem"));
    let before = fs::read(place.path("keys/root-2.pem")).unwrap();
    place.ok(&["keys", "init"]);
    assert_eq!(fs::read(place.path("keys/root-2.pem")).unwrap(), before);
    place.ok(&["keys", "update"]);
}

#[test]
fn a_key_that_is_somewhere_else() {
    let place = Place::empty();
    fs::create_dir(place.path("keys")).unwrap();
    // Signed by openssl, which wants a file.
    shell(&place, "openssl genpkey -algorithm ed25519 -out vault.pem");
    fs::write(
        place.path("sign"),
        "#!/bin/sh\ncat >to-sign && openssl pkeyutl -sign -rawin -inkey vault.pem -in to-sign\n",
    )
    .unwrap();
    let public = shell(
        &place,
        "openssl pkey -in vault.pem -pubout -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \\n'",
    );
    let describe = |command: &str| {
        let text = format!("command = [{command}]\npublic = \"{public}\"\n");
        fs::write(place.path("keys/root-1.signer"), text).unwrap();
    };
    describe("\"sh\", \"sign\"");
    assert_eq!(place.ok(&["keys", "init"]), "root 1 timestamp 1 snapshot 1 targets 1");
    assert!(!place.path("keys/root-1.pem").exists());
    // With it and one more a root is signed.
    fs::remove_file(place.path("keys/root-3.pem")).unwrap();
    assert_eq!(place.ok(&["keys", "update"]), "root 2 timestamp 1 snapshot 1 targets 1");
    for (command, says) in [
        ("\"false\"", "failed (exit status: 1)"),
        ("\"true\"", "gave no signature"),
        ("\"echo\", \"signed\"", "gave a signature that its public key does not verify"),
        ("\"./missing\"", "run ./missing"),
        ("", "`command` must be a list of words"),
    ] {
        describe(command);
        let said = place.fails(&["keys", "update"]);
        assert!(said.contains(says), "{command}: {said}");
    }
}

fn shell(place: &Place, script: &str) -> String {
    let output =
        std::process::Command::new("sh").args(["-ec", script]).current_dir(place.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
