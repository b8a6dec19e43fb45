//! The state filesystem: ext4, made by `mke2fs` in a file of its own, the same bytes every time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::identity::Identity;

/// Its first size. The machine grows it to the end of the disk at every boot.
pub const LEN: u64 = 64 << 20;
/// Its journal in MiB: it does not grow with the filesystem.
const JOURNAL: u32 = 16;
const CONFIG: &str = include_str!("state/mke2fs.conf");
const HINT: &str = "install the package e2fsprogs";

/// Where `mke2fs` is: folders of system programs are not on everybody's search path.
fn program() -> PathBuf {
    let known = ["/usr/sbin/mke2fs", "/sbin/mke2fs"].map(PathBuf::from);
    known.into_iter().find(|path| path.exists()).unwrap_or_else(|| "mke2fs".into())
}

/// The version of `mke2fs`, as in `1.47.0`.
pub fn version() -> Result<String, Error> {
    let program = program();
    let run = |source| Error::Run { program: program.display().to_string(), hint: HINT, source };
    let output = Command::new(&program).arg("-V").env("LC_ALL", "C").output().map_err(run)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match text.split_whitespace().nth(1) {
        Some(version) if text.starts_with("mke2fs ") => Ok(version.to_owned()),
        _ => Err(failed(&program, output.status, text)),
    }
}

/// Makes the filesystem in a new file. `time` is what it says of every moment, in seconds since 1970.
pub fn make(path: &Path, identity: &Identity, time: u64) -> Result<(), Error> {
    let file = File::create_new(path).map_err(Error::file("create", path))?;
    file.set_len(LEN).map_err(Error::file("size", path))?;
    let config = path.with_extension("conf");
    fs::write(&config, CONFIG).map_err(Error::file("write", &config))?;
    let program = program();
    let mut command = Command::new(&program);
    command
        .args(["-q", "-F", "-t", "ext4", "-T", "state", "-L", "state", "-J", &format!("size={JOURNAL}")])
        .args(["-U", &identity.guid("state filesystem").to_string()])
        .arg("-E")
        .arg(format!(
            "hash_seed={},root_owner=0:0,nodiscard,quotatype=prjquota",
            identity.guid("state directory hashes")
        ))
        .arg(path)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("MKE2FS_CONFIG", &config)
        .env("E2FSPROGS_FAKE_TIME", time.to_string())
        .env_remove("MKE2FS_DEVICE_SECTSIZE")
        .env_remove("MKE2FS_DEVICE_PHYS_SECTSIZE");
    let run = |source| Error::Run { program: program.display().to_string(), hint: HINT, source };
    let output = command.output().map_err(run)?;
    fs::remove_file(&config).map_err(Error::file("remove", &config))?;
    // It warns on standard error and goes on; what it warns of would be in every image.
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.success() && said.is_empty() {
        true => Ok(()),
        false => Err(failed(&program, output.status, said)),
    }
}

fn failed(program: &Path, status: std::process::ExitStatus, output: String) -> Error {
    Error::Failed { program: program.display().to_string(), status, output }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 1_767_225_600;

    fn run(program: &str, arguments: &[&str], path: &Path) -> String {
        let output = Command::new(program).args(arguments).arg(path).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    #[test]
    fn two_are_the_same_and_e2fsck_finds_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::new("edge", "0.1.0".parse().unwrap());
        let paths = ["one", "two"].map(|name| folder.path().join(name));
        for path in &paths {
            make(path, &identity, TIME).unwrap();
        }
        let [one, two] = paths.each_ref().map(|path| fs::read(path).unwrap());
        assert!(one == two);
        run("/usr/sbin/e2fsck", &["-fn"], &paths[0]);
        let facts = run("/usr/sbin/dumpe2fs", &["-h"], &paths[0]);
        let line = |key: &str| {
            let found = facts.lines().find_map(|line| line.strip_prefix(key));
            found.unwrap_or_else(|| panic!("{key} is missing: {facts}")).trim().to_owned()
        };
        let mut features: Vec<_> = line("Filesystem features:").split(' ').map(String::from).collect();
        features.retain(|feature| !feature.is_empty());
        features.sort();
        let want = "64bit dir_index dir_nlink ext_attr extent extra_isize filetype flex_bg has_journal huge_file \
                    large_file meta_bg metadata_csum metadata_csum_seed project quota sparse_super verity";
        assert_eq!(features.join(" "), want);
        assert_eq!(line("Filesystem UUID:"), identity.guid("state filesystem").to_string());
        assert_eq!(line("Directory Hash Seed:"), identity.guid("state directory hashes").to_string());
        assert_eq!(line("Filesystem created:"), line("Last checked:"));
        assert_eq!(line("Total journal size:"), "16M");
        assert_eq!(line("Project quota inode:"), "12");
        assert_eq!(line("Reserved block count:"), "475", "two hundredths, whichever way it is rounded");
    }

    #[test]
    fn the_version_is_a_number() {
        assert!(version().unwrap().starts_with("1."));
    }
}
