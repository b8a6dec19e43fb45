//! Releases: published, found by a machine, put together from full files and deltas, withdrawn.

use std::fs::{self, File};
use std::io::Cursor;
use std::sync::Arc;

use coracle_bzimage::{pack, specimen, unpack};
use coracle_layout::VERITY_SALT;
use coracle_ops::{Applier, Hash, Header};
use coracle_rollout::manifest::OpsFile;
use coracle_rollout::{Line, Manifest, Time};
use coracle_trust::store::Store;
use coracle_trust::transport::{Folder, collect};
use coracle_trust::{Client, Clock, Embedded, Limits, Repository, Transport, Versions};
use coracle_verity::{DataBlocks, Salt, Superblock};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::place::Place;

const BLOCKS: usize = 96;

/// What a build would leave: a root of noise in which few blocks follow from the version, and a UKI likewise.
pub fn build(place: &Place, version: &str) -> [Vec<u8>; 2] {
    let noise = |seed: u64, len: usize| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(len).collect::<Vec<u8>>()
    };
    let own = version.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
    let (mut root, mut uki) = (noise(7, BLOCKS * 4096), noise(8, 30_000));
    root[40 * 4096..42 * 4096].copy_from_slice(&noise(own, 2 * 4096));
    uki[5000..6000].copy_from_slice(&noise(own + 1, 1000));
    let folder = place.path(version);
    fs::create_dir_all(&folder).unwrap();
    let superblock = Superblock {
        uuid: [7; 16],
        data_blocks: DataBlocks::new(BLOCKS as u64).unwrap(),
        salt: Salt::new(&VERITY_SALT).unwrap(),
    };
    let mut tree = File::create(folder.join("verity")).unwrap();
    let hash = coracle_verity::build(&root[..], &superblock, &mut tree).unwrap();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let report = json!({
        "name": "hello", "version": version, "arch": "x86_64", "root_hash": hash,
        "files": { "root": "root", "verity": "verity", "uki": "uki" },
    });
    fs::write(folder.join("release.json"), report.to_string()).unwrap();
    fs::write(folder.join("root"), &root).unwrap();
    fs::write(folder.join("uki"), &uki).unwrap();
    [root, uki]
}

pub fn publish(place: &Place, version: &str, more: &[&str]) -> String {
    place.ok(&[&["publish", version, "--channel", "stable"], more].concat())
}

fn line() -> Line {
    Line {
        channel: "stable".parse().unwrap(),
        arch: "x86_64".parse().unwrap(),
        product: "hello".parse().unwrap(),
    }
}

/// A machine that knows the first root and remembers what it saw.
struct Machine {
    from: Arc<Folder>,
    repository: Repository,
    manifest: Manifest,
}

fn machine(place: &Place) -> Machine {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let root = fs::read(place.path("repo/metadata/1.root.json")).unwrap();
    let embedded = Embedded { root, versions: Versions::default(), built: Time::from_unix(0) };
    let store = Store::new(place.path("kept"));
    let client = Client::new(store, place.path("scratch"), embedded, Limits::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let from = Arc::new(Folder::new(place.path("repo")));
    runtime.block_on(async {
        let refreshed = client.refresh(from.clone(), Clock::Set(Time::from_unix(now))).await.unwrap();
        let manifest = refreshed.repository.manifest(&line(), &*from).await.unwrap();
        Machine { from, repository: refreshed.repository, manifest: (*manifest).clone() }
    })
}

impl Machine {
    fn header(&self, file: &OpsFile) -> Header {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let path = self.repository.ops(file).unwrap().path().unwrap();
        let body =
            async { collect(self.from.part(&path, 0..file.header_bytes, file.bytes).await?, 1 << 30).await };
        Header::parse(&runtime.block_on(body).unwrap(), file.header_sha256.as_bytes()).unwrap()
    }

    /// What an ops file makes of these bytes, fetched in parts as a machine fetches them.
    fn apply(&self, file: &OpsFile, source: &[u8]) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let path = self.repository.ops(file).unwrap().path().unwrap();
        let fetch = |range: std::ops::Range<u64>| {
            let body = async { collect(self.from.part(&path, range, file.bytes).await?, 1 << 30).await };
            runtime.block_on(body).unwrap()
        };
        let header = Header::parse(&fetch(0..file.header_bytes), file.header_sha256.as_bytes()).unwrap();
        let mut target = vec![0; header.target().len as usize];
        let mut applier = Applier::new(&header, source);
        for (index, op) in header.ops().iter().enumerate() {
            let end = op.body_at + u64::from(op.body_len);
            let body = if op.body_len == 0 { Vec::new() } else { fetch(op.body_at..end) };
            let out = applier.apply(index, &body, &target[..]).unwrap();
            let (at, bytes) = (out.at as usize, out.bytes.to_vec());
            target[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        target
    }
}

#[test]
fn a_release_comes_whole_and_by_deltas() {
    let place = Place::new();
    let built: Vec<_> = ["1.0.0", "1.1.0", "1.2.0"].map(|version| (version, build(&place, version))).into();
    for (version, _) in &built {
        publish(&place, version, &["--deltas", "1"]);
        place.python_tuf();
    }
    let machine = machine(&place);
    let releases = &machine.manifest.releases;
    assert_eq!(releases.len(), 3);
    for (index, (release, (version, [root, uki]))) in releases.iter().zip(&built).enumerate() {
        assert_eq!(release.version.to_string(), *version);
        assert_eq!(release.waves.as_ref().unwrap().points.len(), 7);
        assert!(machine.apply(&release.full.root, b"") == *root, "{version}");
        assert!(machine.apply(&release.full.uki, b"") == *uki, "{version}");
        assert_eq!(release.deltas.len(), index.min(1), "{version}");
        for delta in &release.deltas {
            let [old_root, old_uki] = &built[index - 1].1;
            assert_eq!(delta.from_root, releases[index - 1].root.hash);
            assert!(machine.apply(&delta.files.root, old_root) == *root, "{version}");
            assert!(machine.apply(&delta.files.uki, old_uki) == *uki, "{version}");
            assert!(delta.files.root.bytes * 10 < release.full.root.bytes, "{delta:?}");
        }
    }
    assert_eq!(fs::read_dir(place.path("repo")).unwrap().count(), 2, "something was left behind");
}

/// A kernel that was built again.
fn rebuilt(content: &[u8]) -> Vec<u8> {
    let mut new = content.to_vec();
    (0..new.len() - 8).step_by(9000).for_each(|at| new[at] ^= 1);
    new.splice(300_000..300_000, specimen::content(5000, 2));
    new
}

#[test]
fn a_kernel_image_is_made_of_its_unpacked_form_where_that_is_shorter() {
    let place = Place::new();
    let [_, noise] = build(&place, "1.0.0");
    let old = specimen::content(1 << 20, 1);
    let new = rebuilt(&old);
    // By another compressor, from which no machine has it again.
    let foreign = zstd::bulk::compress(&rebuilt(&new), 1).unwrap();
    let foreign = specimen::bzimage(&foreign, rebuilt(&new).len());
    let mut changed = specimen::image(&new);
    *changed.last_mut().unwrap() ^= 1;
    let images = [
        ("1.1.0", specimen::image(&old)),
        ("1.2.0", specimen::image(&new)),
        ("1.3.0", changed),
        ("1.4.0", specimen::uki(&foreign)),
        ("1.5.0", specimen::image(&old)),
    ];
    publish(&place, "1.0.0", &[]);
    for (version, uki) in &images {
        build(&place, version);
        fs::write(place.path(version).join("uki"), uki).unwrap();
        publish(&place, version, &["--deltas", "1"]);
    }
    let machine = machine(&place);
    let releases = &machine.manifest.releases;
    let ways = [
        ("1.1.0", false, "from what is no kernel image"),
        ("1.2.0", true, "from one kernel to the next"),
        ("1.3.0", false, "with the same kernel"),
        ("1.4.0", false, "to a kernel that another compressor packed"),
        ("1.5.0", true, "from such a kernel, as it has a form"),
    ];
    for (index, (version, by_form, what)) in ways.into_iter().enumerate() {
        let before = index.checked_sub(1).map_or(&noise, |before| &images[before].1);
        let release = &releases[index + 1];
        let file = &release.deltas[0].files.uki;
        assert_eq!(release.version.to_string(), version);
        assert_eq!(release.uki.sha256.as_bytes()[..], Sha256::digest(&images[index].1)[..]);
        assert_eq!(matches!(machine.header(file).target().hash, Hash::Unpacked(_)), by_form, "{what}");
        if !by_form {
            if file.bytes < release.full.uki.bytes {
                assert!(machine.apply(file, before) == images[index].1, "{what}");
            }
            continue;
        }
        let mut form = Vec::new();
        unpack(&mut Cursor::new(before), &mut form).unwrap();
        let form = machine.apply(file, &form);
        let mut image = Vec::new();
        pack(&mut &form[..], &mut image).unwrap();
        assert!(image == images[index].1, "{what}");
        assert!(
            file.bytes * 2 < release.full.uki.bytes,
            "{what}: {} of {}",
            file.bytes,
            release.full.uki.bytes
        );
    }
}

#[test]
fn there_is_always_a_delta_from_a_stepping_stone() {
    let place = Place::new();
    for (version, more) in [("1.0.0", &["--barrier"][..]), ("1.1.0", &[]), ("1.2.0", &[])] {
        build(&place, version);
        publish(&place, version, &[&["--deltas", "1", "--at-once", "--epoch", "4"], more].concat());
    }
    let manifest = machine(&place).manifest;
    let from: Vec<_> = manifest.releases[2].deltas.iter().map(|delta| delta.from.to_string()).collect();
    assert_eq!(from, ["1.0.0", "1.1.0"]);
    assert!(manifest.releases[0].barrier && manifest.releases[2].waves.is_none());
    assert_eq!(manifest.releases[2].epoch.0, 4);
}

#[test]
fn published_again_it_is_the_same() {
    let place = Place::new();
    build(&place, "1.0.0");
    publish(&place, "1.0.0", &[]);
    let before = machine(&place).manifest;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    publish(&place, "1.0.0", &[]);
    assert_eq!(machine(&place).manifest, before);
    assert_eq!(fs::read_dir(place.path("repo/targets")).unwrap().count(), 3);
}

#[test]
fn files_that_no_manifest_names_leave_the_list() {
    let place = Place::new();
    for version in ["1.0.0", "1.1.0"] {
        build(&place, version);
        publish(&place, version, &[]);
    }
    let delta = machine(&place).manifest.releases[1].deltas[0].files.root.clone();
    assert!(machine(&place).repository.ops(&delta).is_ok());
    publish(&place, "1.1.0", &["--deltas", "0"]);
    assert!(machine(&place).repository.ops(&delta).is_err());
}

#[test]
fn a_version_is_built_once() {
    let place = Place::new();
    build(&place, "1.0.0");
    publish(&place, "1.0.0", &[]);
    build(&place, "1.0.1");
    let report = fs::read_to_string(place.path("1.0.1/release.json")).unwrap();
    fs::write(place.path("1.0.1/release.json"), report.replace("1.0.1", "1.0.0")).unwrap();
    assert!(place.fails(&["publish", "1.0.1", "--channel", "stable"]).contains("a version is built once"));
}

#[test]
fn a_root_that_is_not_the_reports_is_refused() {
    let place = Place::new();
    let [mut root, _] = build(&place, "1.0.0");
    root[70_000] ^= 1;
    fs::write(place.path("1.0.0/root"), root).unwrap();
    assert!(place.fails(&["publish", "1.0.0", "--channel", "stable"]).contains("the report says"));
}

#[test]
fn a_manifest_that_breaks_a_rule_is_not_published() {
    let place = Place::new();
    build(&place, "1.0.0");
    let said = place.run(&["publish", "1.0.0", "--channel", "stable", "--min-from", "1.0.0"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("min_from must be lower than the release's version"), "{said}");
    place.python_tuf();
}

#[test]
fn withdrawn() {
    let place = Place::new();
    for version in ["1.0.0", "1.1.0"] {
        build(&place, version);
        publish(&place, version, &[]);
    }
    place.ok(&["withdraw", "1.1.0", "--channel", "stable"]);
    place.ok(&["withdraw", "1.1.0", "--channel", "stable"]);
    place.python_tuf();
    let manifest = machine(&place).manifest;
    assert_eq!(manifest.recalled, ["1.1.0".parse().unwrap()]);
    assert!(
        place
            .fails(&["withdraw", "1.1.0", "--channel", "beta"])
            .contains("channel beta has no version 1.1.0")
    );
}

#[test]
fn paused_until_it_is_resumed() {
    let place = Place::new();
    build(&place, "1.0.0");
    publish(&place, "1.0.0", &[]);
    for (word, want) in [("pause", true), ("pause", true), ("resume", false)] {
        place.ok(&[word, "--channel", "stable"]);
        assert_eq!(machine(&place).manifest.paused, want, "{word}");
    }
    assert!(place.fails(&["pause", "--channel", "beta"]).contains("there is no channel beta"));
}

#[test]
fn killed_while_it_publishes_it_verifies_and_goes_on() {
    let place = Place::new();
    for version in ["1.0.0", "1.1.0"] {
        build(&place, version);
    }
    publish(&place, "1.0.0", &[]);
    for round in 0..16 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(["publish", "1.1.0", "--channel", "stable", "--repo", "repo", "--keys", "keys"])
            .args(["--passphrase-file", "passphrase"])
            .current_dir(place.path("."))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(80 * round));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        place.python_tuf();
        machine(&place);
    }
    publish(&place, "1.1.0", &[]);
    place.python_tuf();
    assert_eq!(machine(&place).manifest.releases.len(), 2);
    assert_eq!(fs::read_dir(place.path("repo")).unwrap().count(), 2, "something was left behind");
}

#[test]
fn two_at_once_do_not_mix() {
    let place = Place::new();
    let held = File::open(place.path("repo")).unwrap();
    held.lock().unwrap();
    assert!(place.fails(&["refresh"]).contains("is being changed by another command"));
    drop(held);
    place.ok(&["refresh"]);
}
