//! The fleet's lock, by the FleetLock protocol: two requests, of which only a plain 200 means yes.
//!
//! `POST BASE/v1/pre-reboot` takes it, again as often as one likes; `POST BASE/v1/steady-state` gives it back, held or not. Both carry
//! the header `fleet-lock-protocol: true` and who asks. Whatever else comes is no: it is asked again, and nothing is rebooted for it.

use coracle_log::{Chain, info, warning};
use coracle_rollout::machine::{Event, Trouble};
use coracle_rollout::settings::Lock;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Error, network::Network};

/// A server, and who this machine is to it.
#[derive(Debug, Clone)]
pub(crate) struct FleetLock {
    base: String,
    body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    client_params: Client<'a>,
}

#[derive(Serialize)]
struct Client<'a> {
    id: &'a str,
    group: &'a str,
}

impl FleetLock {
    pub fn new(lock: &Lock, machine_id: &str) -> Result<Self, Error> {
        let Lock::FleetLock { url, group } = lock;
        // Not the machine's identifier itself, which is nobody's business.
        let digest = Sha256::new().chain_update(b"coracle.fleetlock.v1").chain_update(machine_id).finalize();
        let id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let body = serde_json::to_string(&Body { client_params: Client { id: &id, group } });
        let body = body.map_err(|_| Error::Fact { name: "the lock's group" })?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), body })
    }

    pub fn take(&self, network: &Network) -> Event {
        match self.post(network, "v1/pre-reboot") {
            Ok((200, _)) => Event::LockTaken,
            Ok((status, retry_after)) => {
                info!("lock refused status={status}");
                Event::LockRefused { retry_after }
            }
            // Perhaps it was taken, and the answer lost: nobody knows.
            Err(error) => {
                warning!("lock server does not answer error=\"{}\"", Chain(&error));
                Event::LockRefused { retry_after: None }
            }
        }
    }

    pub fn release(&self, network: &Network) -> Result<Event, Error> {
        Ok(match self.post(network, "v1/steady-state")? {
            (200, _) => Event::LockReleased,
            (_, retry_after) => Event::Trouble(Trouble::Unreachable { retry_after }),
        })
    }

    fn post(&self, network: &Network, path: &str) -> Result<(u16, Option<std::time::Duration>), Error> {
        let headers = [("fleet-lock-protocol", "true"), ("content-type", "application/json")];
        network.post(&format!("{}/{path}", self.base), &headers, &self.body)
    }
}
