//! The list of everything in an image, as SPDX 2.3 in JSON.
//!
//! | package | how it belongs to the image |
//! |---|---|
//! | the image | what the document describes |
//! | kernel, and the source archive it was built from | contained; generated from |
//! | boot manager and stub | contained |
//! | each program, with the crates behind it, the Rust library, the C library | contained; statically linked |
//! | each embedded OCI image, by digest | contained |
//!
//! Same inputs, same bytes: times and names come from the caller, everything is in order. What is inside an embedded image
//! is that image's to list.

mod components;
mod date;
mod packages;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use components::{COMPONENTS, Components, Crate, Error};

use packages::Packages;

/// The file's name.
pub const SBOM: &str = "sbom.spdx.json";

/// What is in an image.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The image's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Root hash of its root filesystem: what tells this image from every other.
    pub root_hash: &'a str,
    /// The moment that it says it was made, in seconds since 1970.
    pub epoch: u64,
    /// SHA-256 of each program, by path.
    pub programs: &'a BTreeMap<String, String>,
    /// What the programs are made of; `None` where nobody noted it.
    pub components: Option<&'a Components>,
    /// The compiler, as `rustc --version` says.
    pub rustc: &'a str,
    /// The kernel.
    pub kernel: Part<'a>,
    /// SHA-256 of the archive with the kernel's source.
    pub kernel_source: &'a str,
    /// systemd's boot manager and stub.
    pub boot: Vec<Part<'a>>,
    /// Embedded images: reference and manifest digest.
    pub images: Vec<(&'a str, &'a str)>,
}

/// Something with a version and a digest.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What it is.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// SHA-256 of it.
    pub sha256: &'a str,
}

/// The document.
pub fn document(inputs: &Inputs<'_>) -> Value {
    let mut packages = Packages::default();
    let image = packages.image(inputs);
    let kernel = packages.kernel(inputs);
    packages.relate(&image, "CONTAINS", &kernel);
    for part in &inputs.boot {
        let id = packages.systemd(part);
        packages.relate(&image, "CONTAINS", &id);
    }
    packages.programs(inputs, &image);
    for (reference, digest) in &inputs.images {
        let id = packages.oci(reference, digest);
        packages.relate(&image, "CONTAINS", &id);
    }
    let (packages, mut relationships) = packages.finish();
    relationships.push(json!({
        "spdxElementId": DOCUMENT, "relationshipType": "DESCRIBES", "relatedSpdxElement": image,
    }));
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": format!("{}-{}", inputs.name, inputs.version),
        // The root hash makes it unique, as the specification wants; nothing has to answer there.
        "documentNamespace": format!(
            "https://spdx.org/spdxdocs/coracle-{}-{}-{}", inputs.name, inputs.version, inputs.root_hash
        ),
        "creationInfo": {
            "created": date::text(inputs.epoch),
            "creators": [format!("Tool: coracle-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if inputs.components.is_none() {
        document["comment"] =
            "The crates compiled into the programs were not noted when they were built.".into();
    }
    document
}

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[cfg(test)]
mod tests;
