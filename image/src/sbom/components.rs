//! What was compiled into the programs: crates and the C library, noted when they are built.
//!
//! The list is a superset: Cargo resolves features for the whole workspace. Crates that only run in the compiler (procedural
//! macros, and what those use) are not in the programs and not in the list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::{Deserialize, Serialize};

/// The file beside the programs that holds them.
pub const COMPONENTS: &str = "components.json";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What the C library says of itself, in its archive and in many programs linked with it.
const BANNER: &[u8] = b"GNU C Library (";

/// Everything that the programs are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// The C library, such as `Debian GLIBC 2.36-9+deb12u10`.
    pub libc: String,
    /// The crate behind each program, as a key of `crates`.
    pub programs: BTreeMap<String, String>,
    /// The crates by name and version, as in `serde 1.0.229`.
    pub crates: BTreeMap<String, Crate>,
}

/// One crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, an SPDX expression.
    pub licence: Option<String>,
    /// SHA-256 of the archive it came in; none for those of this workspace.
    pub sha256: Option<String>,
    /// The crates that it uses, as keys.
    pub uses: BTreeSet<String>,
}

/// Why the components are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that has to be asked does not start.
    #[error("run {program}")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A program that was asked failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo's answer is not of the known form.
    #[error("read what cargo metadata prints")]
    Metadata(#[source] serde_json::Error),
    /// Cargo.lock is not of the known form.
    #[error("read Cargo.lock")]
    Lock(#[source] Box<toml::de::Error>),
    /// The workspace has no such package.
    #[error("the workspace has no package {name}")]
    NoPackage {
        /// The name.
        name: String,
    },
    /// The C library's archive does not say what it is.
    #[error("{} does not say which C library it is", path.display())]
    NoBanner {
        /// The archive.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// None for what is linked, else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct LockFile {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Components {
    /// Asks Cargo, and the C compiler for the library that static programs are linked with.
    ///
    /// # Errors
    /// Neither knows, or a package is not in the workspace.
    pub fn find(workspace: &Path, programs: &[(String, String)]) -> Result<Self, Error> {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]);
        let metadata = printed("cargo", cargo.current_dir(workspace))?;
        let path = workspace.join("Cargo.lock");
        let lock = fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
        Self::parse(&metadata, &lock, programs, libc()?)
    }

    fn parse(metadata: &str, lock: &str, programs: &[(String, String)], libc: String) -> Result<Self, Error> {
        let metadata: Metadata = serde_json::from_str(metadata).map_err(Error::Metadata)?;
        let lock: LockFile = toml::from_str(lock).map_err(|source| Error::Lock(Box::new(source)))?;
        let packages: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<_, _> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let checksums: BTreeMap<_, _> = lock
            .package
            .iter()
            .map(|locked| (format!("{} {}", locked.name, locked.version), locked.checksum.clone()))
            .collect();

        let mut components = Self { libc, programs: BTreeMap::new(), crates: BTreeMap::new() };
        let mut pending = Vec::new();
        for (program, name) in programs {
            let found = metadata.packages.iter().find(|package| package.name == *name);
            let package = found.ok_or_else(|| Error::NoPackage { name: name.clone() })?;
            components.programs.insert(program.clone(), package.key());
            pending.push(package);
        }
        while let Some(package) = pending.pop() {
            if components.crates.contains_key(&package.key()) {
                continue;
            }
            let uses = nodes.get(package.id.as_str()).into_iter().flat_map(|node| &node.deps);
            let linked = uses.filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            let used = linked.filter_map(|used| packages.get(used.pkg.as_str()).copied());
            let used: Vec<&Package> = used.filter(|package| !package.is_macro()).collect();
            let entry = Crate {
                name: package.name.clone(),
                version: package.version.clone(),
                licence: package.license.as_deref().map(expression),
                sha256: checksums.get(&package.key()).cloned().flatten(),
                uses: used.iter().map(|used| used.key()).collect(),
            };
            components.crates.insert(package.key(), entry);
            pending.extend(used);
        }
        Ok(components)
    }
}

impl Package {
    fn key(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

/// A licence as SPDX writes it; crates of old put a slash between alternatives.
fn expression(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// The C library whose archive the compiler links.
fn libc() -> Result<String, Error> {
    let path = printed("cc", Command::new("cc").arg("-print-file-name=libc.a"))?;
    let path = PathBuf::from(path.trim());
    let archive = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    banner(&archive).ok_or(Error::NoBanner { path })
}

fn banner(archive: &[u8]) -> Option<String> {
    let at = archive.windows(BANNER.len()).position(|window| window == BANNER)? + BANNER.len();
    let rest = archive.get(at..)?.get(..100)?;
    let end = rest.iter().position(|byte| *byte == b')')?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

fn printed(program: &'static str, command: &mut Command) -> Result<String, Error> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|source| Error::Run { program, source })?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    } else {
        Err(Error::Failed { program, said: String::from_utf8_lossy(&stderr).trim().replace('\n', "; ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_workspace_links_is_found_and_nothing_else() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let programs = [("builder".to_owned(), "coracle".to_owned())];
        let components = Components::find(workspace, &programs).unwrap();
        assert!(components.libc.contains("GLIBC 2."), "{}", components.libc);
        assert_eq!(components.programs["builder"], format!("coracle {}", env!("CARGO_PKG_VERSION")));
        let named = |name: &str| components.crates.values().find(|found| found.name == name);
        assert!(named("coracle-gpt").is_some_and(|found| found.sha256.is_none()));
        assert!(named("sha2").is_some_and(|found| found.sha256.as_ref().is_some_and(|sum| sum.len() == 64)));
        // Of tests, of the compiler, of another program.
        for other in ["proptest", "thiserror-impl", "syn", "coracle-qemu-tests"] {
            assert!(named(other).is_none(), "{other}");
        }
        for found in components.crates.values() {
            assert!(found.licence.is_some(), "{}", found.name);
            assert!(found.uses.iter().all(|used| components.crates.contains_key(used)), "{}", found.name);
        }
        let json = serde_json::to_string(&components).unwrap();
        assert_eq!(serde_json::from_str::<Components>(&json).unwrap(), components);
        let missing = [("x".to_owned(), "no-such-package".to_owned())];
        assert!(matches!(Components::find(workspace, &missing), Err(Error::NoPackage { .. })));
    }

    #[test]
    fn licences_become_expressions() {
        for (written, read) in [
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT / BSD-3-Clause", "MIT OR BSD-3-Clause"),
            ("ISC", "ISC"),
        ] {
            assert_eq!(expression(written), read);
        }
    }

    #[test]
    fn the_banner_is_found() {
        let mut archive = b"\0\0GNU C Library (Debian GLIBC 2.36-9) stable release".to_vec();
        assert_eq!(banner(&archive), None, "cut off");
        archive.extend([0; 100]);
        assert_eq!(banner(&archive).as_deref(), Some("Debian GLIBC 2.36-9"));
        assert_eq!(banner(&[0; 200]), None);
    }
}
