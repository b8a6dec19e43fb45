//! The packages of a document, and how they are related.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Inputs, Part};

const NONE: &str = "NOASSERTION";
const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
const SYSTEMD_LICENCE: &str = "LGPL-2.1-or-later";
const RUST_LICENCE: &str = "MIT OR Apache-2.0";
/// As Debian's copyright file sums it up.
const GLIBC_LICENCE: &str = "LGPL-2.1-or-later AND GPL-2.0-or-later";

/// What is collected.
#[derive(Debug, Default)]
pub(super) struct Packages {
    packages: Vec<Value>,
    relationships: Vec<Value>,
    taken: BTreeSet<String>,
}

/// One package being described.
struct Package {
    fields: Map<String, Value>,
    references: Vec<Value>,
}

impl Package {
    fn new(name: &str, version: &str, purpose: &str, licence: Option<&str>) -> Self {
        let fields = json!({
            "name": name,
            "versionInfo": version,
            "primaryPackagePurpose": purpose,
            "downloadLocation": NONE,
            "filesAnalyzed": false,
            "licenseConcluded": NONE,
            "licenseDeclared": licence.unwrap_or(NONE),
            "copyrightText": NONE,
            "supplier": NONE,
        });
        Self { fields: fields.as_object().cloned().unwrap_or_default(), references: Vec::new() }
    }

    fn sha256(mut self, digest: Option<&str>) -> Self {
        if let Some(digest) = digest {
            let sums = json!([{ "algorithm": "SHA256", "checksumValue": digest }]);
            self.fields.insert("checksums".into(), sums);
        }
        self
    }

    fn note(mut self, text: String) -> Self {
        self.fields.insert("comment".into(), text.into());
        self
    }

    fn reference(mut self, category: &str, kind: &str, locator: String) -> Self {
        let reference = json!({
            "referenceCategory": category, "referenceType": kind, "referenceLocator": locator,
        });
        self.references.push(reference);
        self
    }

    fn purl(self, locator: String) -> Self {
        self.reference("PACKAGE-MANAGER", "purl", locator)
    }

    /// The name under which vulnerabilities are listed; its version is the upstream one.
    fn cpe(self, part: char, vendor: &str, product: &str, version: &str) -> Self {
        let version: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let rest = ":*".repeat(7);
        self.reference("SECURITY", "cpe23Type", format!("cpe:2.3:{part}:{vendor}:{product}:{version}{rest}"))
    }
}

impl Packages {
    pub fn image(&mut self, inputs: &Inputs<'_>) -> String {
        let package = Package::new(inputs.name, inputs.version, "OPERATING-SYSTEM", None)
            .note(format!("dm-verity root hash {}", inputs.root_hash));
        self.add("image", package)
    }

    pub fn kernel(&mut self, inputs: &Inputs<'_>) -> String {
        let Part { name, version, sha256 } = inputs.kernel;
        let kernel = Package::new(name, version, "OPERATING-SYSTEM", Some(KERNEL_LICENCE))
            .sha256(Some(sha256))
            .purl(format!("pkg:generic/linux@{version}"))
            .cpe('o', "linux", "linux_kernel", version);
        let kernel = self.add("kernel", kernel);
        let source = Package::new("linux-source", version, "SOURCE", Some(KERNEL_LICENCE))
            .sha256(Some(inputs.kernel_source));
        let source = self.add("kernel-source", source);
        self.relate(&kernel, "GENERATED_FROM", &source);
        kernel
    }

    pub fn systemd(&mut self, part: &Part<'_>) -> String {
        let package = Package::new(part.name, part.version, "APPLICATION", Some(SYSTEMD_LICENCE))
            .sha256(Some(part.sha256))
            .cpe('a', "systemd_project", "systemd", part.version);
        self.add(part.name, package)
    }

    pub fn oci(&mut self, reference: &str, digest: &str) -> String {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let name = name.split([':', '@']).next().unwrap_or(name).to_ascii_lowercase();
        let package = Package::new(reference, digest, "CONTAINER", None)
            .sha256(digest.strip_prefix("sha256:"))
            .purl(format!("pkg:oci/{name}@{}", digest.replace(':', "%3A")));
        self.add(&format!("oci-{name}"), package)
    }

    /// The programs, and everything that is linked into them.
    pub fn programs(&mut self, inputs: &Inputs<'_>, image: &str) {
        let version = inputs.rustc.split(' ').nth(1).unwrap_or(inputs.rustc);
        let rust =
            Package::new("rust-std", version, "LIBRARY", Some(RUST_LICENCE)).note(inputs.rustc.to_owned());
        let mut linked = vec![self.add("rust-std", rust)];
        let mut crates = BTreeMap::new();
        if let Some(components) = inputs.components {
            // Behind the last space of `Debian GLIBC 2.36-9+deb12u10`.
            let version = components.libc.rsplit(' ').next().unwrap_or_default();
            let libc = Package::new("glibc", version, "LIBRARY", Some(GLIBC_LICENCE))
                .cpe('a', "gnu", "glibc", version)
                .note(components.libc.clone());
            linked.push(self.add("glibc", libc));
            for (key, found) in &components.crates {
                let package = Package::new(&found.name, &found.version, "LIBRARY", found.licence.as_deref())
                    .sha256(found.sha256.as_deref())
                    .purl(format!("pkg:cargo/{}@{}", found.name, found.version.replace('+', "%2B")));
                crates.insert(key, self.add(&format!("crate-{}-{}", found.name, found.version), package));
            }
            for (key, found) in &components.crates {
                for used in found.uses.iter().filter_map(|used| crates.get(used)) {
                    self.relate(&crates[key], "DEPENDS_ON", used);
                }
            }
        }
        for (path, sha256) in inputs.programs {
            let name = path.rsplit('/').next().unwrap_or(path);
            let program = Package::new(name, inputs.version, "APPLICATION", Some(RUST_LICENCE))
                .sha256(Some(sha256))
                .note(path.clone());
            let program = self.add(&format!("program-{name}"), program);
            self.relate(image, "CONTAINS", &program);
            linked.iter().for_each(|library| self.relate(&program, "STATIC_LINK", library));
            let main = inputs.components.and_then(|components| components.programs.get(name));
            if let Some(main) = main.and_then(|key| crates.get(key)) {
                self.relate(&program, "STATIC_LINK", main);
            }
        }
    }

    pub fn relate(&mut self, from: &str, how: &str, to: &str) {
        self.relationships.push(json!({
            "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to,
        }));
    }

    /// Packages and relationships, in the order in which they were added.
    pub fn finish(self) -> (Vec<Value>, Vec<Value>) {
        (self.packages, self.relationships)
    }

    /// Takes a package in, under an identifier of its own made of letters, digits, dots and hyphens.
    fn add(&mut self, name: &str, package: Package) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let base = format!("SPDXRef-{}", name.chars().map(plain).collect::<String>());
        let mut id = base.clone();
        let mut number = 1;
        while !self.taken.insert(id.clone()) {
            number += 1;
            id = format!("{base}-{number}");
        }
        let Package { mut fields, references } = package;
        fields.insert("SPDXID".into(), id.clone().into());
        if !references.is_empty() {
            fields.insert("externalRefs".into(), references.into());
        }
        self.packages.push(fields.into());
        id
    }
}
