//! Which bytes of an ops file are still needed.
//!
//! Bodies lie in the order of their operations with nothing in between. So what is needed from any operation on is one range, and
//! operations that need none (COPY, ZERO) cost no request of their own.

use std::ops::Range;

use crate::header::Header;

/// Operations that one request of the file serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Numbers of the operations.
    pub ops: Range<usize>,
    /// Bytes of the file, the bodies of just these operations; empty if none has one.
    pub bytes: Range<u64>,
}

impl Header {
    /// What is needed from this operation on, in requests of at most so many bytes, or of one operation if that has more.
    ///
    /// Without a limit (`u64::MAX`) it is one request. A number behind the last operation gives none.
    pub fn requests(&self, from: usize, limit: u64) -> impl Iterator<Item = Request> + '_ {
        let mut first = from;
        std::iter::from_fn(move || {
            let start = self.ops().get(first)?.body_at;
            let rest = self.ops().get(first..)?;
            let served = rest
                .iter()
                .take_while(|op| op.body_at + u64::from(op.body_len) - start <= limit)
                .count()
                .max(1);
            let ops = first..first + served;
            first = ops.end;
            let end = self.ops().get(ops.end).map_or(self.file_len(), |op| op.body_at);
            Some(Request { ops, bytes: start..end })
        })
    }
}
