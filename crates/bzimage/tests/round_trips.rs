//! An image, its unpacked form, and the image again, byte for byte.

mod common;

use std::io::{Cursor, Read};
use std::path::PathBuf;

use common::{packed, unpacked};
use coracle_bzimage::specimen::{bzimage, content, frame, image, uki};
use coracle_bzimage::{BLOCK, Error, Header, PARAMETERS, Payload, compress, unpack};
use proptest::prelude::*;

#[test]
fn an_image_comes_back() {
    for len in [4096, 5000, 131_072, 131_073, 300_000, 3 << 20] {
        let content = content(len, 7);
        let image = image(&content);
        let form = unpacked(&image).unwrap();
        let Payload { at, .. } = Payload::find(&mut Cursor::new(&image)).unwrap();
        let begin = BLOCK + (at as usize).next_multiple_of(BLOCK);
        assert!(form[begin..begin + len] == content, "{len}");
        assert!(packed(&form).unwrap() == image, "{len}");
    }
}

/// What this function makes is on disks and in manifests: who changes zstd or a parameter counts [`PARAMETERS`] on.
#[test]
fn the_frame_is_the_one_of_these_parameters() {
    let frame = frame(&content(3 << 20, 7));
    let sum = frame
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(
        (PARAMETERS, frame.len(), sum),
        (1, 1_103_322, 5_123_933_727_537_363_422),
        "the frame is another one: count PARAMETERS on"
    );
}

/// However the bytes come in and wherever they are made, they make the same frame.
#[test]
fn pieces_of_any_length_make_the_same_frame() {
    struct Slow<'b>(&'b [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(1000);
            self.0.read(&mut buffer[..len])
        }
    }
    let content = content(400_000, 9);
    let mut slow = Vec::new();
    compress(&mut Slow(&content), content.len() as u64, &mut slow).unwrap();
    assert!(slow == frame(&content));
}

#[test]
fn what_has_no_payload_of_ours_says_so() {
    let content = content(200_000, 3);
    let good = bzimage(&frame(&content), content.len());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut kernel = good.clone();
        change(&mut kernel);
        unpacked(&uki(&kernel))
    };
    let payload =
        |kernel: &mut Vec<u8>, length: u32| kernel[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
    for (name, change) in [
        ("no boot flag", &(|kernel: &mut Vec<u8>| kernel[0x1fe] = 0) as &dyn Fn(&mut Vec<u8>)),
        ("no setup header", &|kernel| kernel[0x202] = 0),
        ("an old protocol", &|kernel| kernel[0x206..0x208].copy_from_slice(&[7, 2])),
        ("a payload outside the kernel", &|kernel| payload(kernel, u32::MAX)),
        ("an offset outside the kernel", &|kernel| kernel[0x248..0x24c].fill(0xff)),
        ("no payload", &|kernel| payload(kernel, 0)),
        ("a kernel of few bytes", &|kernel| kernel.truncate(0x200)),
    ] {
        assert!(matches!(with(change), Err(Error::Payload { .. })), "{name}: {:?}", with(change).map(drop));
    }
    let length = frame(&content).len() as u32;
    for (name, change) in [
        ("another compression", &(|kernel: &mut Vec<u8>| kernel[2148] = 0x1f) as &dyn Fn(&mut Vec<u8>)),
        ("a frame that is cut", &|kernel| payload(kernel, length)),
        ("bytes behind the frame", &|kernel| payload(kernel, length + 100)),
    ] {
        assert!(matches!(with(change), Err(Error::Frame { .. })), "{name}: {:?}", with(change).map(drop));
    }
    // A longer window than any of ours.
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(25)).unwrap();
    let mut long = vec![0; 1 << 20];
    let many: Vec<u8> = content.iter().copied().cycle().take(3 << 20).collect();
    let len = context.compress2(&mut long[..], &many).unwrap();
    let long = unpacked(&uki(&bzimage(&long[..len], many.len())));
    assert!(matches!(long, Err(Error::Zstd { .. })), "{:?}", long.map(drop));
    assert!(matches!(unpack(&mut Cursor::new(b"MZ"), &mut Vec::new()), Err(Error::Uki(_))));
}

/// As a kernel of somebody else's: unpacked, but not to be had again.
#[test]
fn a_frame_of_another_compressor_does_not_come_back() {
    let content = content(200_000, 4);
    let mut other = vec![0; 300_000];
    let len = zstd_safe::compress(&mut other[..], &content, 1).unwrap();
    let form = unpacked(&uki(&bzimage(&other[..len], content.len()))).unwrap();
    assert!(matches!(packed(&form), Err(Error::FrameLength { .. })));
}

#[test]
fn a_header_says_what_is_in_it() {
    let form = unpacked(&image(&content(10_000, 5))).unwrap();
    let block: [u8; BLOCK] = form[..BLOCK].try_into().unwrap();
    let header = Header::parse(&block).unwrap();
    assert_eq!(header.encode(), block);
    for at in 0..BLOCK {
        let mut other = block;
        other[at] ^= 0x41;
        // Lengths may be others, and then come to nothing.
        assert!(Header::parse(&other).is_err() || (16..48).contains(&at), "byte {at}");
    }
    for lengths in [[u64::MAX; 4], [0; 4], [100, 90, 20, 5], [100, u64::MAX, 30, 5], [1 << 33, 0, 30, 5]] {
        let mut other = block;
        other[16..48]
            .iter_mut()
            .zip(lengths.iter().flat_map(|len| len.to_le_bytes()))
            .for_each(|(to, byte)| *to = byte);
        assert!(matches!(Header::parse(&other), Err(Error::Form { .. })), "{lengths:?}");
    }
}

/// A kernel of the cache, if somebody has built one, with what the cache said when it was built.
#[test]
fn kernels_of_the_cache_come_back() {
    let Some(home) = std::env::home_dir() else { return };
    let folder = home.join(".cache/coracle/kernel");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    // One before this compressor has no such file.
    let ours = |path: &PathBuf| {
        let packer = std::fs::read_to_string(path.join("packer"));
        packer.is_ok_and(|number| number.trim() == PARAMETERS.to_string())
    };
    let Some(kernel) = entries.filter(ours).min() else {
        eprintln!("{} has no kernel that was packed by this compressor", folder.display());
        return;
    };
    let image = uki(&std::fs::read(kernel.join("bzImage")).unwrap());
    let form = unpacked(&image).unwrap();
    assert!(form.len() > 3 * image.len());
    assert!(packed(&form).unwrap() == image, "{}", kernel.display());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_content_comes_back(content in proptest::collection::vec(any::<u8>(), 32..20_000)) {
        let image = image(&content);
        prop_assert!(packed(&unpacked(&image).unwrap()).unwrap() == image);
    }
}
