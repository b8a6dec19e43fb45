//! sha256 digests as OCI writes them: `sha256:` and 64 lower-case hex digits.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// Ends a hash.
pub(crate) fn show(hash: Sha256) -> String {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Hashes a buffer.
pub(crate) fn of(bytes: &[u8]) -> String {
    show(Sha256::new_with_prefix(bytes))
}

/// Hashes a stream of at most `limit` bytes (one more is read to notice excess): digest and length.
pub(crate) fn of_stream(stream: impl Read, limit: u64) -> io::Result<(String, u64)> {
    let mut stream = stream.take(limit.saturating_add(1));
    let (mut hash, mut length) = (Sha256::new(), 0u64);
    let mut chunk = [0u8; 64 << 10];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok((show(hash), length));
        }
        hash.update(chunk.get(..count).unwrap_or_default());
        length = length.saturating_add(count as u64);
    }
}
