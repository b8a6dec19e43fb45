//! What is asked of the kernel.

use crate::frame::HEADER;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x01;
/// `NLM_F_ACK`.
const ACK: u16 = 0x04;
/// `NLM_F_ROOT | NLM_F_MATCH`: all entries of a table.
const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE | NLM_F_CREATE`: make it so, whatever was there before.
const REPLACE: u16 = 0x500;

/// A message to the kernel, but for its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Asks for a table.
    pub(crate) fn dump(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, REQUEST | DUMP, fixed)
    }

    /// Changes something that is there.
    pub(crate) fn change(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, REQUEST | ACK, fixed)
    }

    /// Makes something, or changes it if it is there.
    pub(crate) fn replace(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, REQUEST | ACK | REPLACE, fixed)
    }

    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self { bytes }
    }

    /// Adds an attribute. Values are a few bytes: interface names, addresses, numbers.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute if there is a value.
    pub(crate) fn optional(self, kind: u16, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.attribute(kind, value.as_ref()),
            None => self,
        }
    }

    /// The bytes to send, with this sequence number.
    pub fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        debug_assert!(bytes.len() >= HEADER);
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Frames};

    #[test]
    fn a_request_is_one_frame() {
        let request = Request::replace(24, &[7; 12]).attribute(3, b"ab\0").optional(4, None::<[u8; 1]>);
        let bytes = request.to_bytes(0x0102_0304);
        let payload = [&[7u8; 12][..], &7u16.to_ne_bytes(), &3u16.to_ne_bytes(), b"ab\0\0"].concat();
        let want = Frame { kind: 24, flags: 0x505, sequence: 0x0102_0304, port: 0, payload: &payload };
        assert_eq!(Frames::new(&bytes).collect::<Vec<_>>(), [Ok(want)]);
    }
}
