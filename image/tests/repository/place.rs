//! A folder with a repository and keys, and who looks at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// An empty one, with a passphrase in a file.
    pub fn empty() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(place.path("passphrase"), "correct horse\nnot part of it\n").unwrap();
        place
    }

    /// One with a repository.
    pub fn new() -> Self {
        let place = Self::empty();
        place.ok(&["keys", "init"]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `coracle` on repository and keys.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coracle"));
        command.args(words).current_dir(self.folder.path());
        command.args(["--repo", "repo", "--passphrase-file", "passphrase"]);
        if !words.contains(&"--keys") {
            command.args(["--keys", "keys"]);
        }
        command.output().unwrap()
    }

    /// What it prints when all is well: the versions.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What it says when not; the repository is then as it was.
    pub fn fails(&self, words: &[&str]) -> String {
        let before = self.files();
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?}");
        assert_eq!(self.files(), before, "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Every file of the repository with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path("repo")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    files.push((path.clone(), fs::read(path).unwrap()))
                }
            }
        }
        files.sort();
        files
    }

    /// The versions that python-tuf believes, as a client that remembers what it saw before.
    pub fn python_tuf(&self) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = here.join("../build/python-tuf/bin/python");
        assert!(python.exists(), "python-tuf is missing: `./dev test image` installs it");
        let output = Command::new(python)
            .arg(here.join("tests/repository/follow.py"))
            .args([self.path("repo"), self.path("python-tuf")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs `openssl`.
    pub fn openssl(&self, words: &[&str]) -> Output {
        Command::new("openssl").args(words).current_dir(self.folder.path()).output().unwrap()
    }
}
