//! Images made of nothing, of what runs, and by way of forms; cut short, and led astray.

use super::*;
use crate::slot::Stored;
use coracle_bzimage::specimen;
use coracle_ops::build::{Image, delta, full};

/// Images of 2 MiB that differ in the middle: operations with bodies, and blocks that stay.
fn image(middle: u8) -> Vec<u8> {
    let mut state = 7_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..2 << 20).map(|_| noise()).collect();
    bytes[1 << 20..(1 << 20) + 5000].fill(middle);
    bytes.truncate((2 << 20) - 100);
    bytes
}

fn of(bytes: &[u8]) -> Image<&[u8]> {
    Image::hashed(bytes, bytes.len() as u64).unwrap()
}

/// What runs.
fn running(bytes: &[u8]) -> Option<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    Some(file)
}

/// Two kernel images, the second one of a kernel that was built again: words changed everywhere, some were added.
fn kernels() -> [Vec<u8>; 2] {
    let old = specimen::content(600_000, 1);
    let mut new = old.clone();
    for at in (0..new.len() - 8).step_by(9000) {
        new[at] ^= 1;
    }
    new.splice(300_000..300_000, specimen::content(5000, 2));
    [old, new].map(|content| specimen::image(&content))
}

fn form(image: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    unpack(&mut io::Cursor::new(image), &mut form).unwrap();
    form
}

/// The header, the whole file, and the digest of the image that it makes by way of forms.
fn by_forms(old: &[u8], new: &[u8]) -> (Header, Vec<u8>, [u8; 32]) {
    between(&form(old), &form(new), Sha256::digest(new).into())
}

fn between(old: &[u8], new: &[u8], digest: [u8; 32]) -> (Header, Vec<u8>, [u8; 32]) {
    let [old, new] = [old, new].map(|form| Image::unpacked(form, form.len() as u64).unwrap());
    let mut bodies = Vec::new();
    let made = delta(&old, &new, &mut bodies).unwrap();
    (made.header, [made.head, bodies].concat(), digest)
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The header, the whole file, and the digest of what it makes.
fn ops(old: Option<&[u8]>, new: &[u8]) -> (Header, Vec<u8>, [u8; 32]) {
    let mut bodies = Vec::new();
    let made = match old {
        Some(old) => delta(&of(old), &of(new), &mut bodies).unwrap(),
        None => full(&of(new), &mut bodies).unwrap(),
    };
    (made.header, [made.head, bodies].concat(), Sha256::digest(new).into())
}

/// Gives so many bytes, then fails; notes where it was asked to begin.
struct Cut<'b>(&'b [u8], usize, Vec<u64>);

impl Bodies for Cut<'_> {
    fn range(&mut self, bytes: std::ops::Range<u64>) -> io::Result<impl Read> {
        self.2.push(bytes.start);
        let part = &self.0[bytes.start as usize..bytes.end as usize];
        let rest = io::Error::from(io::ErrorKind::ConnectionReset);
        Ok(part.take(self.1 as u64).chain(Fails(Some(rest))))
    }
}

struct Fails(Option<io::Error>);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[test]
fn an_image_is_made_of_nothing_and_of_what_runs() {
    let (old, new) = (image(1), image(2));
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    assert_eq!(images.digest().unwrap(), None);
    let (header, file, digest) = ops(None, &new);
    images.make(&header, &digest, None, &mut Stored(&file[..])).unwrap();
    assert_eq!((images.digest().unwrap(), fs::read(images.path()).unwrap() == new), (Some(digest), true));
    images.remove().unwrap();
    assert_eq!(images.digest().unwrap(), None);
    let (header, delta, digest) = ops(Some(&old), &new);
    assert!(delta.len() < file.len() / 20);
    images.make(&header, &digest, running(&old), &mut Stored(&delta[..])).unwrap();
    assert_eq!(images.digest().unwrap(), Some(digest));
}

#[test]
fn what_was_made_before_a_kill_is_not_fetched_again() {
    let new = image(3);
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let (header, file, digest) = ops(None, &new);
    let mut cut = Cut(&file, 1_200_000, vec![]);
    assert!(matches!(images.make(&header, &digest, None, &mut cut), Err(Error::Fetch { op: 1, .. })));
    // A write that the power cut.
    let part = OpenOptions::new().write(true).open(images.part()).unwrap();
    part.write_all_at(b"garbage", (1 << 20) + 4096).unwrap();
    let mut whole = Cut(&file, usize::MAX, vec![]);
    images.make(&header, &digest, None, &mut whole).unwrap();
    assert_eq!(images.digest().unwrap(), Some(digest));
    assert_eq!((cut.2[0] < whole.2[0], whole.2.len()), (true, 1), "{:?} {:?}", cut.2, whole.2);
}

#[test]
fn another_image_is_none() {
    let (old, new) = (image(4), image(5));
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let (header, file, digest) = ops(Some(&old), &new);
    let other = images.make(&header, &[9; 32], running(&old), &mut Stored(&file[..]));
    assert!(matches!(other, Err(Error::Differs)));
    let source = images.make(&header, &digest, running(&new[..100]), &mut Stored(&file[..]));
    assert!(matches!(source, Err(Error::Apply(coracle_ops::Error::ReadSource { .. }))), "{source:?}");
    let mut bad = file.clone();
    *bad.last_mut().unwrap() ^= 1;
    let body = images.make(&header, &digest, running(&old), &mut Stored(&bad[..]));
    assert!(matches!(body, Err(Error::Apply(coracle_ops::Error::Body { .. }))), "{body:?}");
    assert_eq!(images.digest().unwrap(), None);
}

#[test]
fn a_kernel_built_again_is_made_by_way_of_its_form() {
    let [old, new] = kernels();
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let (header, file, digest) = by_forms(&old, &new);
    let (_, raw, _) = ops(Some(&old), &new);
    assert!(file.len() * 4 < raw.len(), "{} of {}", file.len(), raw.len());
    let forms = form(&old).len() + form(&new).len();
    assert_eq!(images.room_for_forms(&header, 100).unwrap(), forms as u64 + 100);
    // What another attempt has left.
    for name in ["uki.part", "uki.from", "uki.form"] {
        fs::write(folder.path().join(name), vec![7; 3 << 20]).unwrap();
    }
    assert!(images.room_for_forms(&header, 100).unwrap() < forms as u64);
    images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap();
    assert!(fs::read(images.path()).unwrap() == new);
    assert_eq!(names(folder.path()), ["uki"]);
    // Once more over itself.
    images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap();
    assert_eq!((images.digest().unwrap(), names(folder.path())), (Some(digest), vec!["uki".to_owned()]));
}

/// From each body on, with the files as a kill leaves them.
#[test]
fn a_form_is_gone_on_with() {
    let [old, new] = kernels();
    let (header, file, digest) = by_forms(&old, &new);
    let bodies: Vec<u64> = header.ops().iter().filter(|op| op.kind.has_body()).map(|op| op.body_at).collect();
    assert!(bodies.len() >= 3, "{} bodies", bodies.len());
    for at in &bodies {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let mut cut = Cut(&file, (at - bodies[0]) as usize, vec![]);
        let failed = images.make(&header, &digest, running(&old), &mut cut);
        assert!(matches!(failed, Err(Error::Fetch { .. })), "{failed:?}");
        assert_eq!(names(folder.path()), ["uki.form"]);
        fs::write(folder.path().join("uki.from"), b"half of it").unwrap();
        fs::write(folder.path().join("uki.part"), b"half of it").unwrap();
        let mut rest = Cut(&file, usize::MAX, vec![]);
        images.make(&header, &digest, running(&old), &mut rest).unwrap();
        assert_eq!(rest.2, [*at]);
        assert_eq!((images.digest().unwrap(), names(folder.path())), (Some(digest), vec!["uki".to_owned()]));
    }
    // Killed when it had been packed: nothing is fetched again.
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    fs::write(folder.path().join("uki.form"), form(&new)).unwrap();
    fs::write(folder.path().join("uki.part"), &new).unwrap();
    let mut none = Cut(&file, 0, vec![]);
    images.make(&header, &digest, running(&old), &mut none).unwrap();
    assert_eq!((none.2.len(), images.digest().unwrap()), (0, Some(digest)));
}

#[test]
fn nothing_is_left_of_a_form_that_leads_nowhere() {
    let [old, new] = kernels();
    let (header, file, digest) = by_forms(&old, &new);
    let fails = |header: &Header, digest: &[u8; 32], source: &[u8], file: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let error = images.make(header, digest, running(source), &mut Stored(file)).unwrap_err();
        (error, names(folder.path()))
    };
    // The image that runs is another one, or none that has a form.
    let (error, left) = fails(&header, &digest, &new, &file);
    assert!(matches!(error, Error::Apply(coracle_ops::Error::Output { .. })), "{error:?}");
    assert!(left.is_empty(), "{left:?}");
    let lies = [&old[..0x200], &old[..old.len() / 2], &[7; 70_000]];
    let mut damaged = old.clone();
    let at = old.len() / 2;
    damaged[at..at + 100].fill(0xa5);
    for source in lies.into_iter().chain([&damaged[..]]) {
        let (error, left) = fails(&header, &digest, source, &file);
        assert!(matches!(error, Error::Form { operation: "unpack", .. }), "{error:?}");
        assert!(left.is_empty(), "{left:?}");
    }
    // It is packed into something else here.
    let (error, left) = fails(&header, &[9; 32], &old, &file);
    assert!(matches!(error, Error::PackedOtherwise) && left.is_empty(), "{error:?} {left:?}");
    // What comes out is no form, or one whose frame would have another length.
    let mut other = form(&new);
    other[10] ^= 1;
    let mut long = form(&new);
    long[32] ^= 1;
    for bad in [other, long, vec![3; 50_000]] {
        let (header, file, digest) = between(&form(&old), &bad, digest);
        let (error, left) = fails(&header, &digest, &old, &file);
        assert!(
            matches!(error, Error::Form { operation: "pack", .. }) && left.is_empty(),
            "{error:?} {left:?}"
        );
    }
}

/// A folder that takes nothing: what is taken instead finds the room.
#[test]
fn a_disk_that_takes_nothing_keeps_no_form() {
    let [old, new] = kernels();
    let (header, file, digest) = by_forms(&old, &new);
    for name in ["uki.from", "uki.form", "uki.part"] {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        std::os::unix::fs::symlink("/dev/full", folder.path().join(name)).unwrap();
        let error = images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap_err();
        let Error::File(failed) = &error else { panic!("{name}: {error:?}") };
        assert_eq!(failed.source.kind(), io::ErrorKind::StorageFull, "{name}");
        assert_eq!(names(folder.path()), [""; 0], "{name}");
    }
}
