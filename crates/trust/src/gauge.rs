//! What `tough` fetches through: our transport, with a limit on every file, and a memory for what went wrong.
//!
//! `tough` takes any failure to open the next root for the end of the chain of roots. So only a file that is missing fails to open
//! here; every other fault arrives where the bytes should be, and ends the refresh.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream;
use tough::{TransportError, TransportErrorKind, TransportStream};

use crate::limits::Limits;
use crate::transport::{Fault, Path, Transport, collect};

/// What `tough` takes for the address of the repository; only the path means something.
pub(crate) const BASE: &str = "repository:///";

#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    transport: Arc<dyn Transport>,
    limits: Limits,
    first: Arc<Mutex<Option<(String, Fault)>>>,
}

impl Gauge {
    pub(crate) fn new(transport: Arc<dyn Transport>, limits: Limits) -> Self {
        Self { transport, limits, first: Arc::default() }
    }

    /// The first file that did not come, and why; a missing one only if nothing else is wrong.
    pub(crate) fn fault(&self) -> Option<(String, Fault)> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, file: &str, fault: Fault) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some((file.to_owned(), fault));
    }

    async fn read(&self, file: &str) -> Result<Vec<u8>, Fault> {
        let path = Path::new(file).ok_or_else(|| Fault::Name { name: file.chars().take(300).collect() })?;
        let limit = if file.ends_with("targets.json") { self.limits.targets } else { self.limits.small };
        collect(self.transport.whole(&path).await?, limit).await
    }
}

#[tough::async_trait]
impl tough::Transport for Gauge {
    async fn fetch(&self, url: reqwest::Url) -> Result<TransportStream, TransportError> {
        let file = url.path().trim_start_matches('/');
        let bytes = match self.read(file).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(Fault::Missing) => {
                // The end of the chain of roots, unless it is another file.
                if !file.ends_with(".root.json") {
                    self.note(file, Fault::Missing);
                }
                return Err(TransportError::new(TransportErrorKind::FileNotFound, file));
            }
            Err(fault) => {
                let error =
                    TransportError::new_with_cause(TransportErrorKind::Other, file, fault.to_string());
                self.note(file, fault);
                Err(error)
            }
        };
        Ok(Box::pin(stream::iter([bytes])))
    }
}
