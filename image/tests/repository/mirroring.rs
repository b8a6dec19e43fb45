//! `coracle mirror` and `coracle bundle`: copies that a machine believes, and what is no copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::Place;
use crate::releases::{build, publish};
use crate::serving::Serving;

/// A repository with three releases in one channel and one in another.
fn place() -> Place {
    let place = Place::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        build(&place, version);
        publish(&place, version, &["--deltas", "1"]);
    }
    place.ok(&["publish", "1.0.0", "--channel", "beta"]);
    fs::copy(place.path("repo/metadata/1.root.json"), place.path("root.json")).unwrap();
    place
}

/// What it says on both outputs; whether all is well.
fn coracle(place: &Place, words: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_coracle")).args(words).current_dir(place.path("")).output();
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn mirror(place: &Place, from: &str) -> Value {
    let (good, out, err) =
        coracle(place, &["mirror", from, "--repo", "copy", "--root", "root.json", "--json"]);
    assert!(good, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn refused(place: &Place, words: &[&str]) -> String {
    let (good, _, err) = coracle(place, words);
    assert!(!good, "{words:?}");
    err
}

/// Every file that a server would give, with its bytes.
fn files(place: &Place, repo: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in ["metadata", "targets"] {
        for entry in fs::read_dir(place.path(repo).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            files.push((format!("{folder}/{name}"), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// What is listed now: metadata of before is not copied.
fn newest(files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let old = |name: &str| {
        let list = |kind: &str| {
            name.ends_with(kind)
                && !files.iter().all(|(other, _)| !other.ends_with(kind) || number(other) <= number(name))
        };
        list(".snapshot.json") || list(".targets.json")
    };
    files.iter().filter(|(name, _)| !old(name)).cloned().collect()
}

fn number(name: &str) -> u32 {
    name.trim_start_matches("metadata/").split('.').next().unwrap().parse().unwrap()
}

fn target(place: &Place, repo: &str, of: &str) -> PathBuf {
    let listed = fs::read_dir(place.path(repo).join("targets")).unwrap();
    let mut all = listed.map(|entry| entry.unwrap().path());
    all.find(|path| path.to_str().unwrap().ends_with(of)).unwrap_or_else(|| panic!("no {of}"))
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_copy_has_all_that_counts_and_goes_on_where_it_was() {
    let place = place();
    let serving = Serving::new(&place, &[]);
    let first = mirror(&place, &serving.address);
    let old = files(&place, "copy").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    // Manifests of before are still in the repository, and nobody lists them.
    let listed: Vec<_> =
        newest(files(&place, "repo")).into_iter().filter(|(name, _)| old.contains(name)).collect();
    assert_eq!(files(&place, "copy"), listed);
    assert_eq!((first["kept"].as_u64(), first["left_out"].as_u64()), (Some(0), Some(0)));

    let again = mirror(&place, "repo");
    assert_eq!((again["fetched"].as_u64(), &again["kept"]), (Some(0), &first["fetched"]));
    assert!(coracle(&place, &["mirror", "repo", "--repo", "copy"]).0, "by the copy's own first root");
    damage(&target(&place, "copy", "1.2.0-root.ops"));
    fs::remove_file(target(&place, "copy", "1.2.0-uki.ops")).unwrap();
    assert_eq!(mirror(&place, "repo")["fetched"], 2, "what is missing or damaged is fetched anew");
    assert_eq!(files(&place, "copy"), listed);

    build(&place, "1.3.0");
    publish(&place, "1.3.0", &["--deltas", "1"]);
    place.ok(&["keys", "rotate", "timestamp-1"]);
    let more = mirror(&place, &serving.address);
    assert_eq!(more["root"], 2);
    let now = files(&place, "copy").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(old.iter().all(|name| now.contains(name)), "old files are kept");
    assert!(now.contains(&"metadata/2.root.json".to_owned()));
}

#[test]
fn what_a_machine_would_refuse_is_not_copied() {
    let place = place();
    let words = ["mirror", "repo", "--repo", "copy"];
    assert!(refused(&place, &words).contains("--root"), "nobody is trusted by chance");
    let with_root = [&words[..], &["--root", "root.json"]].concat();
    let other = Place::new();
    fs::copy(other.path("repo/metadata/1.root.json"), place.path("other.json")).unwrap();
    let strange = [&words[..], &["--root", "other.json"]].concat();
    assert!(refused(&place, &strange).contains("a machine would refuse it"));

    let path = target(&place, "repo", "1.2.0-root.ops");
    let whole = fs::read(&path).unwrap();
    damage(&path);
    let said = refused(&place, &with_root);
    assert!(said.contains("is not the file that the repository lists"), "{said}");
    assert!(!place.path("copy/metadata/timestamp.json").exists(), "the timestamp comes last");
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert!(refused(&place, &with_root).contains("is not the file"));
    fs::write(&path, &whole).unwrap();
    mirror(&place, "repo");

    let timestamp = fs::read(place.path("repo/metadata/timestamp.json")).unwrap();
    publish(&place, "1.1.0", &["--deltas", "1", "--security-floor", "1.0.0"]);
    mirror(&place, "repo");
    let before = files(&place, "copy");
    fs::write(place.path("repo/metadata/timestamp.json"), timestamp).unwrap();
    assert!(refused(&place, &with_root).contains("a machine would refuse it"), "it never goes back");
    fs::remove_dir_all(place.path("copy/.mirror")).unwrap();
    assert!(refused(&place, &with_root).contains("is older"), "not without its memory either");
    assert_eq!(files(&place, "copy"), before);
}

#[test]
fn a_bundle_brings_a_channel() {
    let place = place();
    let pack = |out: &str, more: &[&str]| {
        let words = [&["bundle", "repo", out, "--channel", "stable"], more].concat();
        let (good, _, err) = coracle(&place, &words);
        assert!(good, "{err}");
        fs::read(place.path(out)).unwrap()
    };
    let whole = pack("stable.tar", &[]);
    assert_eq!(pack("again.tar", &[]), whole, "the same bytes");
    let one = pack("one.tar", &["--version", "1.2.0"]);
    assert!(one.len() < whole.len());
    let listing = Command::new("tar").args(["-tf", "one.tar"]).current_dir(place.path("")).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(
        listing.starts_with("bundle.json\n") && listing.ends_with("metadata/timestamp.json\n"),
        "{listing}"
    );
    assert!(!listing.contains("-beta-") && listing.contains("1.1.0-1.2.0"), "{listing}");

    let (good, out, err) = coracle(&place, &["bundle", "--from", "one.tar", "copy", "--root", "root.json"]);
    assert!(good && out.starts_with("root 1 "), "{out}{err}");
    assert!(files(&place, "copy").iter().all(|(name, _)| !name.contains("-beta-")));
    let rest = mirror(&place, "stable.tar");
    assert!(rest["fetched"].as_u64() > Some(0) && rest["kept"].as_u64() > Some(0), "{rest}");
    assert_eq!(mirror(&place, "repo")["left_out"], 0);

    for (words, want) in [
        (["bundle", "repo", "x.tar", "--channel", "edge"].as_slice(), "there is no channel edge"),
        (&["bundle", "repo", "x.tar", "--channel", "stable", "--version", "9.0.0"], "does not offer 9.0.0"),
        (&["bundle", "repo", "x.tar"], "--channel"),
        (&["bundle", "--from", "gone.tar", "copy"], "there is no bundle gone.tar"),
        (&["mirror", "root.json", "--repo", "copy"], "is no bundle"),
    ] {
        assert!(refused(&place, words).contains(want), "{words:?}");
    }
    assert!(!place.path("x.tar").exists());
}

#[test]
fn a_bundle_is_believed_no_more_than_a_server() {
    let place = place();
    let (good, _, err) = coracle(&place, &["bundle", "repo", "stable.tar", "--channel", "stable"]);
    assert!(good, "{err}");
    let whole = fs::read(place.path("stable.tar")).unwrap();
    let content = fs::read(target(&place, "repo", "1.2.0-root.ops")).unwrap();
    let at = whole.windows(content.len()).position(|bytes| bytes == content).unwrap();
    let (mut flipped, mut renamed) = (whole.clone(), whole.clone());
    flipped[at + content.len() / 2] ^= 1;
    let name = whole.windows(16).position(|bytes| bytes == b"metadata/1.root.").unwrap();
    renamed[name..name + 8].copy_from_slice(b"../../..");
    for (bytes, want) in [
        (flipped, "is not the file that the repository lists"),
        (renamed, "is no bundle"),
        (whole[..at + 100].to_vec(), "timestamp.json"),
    ] {
        fs::write(place.path("bad.tar"), bytes).unwrap();
        let said = refused(&place, &["mirror", "bad.tar", "--repo", "copy", "--root", "root.json"]);
        assert!(said.contains(want), "{want}: {said}");
        assert!(!place.path("copy/metadata/timestamp.json").exists(), "{want}");
    }
}
