use proptest::prelude::*;

use super::*;
use crate::fixture;

/// The example with one text replaced.
fn edited(from: &str, to: &str) -> Result<Manifest, Error> {
    let text = String::from_utf8(fixture::manifest(&["1.3.0", "1.4.0"]).to_bytes().unwrap()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    Manifest::parse(text.replacen(from, to, 1).as_bytes())
}

fn field(error: Error) -> String {
    match error {
        Error::Field { field, .. }
        | Error::TooMuch { field, .. }
        | Error::TooLittle { field, .. }
        | Error::Order { field }
        | Error::Twice { field }
        | Error::Rule { field, .. } => field,
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let manifest = fixture::manifest(&["1.3.0", "1.4.0", "1.10.0"]);
    assert_eq!(Manifest::parse(&manifest.to_bytes().unwrap()).unwrap(), manifest);
}

#[test]
fn every_known_field_is_one_that_is_written() {
    let mut manifest = fixture::manifest(&["1.3.0"]);
    manifest.releases[0].min_from = Some("1.2.0".parse().unwrap());
    manifest.releases[0].notes = Some("https://example.org/1.3.0".to_owned());
    let value: serde_json::Value = serde_json::from_slice(&manifest.to_bytes().unwrap()).unwrap();
    for known in KNOWN {
        let found =
            known.split('.').try_fold(&value, |value, name| value.get(name)?.get(0).or(value.get(name)));
        assert!(found.is_some(), "{known}");
    }
}

#[test]
fn unknown_fields_are_ignored_unless_they_are_critical() {
    assert!(edited("\"schema\": 1", "\"schema\": 1, \"colour\": {\"a\": [1]}").is_ok());
    assert!(edited("\"epoch\": 3", "\"epoch\": 3, \"state_schema\": 4").is_ok());
    assert!(edited("\"schema\": 1", "\"schema\": 1, \"critical\": [\"releases.waves\"]").is_ok());
    let refused = edited("\"schema\": 1", "\"schema\": 1, \"critical\": [\"colour\"], \"colour\": 1");
    assert!(matches!(refused, Err(Error::Critical { name }) if name == "colour"));
    assert!(matches!(edited("\"schema\": 1", "\"schema\": 2"), Err(Error::Schema { got: 2 })));
}

#[test]
fn an_error_names_its_field() {
    for (from, to, name) in [
        ("\"channel\": \"stable\"", "\"channel\": \"../x\"", "channel"),
        ("\"schema\": 1,", "", "."),
        ("\"paused\": false", "\"paused\": 0", "paused"),
        ("\"security_floor\"", "\"floor\"", "."),
        ("\"version\": \"1.3.0\"", "\"version\": \"1.5.0\"", "releases[1].version"),
        ("\"version\": \"1.3.0\"", "\"version\": \"1.3\"", "releases[0].version"),
        ("\"epoch\": 3", "\"epoch\": 4", "releases[1].epoch"),
        ("\"epoch\": 3", "\"epoch\": -1", "releases[0].epoch"),
        ("\"bytes\": 16777216", "\"bytes\": 16777217", "releases[0].root.bytes"),
        ("\"min_slot_bytes\": 16777216", "\"min_slot_bytes\": 1", "releases[0].root.min_slot_bytes"),
        ("\"header_bytes\": 4096", "\"header_bytes\": 0", "releases[0].full.root.header_bytes"),
        ("\"header_bytes\": 4096", "\"header_bytes\": 99999999", "releases[0].full.root.header_bytes"),
        ("1.3.0-root.ops", "../1.3.0-root.ops", "releases[0].full.root.target"),
        ("\"permille\": 10", "\"permille\": 999", "releases[0].waves.points[1].permille"),
        ("\"permille\": 1000", "\"permille\": 999", "releases[0].waves.points"),
        ("\"after_seconds\": 3600", "\"after_seconds\": 999999", "releases[0].waves.points[1].after_seconds"),
        ("\"start\": \"2026-11-21T09:00:00Z\"", "\"start\": \"soon\"", "releases[0].waves.start"),
        (
            "\"version\": \"1.3.0\"",
            "\"version\": \"1.3.0\", \"notes\": \"javascript:x\"",
            "releases[0].notes",
        ),
        ("\"version\": \"1.3.0\"", "\"version\": \"1.3.0\", \"min_from\": \"1.3.0\"", "releases[0].min_from"),
    ] {
        assert_eq!(field(edited(from, to).unwrap_err()), name, "{to}");
    }
}

#[test]
fn bounds_hold() {
    let long = vec![b' '; MAX_BYTES + 1];
    assert!(matches!(Manifest::parse(&long), Err(Error::TooLarge { .. })));
    let nested = "[".repeat(MAX_BYTES / 2);
    assert!(Manifest::parse(nested.as_bytes()).is_err());
    let mut manifest = fixture::manifest(&["1.3.0"]);
    manifest.recalled = vec!["1.3.0".parse().unwrap(); MAX_RECALLED + 1];
    assert_eq!(field(manifest.to_bytes().unwrap_err()), "recalled");
    let mut manifest = fixture::manifest(&["1.3.0", "1.4.0"]);
    manifest.releases[1].root.hash = manifest.releases[0].root.hash;
    assert_eq!(field(manifest.to_bytes().unwrap_err()), "releases[1].root.hash");
    let versions: Vec<_> = (0..=MAX_RELEASES).map(|n| format!("1.{n}.0")).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    assert_eq!(field(fixture::manifest(&versions).to_bytes().unwrap_err()), "releases");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = fixture::manifest(&["1.3.0", "1.4.0"]).to_bytes().unwrap();
        for (index, byte) in cuts {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(Manifest::parse(&manifest.to_bytes().unwrap()).unwrap(), manifest);
        }
    }
}
