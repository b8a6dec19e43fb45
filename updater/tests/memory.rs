//! The heap that an installation takes. Alone in its program: it counts everything.

mod common;

use std::fs;

use common::{BLOCK, OpsFile, Random, Root};
use coracle_fence::allocator::Counted;
use coracle_layout::Slot;
use coracle_ops::{Hash, MEMORY};
use coracle_updater::slot::{Job, Stored, Target, checkpoint_in};

#[global_allocator]
static HEAP: Counted = Counted::new();

/// Pieces beside the operations: one gathered and three on their way; two kept when the slot is read back.
const PIECES: usize = 4 << 20;

#[test]
fn an_installation_stays_within_its_bounds() {
    let mut random = Random(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (header, hash, running) = {
        let running = Root::new(random.bytes(3 << 20));
        let mut bytes = running.bytes.clone();
        (0..200).for_each(|_| bytes[random.below(3 << 20)] ^= 1);
        bytes.resize(40 << 20, 0);
        bytes.extend(random.bytes(2 << 20));
        let new = Root::new(bytes);
        let file = OpsFile::delta(&running, &new);
        assert!(matches!(file.header.target().hash, Hash::Verity(_)));
        fs::write(path.join("delta"), &file.bytes).unwrap();
        for (name, len) in [("verity-a", BLOCK), ("root-b", new.bytes.len()), ("verity-b", new.area.len())] {
            fs::write(path.join(name), vec![0xff; len]).unwrap();
        }
        fs::write(path.join("root-a"), &running.bytes).unwrap();
        (file.header, new.hash, running.hash)
    };
    let store = checkpoint_in(path).unwrap();
    let source = fs::File::open(path.join("root-a")).unwrap();
    let mut bodies = Stored(fs::File::open(path.join("delta")).unwrap());

    let before = HEAP.used();
    let _ = HEAP.most();
    let job = Job::new(&header, hash, running).unwrap();
    let target = Target::open(Slot::A, |which| path.join(which.label())).unwrap();
    let poisoned = target.plan(&job).unwrap().begin(&store).unwrap();
    let written = poisoned.write(&source, &mut bodies, &store, |_| {}).unwrap();
    let writing = HEAP.most() - before;
    written.seal(&store).unwrap();
    let sealing = HEAP.most() - before;
    println!("writing {writing} bytes, sealing {sealing}");
    assert!(writing.max(sealing) <= MEMORY + PIECES && MEMORY + PIECES <= 16 << 20);
    assert!(sealing <= PIECES + BLOCK * 16, "{sealing}");
}
