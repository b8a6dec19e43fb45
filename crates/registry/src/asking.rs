//! A walk past endpoints as it happens: pauses are kept, failures remembered.

use std::collections::VecDeque;
use std::fmt::Display;

use tokio::time::sleep;

use crate::error::{Error, Failure, Trouble};
use crate::registries::Endpoint;
use crate::walk::{Step, Walk};

/// Asking one after the other for one thing.
#[derive(Debug)]
pub(crate) struct Asking {
    what: String,
    endpoints: Vec<Endpoint>,
    walk: Walk,
    /// Of the last walk: as many as there are endpoints, at most.
    failures: VecDeque<Failure>,
    asked: usize,
}

impl Asking {
    pub(crate) fn new(what: impl Display, endpoints: Vec<Endpoint>) -> Self {
        let walk = Walk::new(endpoints.len());
        Self { what: what.to_string(), endpoints, walk, failures: VecDeque::new(), asked: 0 }
    }

    /// Who is next, as soon as it may be asked.
    pub(crate) async fn next(&mut self) -> Result<Endpoint, Error> {
        loop {
            match self.walk.step() {
                Step::Pause(pause) => sleep(pause).await,
                Step::Ask(number) => {
                    if let Some(endpoint) = self.endpoints.get(number) {
                        self.asked = number;
                        return Ok(endpoint.clone());
                    }
                    self.walk.failed(Trouble::Address.then());
                }
                Step::End => return Err(self.end()),
            }
        }
    }

    /// It did not give it.
    pub(crate) fn failed(&mut self, trouble: Trouble) {
        self.walk.failed(trouble.then());
        if self.failures.len() >= self.endpoints.len() {
            self.failures.pop_front();
        }
        let endpoint = self.endpoints.get(self.asked).map(Endpoint::to_string).unwrap_or_default();
        self.failures.push_back(Failure { endpoint, trouble });
    }

    /// It gave so many bytes of it.
    pub(crate) fn gained(&mut self, bytes: u64) {
        self.walk.gained(bytes);
    }

    /// What was given is none of what may be given.
    pub(crate) fn refuse(&mut self, trouble: Trouble) -> Error {
        self.failed(trouble);
        self.end()
    }

    fn end(&mut self) -> Error {
        Error::Get { what: self.what.clone(), failures: std::mem::take(&mut self.failures).into() }
    }
}
