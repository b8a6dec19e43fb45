//! What a container says of itself, beside the disk's content.

/// The names and times that formats want stored; given from outside so that a build can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The disk's UUID in the order its text form is read; VHD and VMDK store it.
    pub uuid: [u8; 16],
    /// Seconds since 1970-01-01 UTC, such as the release's SOURCE_DATE_EPOCH; VHD stores it.
    pub timestamp: u64,
}
