//! A disk in memory that remembers every write and flush, roots to install on it, and stage 1's rule.
#![allow(dead_code)] // Each test uses its part.

pub mod disk;

use std::io::Cursor;
use std::sync::LazyLock;

use coracle_layout::{RootHash, Slot, VERITY_SALT};
use coracle_ops::build::{Image, delta, full};
use coracle_ops::{Hash, Header, Identity, ReadAt};
use coracle_updater::slot::{Error, Job, Pace, Sealed, Stored, Target};
use coracle_verity::{
    DataBlocks, SUPERBLOCK_LEN, Salt, Superblock, build, hash_area_len, top_block_hash, verify,
};
use disk::{Disk, ROOT_A, ROOT_B, TREE_A, TREE_B};

pub const BLOCK: usize = 4096;
/// Small, so that a small root has many pieces and checkpoints.
pub const PACE: Pace = Pace { piece: 16 << 10, checkpoint: 64 << 10 };

/// Numbers that look random and are the same for the same seed (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// Bytes that shrink to a quarter.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| b'a' + (self.next() >> 60) as u8 % 4).collect()
    }
}

/// A root with its tree.
pub struct Root {
    pub bytes: Vec<u8>,
    pub area: Vec<u8>,
    pub hash: RootHash,
}

impl Root {
    pub fn new(bytes: Vec<u8>) -> Self {
        let superblock = Superblock {
            uuid: [1; 16],
            data_blocks: DataBlocks::new((bytes.len() / BLOCK) as u64).unwrap(),
            salt: Salt::new(&VERITY_SALT).unwrap(),
        };
        let mut area = Cursor::new(Vec::new());
        let hash = RootHash::new(build(&bytes[..], &superblock, &mut area).unwrap());
        Self { bytes, area: area.into_inner(), hash }
    }

    pub fn identity(&self) -> Identity {
        Identity { len: self.bytes.len() as u64, hash: Hash::Verity(*self.hash.as_bytes()) }
    }

    fn image(&self) -> Image<&[u8]> {
        Image { bytes: &self.bytes, identity: self.identity() }
    }
}

/// An ops file.
pub struct OpsFile {
    pub bytes: Vec<u8>,
    pub header: Header,
}

impl OpsFile {
    pub fn full(target: &Root) -> Self {
        let mut bodies = Vec::new();
        let made = full(&target.image(), &mut bodies).unwrap();
        Self { bytes: [made.head, bodies].concat(), header: made.header }
    }

    pub fn delta(source: &Root, target: &Root) -> Self {
        let mut bodies = Vec::new();
        let made = delta(&source.image(), &target.image(), &mut bodies).unwrap();
        Self { bytes: [made.head, bodies].concat(), header: made.header }
    }
}

/// A machine that runs from A, with an older root in B, and the release that is to come there. Between them its files have every
/// kind of operation, and references to the target's own blocks.
pub struct Scene {
    pub running: Root,
    pub stale: Root,
    pub new: Root,
    pub full: OpsFile,
    pub delta: OpsFile,
}

impl Scene {
    /// The same one for every test of a program: making it takes seconds.
    pub fn get() -> &'static Self {
        static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);
        &SCENE
    }

    fn new() -> Self {
        let mut random = Random(1);
        // Parts of 24 blocks: 8 of their own, and 16 that are zeros or were there before, which end an operation of a full file.
        let mut running = random.bytes(24 * BLOCK);
        for part in 1..6 {
            running.extend(random.bytes(8 * BLOCK));
            match part % 2 {
                1 => running.extend([0; 16 * BLOCK]),
                _ => running.extend_from_within(..16 * BLOCK),
            }
        }
        let mut new = running.clone();
        for at in (24 * BLOCK..new.len()).step_by(BLOCK / 3).filter(|at| at / BLOCK % 24 < 6) {
            new[at] = new[at].wrapping_add(9);
        }
        new.splice(100 * BLOCK..100 * BLOCK, random.bytes(5 * BLOCK));
        let repeated = new[10 * BLOCK..28 * BLOCK].to_vec();
        new.extend(repeated);
        let stale = Root::new(random.bytes(140 * BLOCK));
        let (running, new) = (Root::new(running), Root::new(new));
        let (full, delta) = (OpsFile::full(&new), OpsFile::delta(&running, &new));
        Self { running, stale, new, full, delta }
    }

    pub fn forms(&self) -> [(&'static str, &OpsFile); 2] {
        [("full", &self.full), ("delta", &self.delta)]
    }

    pub fn job<'f>(&self, file: &'f OpsFile) -> Job<'f> {
        Job::new(&file.header, self.new.hash, self.running.hash).unwrap().at(PACE)
    }

    /// The disk before the update; partitions are larger than what is in them, and not empty behind it.
    pub fn disk(&self) -> Disk {
        let fill = |bytes: &[u8], len: usize| {
            let mut part = vec![0xee; len];
            part[..bytes.len()].copy_from_slice(bytes);
            part
        };
        let root = self.new.bytes.len() + 3 * BLOCK;
        let tree = hash_area_len(DataBlocks::new((root / BLOCK) as u64).unwrap()) as usize + BLOCK;
        let mut parts = [const { Vec::new() }; 4];
        parts[ROOT_A] = fill(&self.running.bytes, root);
        parts[TREE_A] = fill(&self.running.area, tree);
        parts[ROOT_B] = fill(&self.stale.bytes, root);
        parts[TREE_B] = fill(&self.stale.area, tree);
        Disk::new(parts, None)
    }

    /// From wherever the disk is to the end.
    pub fn install(&self, disk: &Disk, file: &OpsFile) -> Result<Sealed, Error> {
        let job = self.job(file);
        let planned = target(disk).plan(&job)?;
        let poisoned = planned.begin(disk)?;
        let written = poisoned.write(disk.part(ROOT_A), &mut Stored(&file.bytes[..]), disk, |_| {})?;
        written.seal(disk)
    }

    /// What has to hold for a disk at any time, given the parts of the running slot as they were.
    pub fn check(&self, parts: &[Vec<u8>; 4], before: &[Vec<u8>; 4], place: &str) -> Holds {
        assert!(parts[ROOT_A] == before[ROOT_A], "{place}: the running root was touched");
        assert!(parts[TREE_A] == before[TREE_A], "{place}: the running tree was touched");
        let mut holds = Holds::Nothing;
        for (root, what) in [(&self.stale, Holds::Stale), (&self.new, Holds::New)] {
            if choosable(&parts[ROOT_B], &parts[TREE_B], &root.hash) {
                whole(&parts[ROOT_B], &parts[TREE_B], &root.hash)
                    .unwrap_or_else(|error| panic!("{place}: {what:?} can be chosen, but {error}"));
                holds = what;
            }
        }
        assert!(!choosable(&parts[ROOT_B], &parts[TREE_B], &self.running.hash), "{place}");
        holds
    }

    /// The same for a disk on which the installation has ended well.
    pub fn check_done(&self, disk: &Disk, before: &[Vec<u8>; 4], place: &str) {
        let parts = disk.parts();
        assert_eq!(self.check(&parts, before, place), Holds::New, "{place}");
        let len = self.new.bytes.len();
        assert!(parts[ROOT_B][..len] == self.new.bytes, "{place}: another root");
        assert!(parts[TREE_B][BLOCK..self.new.area.len()] == self.new.area[BLOCK..], "{place}: another tree");
        assert_eq!(
            parts[ROOT_B][len..],
            before[ROOT_B][len..],
            "{place}: something behind the root was touched"
        );
        assert_eq!(disk.checkpoint(), None, "{place}: the checkpoint was left");
    }
}

pub fn target(disk: &Disk) -> Target<disk::Part<'_>> {
    Target::beside(Slot::A, disk.part(ROOT_B), disk.part(TREE_B))
}

/// What the other slot can be chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    Nothing,
    Stale,
    New,
}

/// Stage 1's rule (`init/src/stage1/slots.rs`).
pub fn choosable(data: &[u8], tree: &[u8], root: &RootHash) -> bool {
    let head: &[u8; SUPERBLOCK_LEN] = tree.first_chunk().unwrap();
    let Ok(superblock) = Superblock::parse(head) else { return false };
    superblock.salt.as_bytes() == VERITY_SALT
        && superblock.data_blocks.get() >= 2
        && superblock.data_blocks.get() * BLOCK as u64 <= data.len() as u64
        && hash_area_len(superblock.data_blocks) <= tree.len() as u64
        && top_block_hash(&VERITY_SALT, tree[BLOCK..2 * BLOCK].try_into().unwrap()) == *root.as_bytes()
}

/// Every block of it, against its hash.
pub fn whole(data: &[u8], tree: &[u8], root: &RootHash) -> Result<(), coracle_verity::Error> {
    verify(&mut Cursor::new(data), &mut Cursor::new(tree), root.as_bytes())
}

/// How many cases a sampled test takes.
pub fn cases(usual: usize) -> usize {
    if std::env::var_os("CORACLE_ALL").is_some() { usual * 10 } else { usual }
}

/// A reader that is no source: a full file must not look.
pub struct Untouchable;

impl ReadAt for Untouchable {
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> std::io::Result<()> {
        panic!("a full file read the running root");
    }
}
