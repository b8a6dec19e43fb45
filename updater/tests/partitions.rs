//! Files in the place of partitions: what is opened, what is refused, and a whole installation.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::disk::{ROOT_A, TREE_A};
use common::{OpsFile, Scene, choosable, whole};
use coracle_layout::Slot;
use coracle_layout::partition::Partition;
use coracle_updater::keep::Store;
use coracle_updater::slot::{BlockDevice, Error, PartitionDevice, Remedy, Stored, Target, checkpoint_in};

/// A folder with a file for each partition of the scene's disk, and one for checkpoints.
fn folder(scene: &Scene) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, slot) in scene.disk().parts().chunks(2).zip(Slot::BOTH) {
        fs::write(node(folder.path(), Partition::Root(slot)), &bytes[ROOT_A]).unwrap();
        fs::write(node(folder.path(), Partition::Verity(slot)), &bytes[TREE_A]).unwrap();
    }
    fs::create_dir(folder.path().join("state")).unwrap();
    folder
}

fn node(folder: &Path, which: Partition) -> PathBuf {
    folder.join(which.label())
}

fn read(folder: &Path, which: Partition) -> Vec<u8> {
    fs::read(node(folder, which)).unwrap()
}

#[test]
fn a_delta_is_installed_beside_what_runs() {
    let scene = Scene::get();
    for (form, file) in scene.forms() {
        let folder = folder(scene);
        let path = folder.path();
        let running = [Partition::Root(Slot::A), Partition::Verity(Slot::A)];
        let before = running.map(|which| read(path, which));
        let store = checkpoint_in(&path.join("state")).unwrap();
        let job = scene.job(file);
        let target = Target::open(Slot::A, |which| node(path, which)).unwrap();
        assert_eq!(target.slot(), Slot::B);
        let source = fs::File::open(node(path, Partition::Root(Slot::A))).unwrap();
        let poisoned = target.plan(&job).unwrap().begin(&store).unwrap();
        let written = poisoned.write(&source, &mut Stored(&file.bytes[..]), &store, |_| {}).unwrap();
        assert!(store.load().unwrap().is_some());
        let sealed = written.seal(&store).unwrap();
        assert_eq!((sealed.slot, sealed.root), (Slot::B, scene.new.hash), "{form}");
        assert_eq!(store.load().unwrap(), None);
        let (data, tree) = (read(path, Partition::Root(Slot::B)), read(path, Partition::Verity(Slot::B)));
        assert!(choosable(&data, &tree, &scene.new.hash), "{form}");
        whole(&data, &tree, &scene.new.hash).unwrap();
        assert!(running.map(|which| read(path, which)) == before, "{form}: the running slot was touched");
    }
}

#[test]
fn a_partition_in_use_is_not_opened() {
    let scene = Scene::get();
    let folder = folder(scene);
    let open = || Target::open(Slot::A, |which| node(folder.path(), which));
    let held = open().unwrap();
    let error = open().unwrap_err();
    assert!(matches!(&error, Error::Busy { path } if path.ends_with("root-b")), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Stop);
    drop(held);
    assert!(open().is_ok());
}

#[test]
fn a_node_that_leads_to_the_running_slot_is_refused() {
    let scene = Scene::get();
    for (made, leads_to) in [("root-b", "root-a"), ("verity-b", "verity-a"), ("root-b", "verity-a")] {
        let folder = folder(scene);
        let path = folder.path();
        fs::remove_file(path.join(made)).unwrap();
        std::os::unix::fs::symlink(leads_to, path.join(made)).unwrap();
        let error = Target::open(Slot::A, |which| node(path, which)).unwrap_err();
        assert!(matches!(&error, Error::NotOther { path } if path.ends_with(made)), "{error:?}");
        assert_eq!(error.remedy(), Remedy::Stop);
        let after =
            [Slot::A].map(|slot| (read(path, Partition::Root(slot)), read(path, Partition::Verity(slot))));
        let before = scene.disk().parts();
        assert!(after[0].0 == before[ROOT_A] && after[0].1 == before[TREE_A]);
    }
}

#[test]
fn a_missing_partition_is_named() {
    let scene = Scene::get();
    let folder = folder(scene);
    fs::remove_file(folder.path().join("verity-b")).unwrap();
    let error = Target::open(Slot::A, |which| node(folder.path(), which)).unwrap_err();
    assert!(matches!(&error, Error::Open { path, .. } if path.ends_with("verity-b")), "{error:?}");
    assert!(!folder.path().join("verity-b").exists(), "nothing is made");
}

#[test]
fn a_file_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    fs::write(&path, [0; 8192]).unwrap();
    let device = PartitionDevice::open(&path).unwrap();
    assert_eq!(device.size(), 8192);
    assert_eq!(device.write_at(&[1; 4096], 6144).unwrap(), 2048);
    assert_eq!(device.write_at(&[1; 4096], 8192).unwrap(), 0);
    device.flush().unwrap();
    let mut back = [0; 4096];
    assert_eq!(device.read_back_at(&mut back, 4096).unwrap(), 4096);
    assert!(back[..2048] == [0; 2048] && back[2048..] == [1; 2048]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
}

#[test]
fn an_ops_file_may_be_a_file() {
    let scene = Scene::get();
    let OpsFile { bytes, .. } = &scene.delta;
    let folder = folder(scene);
    let path = folder.path();
    fs::write(path.join("delta"), bytes).unwrap();
    let file = fs::File::open(path.join("delta")).unwrap();
    let store = checkpoint_in(&path.join("state")).unwrap();
    let source = fs::File::open(node(path, Partition::Root(Slot::A))).unwrap();
    let job = scene.job(&scene.delta);
    let target = Target::open(Slot::A, |which| node(path, which)).unwrap();
    let poisoned = target.plan(&job).unwrap().begin(&store).unwrap();
    poisoned.write(source, &mut Stored(file), &store, |_| {}).unwrap().seal(&store).unwrap();
}
