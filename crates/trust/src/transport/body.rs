//! Bytes on their way.
//!
//! Whoever reads a [`Body`] waits for a chunk no longer than it takes an honest server: at least [`LEAST`] bytes must come within
//! [`WITHIN`] of waiting. The time in which the reader does something else does not count.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::Fault;

/// So many bytes must come …
const LEAST: u64 = 64 << 10;
/// … in this time: 4 KiB a second.
const WITHIN: Duration = Duration::from_secs(16);

/// What a transport has to give.
#[async_trait]
pub trait Chunks: Send {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault>;
}

/// Bytes on their way.
pub struct Body {
    chunks: Box<dyn Chunks>,
    /// How many are to come, if that is known.
    left: Option<u64>,
    /// How many may come.
    limit: u64,
    wait: Duration,
    due: u64,
}

impl Body {
    /// As many bytes as come.
    pub fn open(chunks: impl Chunks + 'static) -> Self {
        Self { chunks: Box::new(chunks), left: None, limit: u64::MAX, wait: WITHIN, due: LEAST }
    }

    /// These bytes, which are here.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::open(Once(Some(bytes.into())))
    }

    /// Just so many.
    pub fn exactly(chunks: impl Chunks + 'static, bytes: u64) -> Self {
        Self { left: Some(bytes), limit: bytes, ..Self::open(chunks) }
    }

    /// The next bytes; `None` at the end. What comes beyond the length is a fault, and so is an early end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let began = Instant::now();
        let next = timeout(self.wait, self.chunks.next()).await;
        let next = next.map_err(|_| Fault::TooSlow { least: LEAST, within: WITHIN })??;
        let Some(chunk) = next else {
            return match self.left {
                Some(missing @ 1..) => Err(Fault::TooShort { missing }),
                _ => Ok(None),
            };
        };
        let bytes = chunk.len() as u64;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or(Fault::TooLong { limit: self.limit })?;
        }
        self.wait = self.wait.saturating_sub(began.elapsed());
        self.due = self.due.saturating_sub(bytes);
        if self.due == 0 {
            (self.wait, self.due) = (WITHIN, LEAST);
        }
        Ok(Some(chunk))
    }
}

struct Once(Option<Bytes>);

#[async_trait]
impl Chunks for Once {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.take())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The whole of it, unless it is longer than that.
pub async fn collect(mut body: Body, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if (all.len() + chunk.len()) as u64 > limit {
            return Err(Fault::TooLong { limit });
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk of so many bytes, each after a while.
    struct Drip {
        chunk: usize,
        every: Duration,
        chunks: usize,
    }

    #[async_trait]
    impl Chunks for Drip {
        async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
            tokio::time::sleep(self.every).await;
            let more = self.chunks.checked_sub(1);
            self.chunks = more.unwrap_or(0);
            Ok(more.map(|_| Bytes::from(vec![7; self.chunk])))
        }
    }

    fn drip(chunk: usize, every: u64, chunks: usize) -> Drip {
        Drip { chunk, every: Duration::from_secs(every), chunks }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drips_is_left() {
        let slow = collect(Body::open(drip(100, 1, 1000)), u64::MAX).await;
        assert!(matches!(slow, Err(Fault::TooSlow { .. })), "{slow:?}");
        assert!(collect(Body::open(drip(8 << 10, 1, 1000)), u64::MAX).await.is_ok());
        assert_eq!(collect(Body::open(drip(100, 2, 5)), u64::MAX).await.unwrap().len(), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_its_time_is_not_the_servers_fault() {
        let mut body = Body::open(drip(100, 1, 12));
        while body.chunk().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_length_is_what_was_asked_for() {
        assert_eq!(collect(Body::exactly(drip(10, 0, 3), 30), 30).await.unwrap().len(), 30);
        let long = collect(Body::exactly(drip(10, 0, 3), 29), 64).await;
        assert!(matches!(long, Err(Fault::TooLong { limit: 29 })), "{long:?}");
        let short = collect(Body::exactly(drip(10, 0, 3), 31), 64).await;
        assert!(matches!(short, Err(Fault::TooShort { missing: 1 })), "{short:?}");
        let limited = collect(Body::open(drip(10, 0, 3)), 29).await;
        assert!(matches!(limited, Err(Fault::TooLong { limit: 29 })), "{limited:?}");
    }
}
