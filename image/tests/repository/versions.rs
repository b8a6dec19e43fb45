//! What each command changes, as two clients see it that remember what they saw before.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use coracle_image::repository::Repo;
use coracle_rollout::Time;

use crate::place::Place;

/// Both clients believe that: the machine's own code looks at each result before it is published.
#[track_caller]
fn both(place: &Place, words: &[&str], versions: &str) {
    assert_eq!(place.ok(words), versions, "{words:?}");
    assert_eq!(place.python_tuf(), versions, "{words:?}");
}

fn keep_only(place: &Place, folder: &str, names: &[&str]) {
    fs::create_dir_all(place.path(folder)).unwrap();
    for name in names {
        let file = format!("{name}.pem");
        fs::copy(place.path("keys").join(&file), place.path(folder).join(&file)).unwrap();
    }
}

#[test]
fn a_life_of_a_repository() {
    let place = Place::empty();
    both(&place, &["keys", "init"], "root 1 timestamp 1 snapshot 1 targets 1");
    both(&place, &["refresh"], "root 1 timestamp 2 snapshot 1 targets 1");
    both(&place, &["keys", "update"], "root 2 timestamp 2 snapshot 1 targets 1");
    both(&place, &["keys", "rotate", "timestamp-1"], "root 3 timestamp 3 snapshot 1 targets 1");
    both(&place, &["keys", "rotate", "snapshot-1"], "root 4 timestamp 4 snapshot 2 targets 1");
    both(&place, &["keys", "rotate", "targets-1"], "root 5 timestamp 5 snapshot 3 targets 2");
    both(&place, &["keys", "rotate", "root-2"], "root 6 timestamp 5 snapshot 3 targets 2");
    // What was replaced signs nothing any more.
    fs::create_dir(place.path("old")).unwrap();
    for name in ["root-2", "snapshot-1", "targets-1", "timestamp-1"] {
        let file = format!("{name}.pem");
        fs::rename(place.path("keys").join(&file), place.path("old").join(&file)).unwrap();
    }
    assert!(place.fails(&["refresh", "--keys", "old"]).contains("timestamp: 0 of 1 keys are here"));
    both(&place, &["refresh"], "root 6 timestamp 6 snapshot 3 targets 2");
    both(&place, &["keys", "update"], "root 7 timestamp 6 snapshot 3 targets 2");
    assert_eq!(fs::read_dir(place.path("repo")).unwrap().count(), 2, "something was left behind");
}

#[test]
fn what_is_signed_offline_is_asked_for_before_it_ends() {
    let place = Place::new();
    let ends = |days: u64| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Time::from_unix(since.as_secs() + days * 86_400);
        let repo = Repo::open(&place.path("repo")).unwrap();
        repo.ends_soon(now).into_iter().map(|(role, _)| role).collect::<Vec<_>>()
    };
    assert_eq!((ends(59), ends(61)), (vec![], vec!["targets"]));
    assert_eq!(ends(336), ["root", "targets"]);
    keep_only(&place, "online", &["snapshot-1", "timestamp-1"]);
    let said = place.fails(&["refresh", "--targets", "--keys", "online"]);
    assert!(said.contains("targets: 0 of 1 keys are here"), "{said}");
    both(&place, &["refresh", "--targets"], "root 1 timestamp 2 snapshot 2 targets 2");
}

#[test]
fn as_many_keys_sign_as_were_asked_for() {
    let place = Place::empty();
    place.ok(&["keys", "init", "--root", "1/2", "--targets", "2/3"]);
    place.python_tuf();
    keep_only(&place, "one", &["targets-2", "snapshot-1", "timestamp-1"]);
    let said = place.fails(&["refresh", "--targets", "--keys", "one"]);
    assert!(said.contains("targets: 1 of 2 keys are here"), "{said}");
    keep_only(&place, "other", &["targets-3"]);
    let both_of_them = ["refresh", "--targets", "--keys", "one", "--keys", "other"];
    both(&place, &both_of_them, "root 1 timestamp 2 snapshot 2 targets 2");
    keep_only(&place, "root", &["root-2"]);
    both(&place, &["keys", "update", "--keys", "root"], "root 2 timestamp 2 snapshot 2 targets 2");
    for quorum in ["0/1", "2/1", "1/17", "2", "a/b"] {
        let refused = place.run(&["keys", "init", "--targets", quorum]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("a quorum is M/N"), "{quorum}");
    }
}

#[test]
fn each_place_needs_its_own_keys_alone() {
    let place = Place::new();
    keep_only(&place, "online", &["snapshot-1", "timestamp-1"]);
    keep_only(&place, "safe-1", &["root-1"]);
    keep_only(&place, "safe-3", &["root-3"]);
    both(&place, &["refresh", "--keys", "online"], "root 1 timestamp 2 snapshot 1 targets 1");
    let two = ["keys", "update", "--keys", "safe-1", "--keys", "safe-3"];
    both(&place, &two, "root 2 timestamp 2 snapshot 1 targets 1");
    for words in [["keys", "update", "--keys", "safe-1"], ["keys", "update", "--keys", "online"]] {
        let said = place.fails(&words);
        assert!(said.contains("of 2 keys are here"), "{said}");
    }
    assert!(place.fails(&["keys", "rotate", "timestamp-7"]).contains("the root lists no key timestamp-7"));
}

#[test]
fn a_rotation_that_failed_takes_the_key_that_it_made() {
    let place = Place::new();
    for name in ["root-1", "root-2"] {
        fs::rename(place.path(&format!("keys/{name}.pem")), place.path(name)).unwrap();
    }
    assert!(place.fails(&["keys", "rotate", "timestamp-1"]).contains("root: 1 of 2 keys are here"));
    fs::rename(place.path("root-1"), place.path("keys/root-1.pem")).unwrap();
    both(&place, &["keys", "rotate", "timestamp-1"], "root 2 timestamp 2 snapshot 1 targets 1");
    let names = fs::read_dir(place.path("keys")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_str().unwrap().starts_with("timestamp")).count(), 2);
    // One that was replaced never comes back.
    both(&place, &["keys", "rotate", "timestamp-2"], "root 3 timestamp 3 snapshot 1 targets 1");
    assert!(place.path("keys/timestamp-3.pem").exists());
}

#[test]
fn metadata_of_others_is_not_built_on() {
    let place = Place::new();
    let path = place.path("repo/metadata/timestamp.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"version\": 1", "\"version\": 7")).unwrap();
    let said = place.fails(&["refresh"]);
    assert!(said.contains("timestamp.json is not signed by this repository's keys"), "{said}");
}

#[test]
fn leftovers_of_a_change_that_was_cut_short_are_stepped_over() {
    let place = Place::new();
    fs::write(place.path("repo/metadata/2.snapshot.json"), "{}").unwrap();
    fs::write(place.path("repo/metadata/2.targets.json"), "{}").unwrap();
    both(&place, &["keys", "rotate", "targets-1"], "root 2 timestamp 2 snapshot 3 targets 3");
}

#[test]
fn killed_at_any_moment_it_verifies_and_goes_on() {
    let place = Place::new();
    place.python_tuf();
    for round in 0..24 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(["refresh", "--repo", "repo", "--keys", "keys", "--passphrase-file", "passphrase"])
            .current_dir(place.path("."))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(15 * round));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        place.python_tuf();
    }
    place.ok(&["refresh"]);
    place.python_tuf();
}

#[test]
fn a_rotation_between_root_and_timestamp_is_finished_by_the_next_refresh() {
    let place = Place::new();
    let before: Vec<(PathBuf, Vec<u8>)> = place.files();
    place.ok(&["keys", "rotate", "timestamp-1"]);
    // The new root is there, the timestamp still the old one: power was lost between the two.
    let old = before.iter().find(|(path, _)| path.ends_with("timestamp.json")).unwrap();
    fs::write(&old.0, &old.1).unwrap();
    both(&place, &["refresh"], "root 2 timestamp 2 snapshot 1 targets 1");
}
