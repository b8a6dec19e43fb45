//! Whole builds of a small tree that has a Makefile with the kernel's targets, and a kernel.

use super::*;
use tempfile::TempDir;

const MAKEFILE: &str = "\
tinyconfig:
\t@echo '# CONFIG_64BIT is not set' > .config
olddefconfig:
\t@OLDDEFCONFIG
bzImage:
\t@seq 1 100
\t@BZIMAGE
\t@echo 6.12.0 > include/config/kernel.release
";

/// A source tarball whose two steps run these shell commands, and a request for it.
fn request(olddefconfig: &str, bzimage: &str) -> (TempDir, Request) {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path().join("linux");
    fs::create_dir_all(tree.join("arch/x86/boot")).unwrap();
    fs::create_dir_all(tree.join("include/config")).unwrap();
    let makefile = MAKEFILE.replace("OLDDEFCONFIG", olddefconfig).replace("BZIMAGE", bzimage);
    fs::write(tree.join("Makefile"), makefile).unwrap();
    fs::write(tree.join("Kconfig"), "if MISC_FILESYSTEMS\nconfig EROFS_FS\n\tdepends on BLOCK\nendif\n")
        .unwrap();
    fs::write(tree.join("kernel"), kernel()).unwrap();
    let tarball = root.path().join("linux.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(&tarball).arg("--directory").arg(root.path()).arg("linux");
    assert!(tar.status().unwrap().success());
    let (cache, packer) = (root.path().join("cache"), packer(root.path()));
    let source = Source::Distribution(tarball);
    (root, Request { profile: Profile::Virtio, fragments: Vec::new(), source, cache, packer })
}

/// The first bytes of a kernel, whose payload lies behind them.
fn kernel() -> Vec<u8> {
    let mut kernel = vec![0; 1024];
    kernel[0x1f1] = 1;
    kernel[0x1fe..0x208].copy_from_slice(b"\x55\xaa\0\0HdrS\x0f\x02");
    kernel[0x24c..0x250].copy_from_slice(&(frame().len() as u32 + 4).to_le_bytes());
    kernel
}

/// What is in the kernel.
fn content() -> Vec<u8> {
    (0..3000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

fn frame() -> Vec<u8> {
    let mut frame = Vec::new();
    coracle_bzimage::compress(&mut &content()[..], 12_000, &mut frame).unwrap();
    frame
}

/// A packer that ignores what it is given, and writes the frame if its first word is the right one.
fn packer(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let (program, out) = (folder.join("packer"), folder.join("frame"));
    fs::write(&out, frame()).unwrap();
    let script = format!("#!/bin/sh\ntest \"$*\" = '{PACK} -22 --ultra' && exec cat '{}'\n", out.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Runs a build and returns the steps it reported.
fn steps(request: &Request) -> (Result<Built, Error>, Vec<Progress>) {
    let mut steps = Vec::new();
    let result = build(request, &mut |step| steps.push(step));
    (result, steps)
}

const IMAGE: &str = "cat kernel > arch/x86/boot/bzImage; { : | $(ZSTD) -22 --ultra; printf 1234; } >> arch/x86/boot/bzImage; \
     env | grep '^KBUILD_' | sort >> arch/x86/boot/bzImage";

#[test]
fn builds_once_then_finds_it() {
    use Progress::*;
    let (_root, request) = request("true", IMAGE);
    let (first, seen) = steps(&request);
    let first = first.unwrap();
    assert_eq!(seen, [Hashing, Unpacking, Configuring, Compiling, Storing]);
    assert_eq!(first.release, "6.12.0");
    let fixed = String::from_utf8_lossy(&fs::read(&first.bzimage).unwrap()).into_owned();
    for (name, value) in REPRODUCIBLE.iter().filter(|(name, _)| name.starts_with("KBUILD_")) {
        assert!(fixed.contains(&format!("{name}={value}\n")), "{name}");
    }
    assert!(fs::read_to_string(&first.config).unwrap().contains("CONFIG_EROFS_FS=y\n"));
    let (second, seen) = steps(&request);
    assert_eq!((second.unwrap(), seen), (first, vec![Hashing, Cached]));
    let entries = fs::read_dir(&request.cache).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(entries.into_iter().all(|name| !name.to_string_lossy().ends_with("work")));
}

#[test]
fn a_dropped_option_stops_the_build() {
    let (_root, request) = request("sed -i -e /CONFIG_EROFS_FS=/d -e /CONFIG_BLOCK=/d .config", IMAGE);
    let (result, seen) = steps(&request);
    assert!(!seen.contains(&Progress::Compiling));
    let text = result.unwrap_err().to_string();
    assert!(text.contains("CONFIG_EROFS_FS: want y, got nothing; unmet: BLOCK"), "{text}");
    assert!(matches!(configure(&request, &mut |_| {}), Err(Error::Config(_))));
}

#[test]
fn a_failed_make_shows_its_last_lines_and_stores_nothing() {
    let (_root, request) = request("true", "false");
    let Err(Error::Failed { tail, .. }) = steps(&request).0 else { panic!("a failing make passed") };
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!((lines.len(), lines[0]), (TAIL_LINES, "72"), "{tail}");
    assert!(lines[TAIL_LINES - 1].contains("bzImage"), "{tail}");
    assert!(matches!(steps(&request), (Err(_), seen) if !seen.contains(&Progress::Unpacking)));
}

#[test]
fn extra_fragments_make_another_kernel() {
    let (_root, mut request) = request("true", IMAGE);
    let plain = build(&request, &mut |_| ()).unwrap();
    let text = "# The probe of this test.\nCONFIG_PROBE_OF_A_TEST=y\n".to_string();
    request.fragments.push(("own.config".into(), text.clone()));
    let own = build(&request, &mut |_| ()).unwrap();
    assert_ne!(own.bzimage, plain.bzimage);
    assert_eq!((&own.source, own.source.len()), (&plain.source, 64));
    assert!(fs::read_to_string(&own.config).unwrap().contains("CONFIG_PROBE_OF_A_TEST=y\n"));
    request.fragments.push(("again.config".into(), text));
    assert!(matches!(build(&request, &mut |_| ()), Err(Error::Fragments(_))));
}

/// A makefile does not see that what it pipes into has failed.
#[test]
fn a_kernel_without_its_payload_is_none() {
    for image in ["cat kernel > arch/x86/boot/bzImage", "cp Makefile arch/x86/boot/bzImage"] {
        let (_root, request) = request("true", image);
        assert!(matches!(steps(&request).0, Err(Error::Payload { .. })), "{image}");
        assert!(matches!(steps(&request).0, Err(Error::Payload { .. })), "{image}, the second time");
    }
}
