//! Identifiers of disk, partitions and filesystems: fixed by the image's name and version.
//!
//! The first boot replaces them by random ones; until then they only have to differ within one image and be the same in
//! every build of it. Each is the first half of SHA-256 over `coracle.identity.v1`, name, version and purpose, with a NUL
//! after each but the last, as a version 8 UUID: by the version a machine knows that
//! its disk still has the image's identifiers.

use coracle_gpt::Guid;
use coracle_layout::OsVersion;
use sha2::{Digest as _, Sha256};

/// Whose identifiers they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    version: OsVersion,
}

impl Identity {
    /// The identity of one version of an image.
    pub fn new(name: &str, version: OsVersion) -> Self {
        Self { name: name.to_owned(), version }
    }

    /// The identifier for a purpose, in the order of its text form.
    pub fn uuid(&self, purpose: &str) -> [u8; 16] {
        let text = format!("coracle.identity.v1\0{}\0{}\0{purpose}", self.name, self.version);
        let digest: [u8; 32] = Sha256::digest(text).into();
        let half: [u8; 16] = std::array::from_fn(|n| digest[n]);
        Guid::from_derived(half).to_bytes()
    }

    /// The same as a GUID.
    pub fn guid(&self, purpose: &str) -> Guid {
        Guid::from_bytes(self.uuid(purpose))
    }

    /// A 32-bit serial number, for FAT.
    pub fn serial(&self, purpose: &str) -> u32 {
        let [a, b, c, d, ..] = self.uuid(purpose);
        u32::from_le_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_version_and_purpose_all_count() {
        let of = |name, version: &str| Identity::new(name, version.parse().unwrap());
        let first = of("edge", "0.1.0");
        assert_eq!(first.uuid("disk"), of("edge", "0.1.0").uuid("disk"));
        let others = [first.uuid("esp"), of("edge", "0.1.1").uuid("disk"), of("edg", "0.1.0").uuid("disk")];
        assert!(others.iter().all(|other| *other != first.uuid("disk")));
        let bytes: String = first.uuid("disk").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            first.guid("disk").to_string().replace('-', ""),
            bytes,
            "already in the shape of version 4"
        );
    }
}
