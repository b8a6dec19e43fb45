//! Reading a header's fields in order. Nothing here trusts a length.

use crate::error::Error;

/// What is left of the bytes being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number in the shortest form of LEB128: seven bits a byte, the low ones first, the top bit set on all but the last.
    pub fn varint(&mut self) -> Result<u32, Error> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::Varint);
                }
                return u32::try_from(value).map_err(|_| Error::Varint);
            }
        }
        Err(Error::Varint)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The signed number that [`unfold`] gives back: small ones of either sign stay short.
#[cfg(any(feature = "build", test))]
pub(crate) fn fold(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Zigzag: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4.
pub(crate) fn unfold(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Appends a number as [`Bytes::varint`] reads it.
#[cfg(any(feature = "build", test))]
pub(crate) fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 16383, 16384, 1 << 21, u32::MAX - 1, u32::MAX] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            let mut left = Bytes(&bytes);
            assert_eq!(left.varint().unwrap(), value);
            assert!(left.is_empty());
        }
        for value in [0, -1, 1, i32::MIN, i32::MAX, 4096, -4097] {
            assert_eq!(unfold(fold(value)), value);
        }
    }

    #[test]
    fn only_the_shortest_form_is_read() {
        for bytes in [&[0x80, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0x80; 6], &[0xff, 0x80, 0]] {
            assert!(matches!(Bytes(bytes).varint(), Err(Error::Varint)), "{bytes:?}");
        }
        assert!(matches!(Bytes(&[0x80]).varint(), Err(Error::Truncated)));
    }
}
