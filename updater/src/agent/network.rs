//! What is reached through the process that talks to servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coracle_rollout::Time;
use coracle_trust::Transport;
use tokio::runtime::{Builder, Runtime};

use super::Error;

/// The way to servers.
#[derive(Debug, Clone)]
pub(crate) struct Network {}

impl Network {
    pub fn repository(&self, address: &str) -> Arc<dyn Transport> {
        Arc::new(coracle_trust::transport::Folder::new(address))
    }

    pub fn has_timestamp(&self, _address: &str) -> bool {
        false
    }
    pub fn status(&self, _url: &str) -> Option<u16> {
        None
    }
    pub fn listens(&self, _address: SocketAddr) -> bool {
        false
    }
    pub fn post(
        &self,
        _url: &str,
        _headers: &[(&str, &str)],
        _body: &str,
    ) -> Result<(u16, Option<Duration>), Error> {
        Err(Error::Unasked)
    }
    pub fn clock_offset(&self, _servers: &[String], _not_before: Time) -> Result<i64, Error> {
        Err(Error::Unasked)
    }
}

/// For one thread.
pub(crate) fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(Error::file("make", "a runtime"))
}
