use std::collections::BTreeSet;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn components() -> Components {
    let a_crate = |name: &str, sha256: Option<&str>, uses: &[&str]| {
        let (name, version) = name.split_once(' ').unwrap();
        Crate {
            name: name.into(),
            version: version.into(),
            licence: Some("MIT OR Apache-2.0".into()),
            sha256: sha256.map(str::to_owned),
            uses: uses.iter().map(|used| (*used).to_owned()).collect(),
        }
    };
    let crates = [
        a_crate("coracle-init 0.1.0", None, &["nix 0.31.3", "foo_bar 1.0.0+x"]),
        a_crate("nix 0.31.3", Some(HEX), &["foo-bar 1.0.0+x"]),
        // Two names that are one as an identifier.
        a_crate("foo-bar 1.0.0+x", Some(HEX), &[]),
        a_crate("foo_bar 1.0.0+x", Some(HEX), &[]),
    ];
    Components {
        libc: "Debian GLIBC 2.36-9+deb12u10".into(),
        programs: BTreeMap::from([("init".into(), "coracle-init 0.1.0".into())]),
        crates: crates
            .into_iter()
            .map(|found| (format!("{} {}", found.name, found.version), found))
            .collect(),
    }
}

fn inputs<'a>(programs: &'a BTreeMap<String, String>, components: Option<&'a Components>) -> Inputs<'a> {
    let part = |name, version| Part { name, version, sha256: HEX };
    Inputs {
        name: "edge",
        version: "1.2.3",
        root_hash: HEX,
        epoch: 1_767_225_600,
        programs,
        components,
        rustc: "rustc 1.95.0 (59807616e 2026-04-14)",
        kernel: part("linux", "6.12.117"),
        kernel_source: HEX,
        boot: vec![part("systemd-boot", "252.39-1~deb12u2"), part("systemd-stub", "252.39-1~deb12u2")],
        images: vec![(
            "registry.example/team/Web:1",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        )],
    }
}

fn programs() -> BTreeMap<String, String> {
    ["/sbin/init", "/usr/sbin/netd"].map(|path| (path.to_owned(), HEX.to_owned())).into()
}

/// The rules of the specification that a document of this kind can break; gives the identifiers of its packages.
fn check(document: &Value) -> BTreeSet<&str> {
    let text = |value: &'_ Value, key: &str| {
        value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
    };
    assert_eq!(text(document, "spdxVersion"), "SPDX-2.3");
    assert_eq!(text(document, "dataLicense"), "CC0-1.0");
    assert_eq!(text(document, "SPDXID"), DOCUMENT);
    let namespace = text(document, "documentNamespace");
    assert!(namespace.starts_with("https://") && !namespace.contains(['#', ' ']), "{namespace}");
    assert_eq!(text(&document["creationInfo"], "created"), "2026-01-01T00:00:00Z");
    assert!(document["creationInfo"]["creators"][0].as_str().unwrap().starts_with("Tool: coracle-"));
    let mut ids = BTreeSet::from([DOCUMENT]);
    for package in document["packages"].as_array().unwrap() {
        let id = package["SPDXID"].as_str().unwrap();
        let rest = id.strip_prefix("SPDXRef-").unwrap();
        assert!(
            rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') && !rest.is_empty(),
            "{id}"
        );
        assert!(ids.insert(id), "{id} is there twice");
        for key in ["name", "downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"] {
            assert!(!text(package, key).is_empty(), "{id}: {key}");
        }
        // Without files of its own a package must say that none were looked at, and has no verification code.
        assert_eq!(package["filesAnalyzed"], false, "{id}");
        for sum in package["checksums"].as_array().into_iter().flatten() {
            let value = text(sum, "checksumValue");
            assert!(value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        for reference in package["externalRefs"].as_array().into_iter().flatten() {
            let (kind, locator) = (text(reference, "referenceType"), text(reference, "referenceLocator"));
            match kind.as_str() {
                "purl" => assert!(locator.starts_with("pkg:") && !locator.contains([' ', '+']), "{locator}"),
                "cpe23Type" => assert_eq!(locator.split(':').count(), 13, "{locator}"),
                other => panic!("{id}: {other}"),
            }
        }
    }
    for relationship in document["relationships"].as_array().unwrap() {
        for key in ["spdxElementId", "relatedSpdxElement"] {
            assert!(ids.contains(relationship[key].as_str().unwrap()), "{relationship}");
        }
    }
    ids
}

fn related(document: &Value, from: &str, how: &str) -> Vec<String> {
    let all = document["relationships"].as_array().unwrap().iter();
    let found = all.filter(|one| one["spdxElementId"] == from && one["relationshipType"] == how);
    found.map(|one| one["relatedSpdxElement"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_document_keeps_the_rules_and_names_everything() {
    let (programs, components) = (programs(), components());
    let document = document(&inputs(&programs, Some(&components)));
    let ids = check(&document);
    assert_eq!(ids.len(), 15, "{ids:?}");
    assert_eq!(related(&document, DOCUMENT, "DESCRIBES"), ["SPDXRef-image"]);
    let contained = ["kernel", "systemd-boot", "systemd-stub", "program-init", "program-netd", "oci-web"];
    assert_eq!(related(&document, "SPDXRef-image", "CONTAINS"), contained.map(|id| format!("SPDXRef-{id}")));
    let linked = ["rust-std", "glibc", "crate-coracle-init-0.1.0"].map(|id| format!("SPDXRef-{id}"));
    assert_eq!(related(&document, "SPDXRef-program-init", "STATIC_LINK"), linked);
    assert_eq!(related(&document, "SPDXRef-crate-nix-0.31.3", "DEPENDS_ON").len(), 1);
    let of_init = related(&document, "SPDXRef-crate-coracle-init-0.1.0", "DEPENDS_ON");
    assert_ne!(
        of_init,
        related(&document, "SPDXRef-crate-nix-0.31.3", "DEPENDS_ON"),
        "foo_bar is not foo-bar"
    );
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (programs, components) = (programs(), components());
    let inputs = inputs(&programs, Some(&components));
    let texts = [(); 2].map(|()| serde_json::to_string_pretty(&document(&inputs)).unwrap());
    assert_eq!(texts[0], texts[1]);
    let other = Inputs { root_hash: &HEX.replace('0', "1"), ..inputs.clone() };
    assert_ne!(document(&other)["documentNamespace"], document(&inputs)["documentNamespace"]);
}

#[test]
fn what_was_not_noted_is_said() {
    let programs = programs();
    let document = document(&inputs(&programs, None));
    check(&document);
    assert!(document["comment"].as_str().unwrap().contains("not noted"));
}
