//! The direct-boot set that a build leaves: kernel, stage 1 and command line under one stem.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::machine::Boot;

const KERNEL: &str = "vmlinuz";
const SUFFIXES: [&str; 5] = [".raw.zst", ".raw", ".qcow2", ".vmdk", ".vhd"];

/// Finds the set in a folder: the one with the image's own stem, or else the only one there is.
pub(super) fn find(folder: &Path, image: &Path) -> Result<Boot, Error> {
    let kernel = match stem(image).map(|stem| folder.join(format!("{stem}.{KERNEL}"))) {
        Some(kernel) if kernel.exists() => kernel,
        _ => only_kernel(folder)
            .map_err(|source| Error::Read { path: folder.to_owned(), source })?
            .ok_or_else(|| Error::NoDirectSet { folder: folder.to_owned(), image: image.to_owned() })?,
    };
    let initrd = kernel.with_extension("initrd");
    fs::metadata(&initrd).map_err(|source| Error::Read { path: initrd.clone(), source })?;
    let path = kernel.with_extension("cmdline");
    let cmdline = fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    Ok(Boot::Direct { kernel, initrd, cmdline: heard(cmdline.trim()) })
}

/// The command line with a console that reaches the terminal.
fn heard(cmdline: &str) -> String {
    let is_heard = cmdline.split_ascii_whitespace().any(|word| word.starts_with("console=ttyS0"));
    if is_heard { cmdline.to_owned() } else { format!("{cmdline} console=ttyS0").trim().to_owned() }
}

fn stem(image: &Path) -> Option<&str> {
    let name = image.file_name()?.to_str()?;
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))
}

fn only_kernel(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut found = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(KERNEL)) && found.replace(path).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, stem: &str, cmdline: &str) {
        for (suffix, text) in [("vmlinuz", "k"), ("initrd", "i"), ("cmdline", cmdline)] {
            fs::write(folder.join(format!("{stem}.{suffix}")), text).unwrap();
        }
    }

    fn cmdline(found: Result<Boot, Error>) -> String {
        match found.unwrap() {
            Boot::Direct { cmdline, .. } => cmdline,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_set_of_the_image_is_taken_or_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let image = |name: &str| at.join(name);
        assert!(matches!(find(at, &image("x.raw")), Err(Error::NoDirectSet { .. })));
        put(at, "edge_1.0.0", "one console=ttyS0,115200\n");
        assert_eq!(cmdline(find(at, &image("x.raw"))), "one console=ttyS0,115200");
        put(at, "edge_1.1.0", "two");
        assert_eq!(cmdline(find(at, &image("edge_1.1.0.raw.zst"))), "two console=ttyS0");
        assert_eq!(cmdline(find(at, &image("edge_1.0.0.qcow2"))), "one console=ttyS0,115200");
        assert!(matches!(find(at, &image("x.raw")), Err(Error::NoDirectSet { .. })));
        fs::remove_file(at.join("edge_1.1.0.initrd")).unwrap();
        let error = find(at, &image("edge_1.1.0.raw")).unwrap_err();
        assert!(error.to_string().contains("edge_1.1.0.initrd"), "{error}");
    }
}
