//! Releases for the tests.

use coracle_layout::{OsVersion, RootHash};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::Digest,
    manifest::{Files, Manifest, OpsFile, Release, RootImage, UkiImage},
    system::{Epoch, System},
    waves::{Point, Waves},
};

pub(crate) fn version(text: &str) -> OsVersion {
    text.parse().unwrap()
}

/// The system of that version: its root hash follows from its version.
pub(crate) fn system(text: &str) -> System {
    System { version: version(text), root: RootHash::new(Sha256::digest(text).into()) }
}

/// The UKI of the system of that version.
pub(crate) fn uki(text: &str) -> Digest {
    Digest::new(Sha256::digest(format!("{text} uki")).into())
}

fn files(text: &str) -> Files {
    let ops = |part: &str| OpsFile {
        target: format!("os-{text}-{part}.ops").parse().unwrap(),
        bytes: 5 << 20,
        header_bytes: 4096,
        header_sha256: Digest::new([1; 32]),
    };
    Files { root: ops("root"), uki: ops("uki") }
}

pub(crate) fn release(text: &str) -> Release {
    Release {
        version: version(text),
        epoch: Epoch(3),
        barrier: false,
        min_from: None,
        notes: None,
        root: RootImage { hash: system(text).root, bytes: 16 << 20, min_slot_bytes: 16 << 20 },
        uki: UkiImage { sha256: uki(text), bytes: 6 << 20 },
        full: files(text),
        deltas: Vec::new(),
        waves: Some(Waves {
            start: "2026-11-21T09:00:00Z".parse().unwrap(),
            points: [(3600, 10), (4 * 3600, 50), (24 * 3600, 1000)]
                .map(|(after_seconds, permille)| Point { after_seconds, permille })
                .to_vec(),
        }),
    }
}

/// A manifest of these releases, each with a delta from the one before it.
pub(crate) fn manifest(versions: &[&str]) -> Manifest {
    let mut releases: Vec<_> = versions.iter().map(|text| release(text)).collect();
    for (index, pair) in versions.windows(2).enumerate() {
        let from = system(pair[0]);
        let files = files(&format!("{}-{}", pair[0], pair[1]));
        releases[index + 1].deltas.push(crate::manifest::Delta {
            from: from.version,
            from_root: from.root,
            files,
        });
    }
    Manifest {
        channel: "stable".parse().unwrap(),
        arch: "x86_64".parse().unwrap(),
        product: "hello".parse().unwrap(),
        paused: false,
        recalled: vec![version("1.2.9")],
        security_floor: version("1.0.0"),
        releases,
    }
}
