//! What is reached through the process that talks to servers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coracle_fetch::Remote;
use coracle_fetch::wire::Post;
use coracle_log::{Chain, info};
use coracle_rollout::Time;
use coracle_trust::Transport;
use tokio::runtime::{Builder, Runtime};

use super::{Error, poll};

/// The way to servers.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    remote: Remote,
}

impl Network {
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// A repository's files.
    pub fn repository(&self, address: &str) -> Arc<dyn Transport> {
        Arc::new(self.remote.repository(address))
    }

    /// Whether a repository is at that address; whether it is the right one is not asked.
    pub fn has_timestamp(&self, address: &str) -> bool {
        let transport = self.repository(address);
        waited(async { poll::has_timestamp(&*transport).await.map_err(|error| Chain(&error).to_string()) })
            .is_some()
    }

    /// The status with which an address answers.
    pub fn status(&self, url: &str) -> Option<u16> {
        waited(async { self.remote.probe_http(url).await.map_err(|error| Chain(&error).to_string()) })
    }

    /// Whether something takes a connection there.
    pub fn listens(&self, address: SocketAddr) -> bool {
        let address = address.to_string();
        waited(async { self.remote.probe_tcp(&address).await.map_err(|error| Chain(&error).to_string()) })
            .unwrap_or(false)
    }

    /// Status and `Retry-After` of the answer to a `POST`.
    pub fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(u16, Option<Duration>), Error> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let post = Post { url: url.to_owned(), headers, body: body.to_owned() };
        let answer = runtime()?.block_on(self.remote.post(post)).map_err(Error::Network)?;
        Ok((answer.status, answer.retry_after))
    }

    /// What to add to the clock, in nanoseconds. No time before `built` is believed.
    pub fn clock_offset(&self, servers: &[String], built: Time) -> Result<i64, Error> {
        let offset = runtime()?.block_on(self.remote.time(servers, built.unix())).map_err(Error::Network)?;
        Ok(offset.offset_ns)
    }
}

/// What came; why nothing did, for the log.
fn waited<T>(answer: impl Future<Output = Result<T, String>>) -> Option<T> {
    let runtime = runtime().map_err(|error| Chain(&error).to_string());
    runtime
        .and_then(|runtime| runtime.block_on(answer))
        .inspect_err(|why| info!("probe failed error=\"{why}\""))
        .ok()
}

/// For one thread.
pub(crate) fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(Error::file("make", "a runtime"))
}
