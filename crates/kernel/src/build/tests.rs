//! Whole builds of a small tree that has a Makefile with the kernel's targets.

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
    let tarball = root.path().join("linux.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(&tarball).arg("--directory").arg(root.path()).arg("linux");
    assert!(tar.status().unwrap().success());
    let cache = root.path().join("cache");
    (
        root,
        Request {
            profile: Profile::Virtio,
            fragments: Vec::new(),
            source: Source::Distribution(tarball),
            cache,
        },
    )
}

/// Runs a build and returns the steps it reported.
fn steps(request: &Request) -> (Result<Built, Error>, Vec<Progress>) {
    let mut steps = Vec::new();
    let result = build(request, &mut |step| steps.push(step));
    (result, steps)
}

const IMAGE: &str = "env | grep '^KBUILD_' | sort > arch/x86/boot/bzImage";

#[test]
fn builds_once_then_finds_it() {
    use Progress::*;
    let (_root, request) = request("true", IMAGE);
    let (first, seen) = steps(&request);
    let first = first.unwrap();
    assert_eq!(seen, [Hashing, Unpacking, Configuring, Compiling, Storing]);
    assert_eq!(first.release, "6.12.0");
    let fixed = fs::read_to_string(&first.bzimage).unwrap();
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
