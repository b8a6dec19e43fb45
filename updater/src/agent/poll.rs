//! One question to the repository, after one to the time servers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coracle_layout::paths;
use coracle_log::{info, warning};
use coracle_rollout::{Manifest, Settings, Time, Trusted};
use coracle_trust::transport::{self, Answer, Tag};
use coracle_trust::{Client, Clock, Embedded, Limits, Repository, Transport, Versions, store::Store};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::network::{Network, runtime};
use super::{Error, machine::Image};

/// Errors of the clock below this are not worth a step.
const TOLERANCE: Duration = Duration::from_millis(500);

/// What an answer of the repository gave.
#[derive(Debug, Clone)]
pub(crate) struct Polled {
    pub repository: Repository,
    pub manifest: Trusted<Manifest>,
    /// Which address answered.
    pub address: String,
    /// The timestamp that said so.
    timestamp: Timestamp,
    /// When all of it was read.
    read: Time,
}

/// The one file that changes whenever anything does.
#[derive(Debug, Clone)]
struct Timestamp {
    bytes: Vec<u8>,
    /// What its server calls it.
    tag: Option<Tag>,
}

/// After so long everything is read anew, though the timestamp is the same: the next root is asked for.
const ALL_OF_IT: Duration = Duration::from_secs(24 * 3600);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Poller {
    client: Arc<Client>,
    settings: Arc<Settings>,
    network: Network,
}

impl Poller {
    pub fn new(image: &Image, state: &Path, network: Network) -> Self {
        let settings = &image.settings;
        let embedded =
            Embedded { root: image.root.clone(), versions: Versions::default(), built: settings.built };
        let store = Store::new(state.join("trust"));
        let scratch = Path::new(paths::RUN_UPDATER).join("metadata");
        let client = Arc::new(Client::new(store, scratch, embedded, Limits::default()));
        Self { client, settings: Arc::new(settings.clone()), network }
    }

    /// Asks one address. Where nothing is new, that is one request, and if the server gives its files tags, an answer without a body.
    ///
    /// Whoever is on the way can say that nothing is new, as it can send what was sent before: until the repository expires, and
    /// not longer than a day.
    pub fn ask(&self, address: &str, last: Option<&Arc<Polled>>, clock: Clock) -> Result<Arc<Polled>, Error> {
        let (transport, runtime) = (self.network.repository(address), runtime()?);
        let now = self.time(clock);
        runtime.block_on(async {
            let last = last.filter(|last| last.holds(now));
            let known = last.filter(|last| last.address == address);
            let tag = known.and_then(|last| last.timestamp.tag.as_ref());
            let timestamp = match (timestamp(&*transport, tag).await?, last) {
                (None, Some(last)) => return Ok(Arc::clone(last)),
                (Some(timestamp), Some(last)) if timestamp.bytes == last.timestamp.bytes => {
                    if last.address == address && timestamp.tag == last.timestamp.tag {
                        return Ok(Arc::clone(last));
                    }
                    // Another mirror that has the same is the one that is asked from now on.
                    let address = address.to_owned();
                    return Ok(Arc::new(Polled { address, timestamp, ..Polled::clone(last) }));
                }
                (Some(timestamp), _) => timestamp,
                // Nobody asked for that.
                (None, None) => return Err(Error::Fact { name: TIMESTAMP }),
            };
            let trust = |error| Error::Trust(Box::new(error));
            let refreshed = self.client.refresh(Arc::clone(&transport), clock).await.map_err(trust)?;
            for note in &refreshed.notes {
                warning!("repository note=\"{note}\"");
            }
            let repository = refreshed.repository;
            let manifest = repository.manifest(&self.settings.line, &*transport).await.map_err(trust)?;
            info!("repository read address={address} releases={}", manifest.releases.len());
            Ok(Arc::new(Polled { repository, manifest, address: address.to_owned(), timestamp, read: now }))
        })
    }

    /// The time as far as it is certain.
    pub fn time(&self, clock: Clock) -> Time {
        match clock {
            // The day of the image, and since when it runs: less than it is, and never at a standstill.
            Clock::Unset => self.settings.built.after(since_boot()),
            Clock::Set(now) => now.max(self.settings.built),
        }
    }

    /// Sets the clock as the time servers say. Without any, the machine's own clock is taken as it is.
    pub fn set_clock(&self) -> Result<(), Error> {
        if self.settings.time_servers.is_empty() {
            return Ok(());
        }
        let offset = self.network.clock_offset(&self.settings.time_servers, self.settings.built)?;
        let span = Duration::from_nanos(offset.unsigned_abs());
        if span > TOLERANCE {
            let now = SystemTime::now();
            let then = if offset < 0 { now.checked_sub(span) } else { now.checked_add(span) };
            let since = then.and_then(|then| then.duration_since(UNIX_EPOCH).ok());
            let since = since.ok_or(Error::Fact { name: "the time" })?;
            // Who tells the time was asked for one not before; that is not left to him.
            if Time::from_unix(since.as_secs()) < self.settings.built {
                return Err(Error::Fact { name: "the time after the image was made" });
            }
            let time = Timespec {
                tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: since.subsec_nanos().into(),
            };
            clock_settime(ClockId::Realtime, time)
                .map_err(|errno| Error::file("set", "the clock")(errno.into()))?;
            info!("clock set by={}ms", offset / 1_000_000);
        }
        Ok(())
    }
}

/// The time since the kernel began, sleep included.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Polled {
    /// Whether it may still be taken for what the repository says.
    fn holds(&self, now: Time) -> bool {
        now < self.repository.expires() && now.since(self.read) < ALL_OF_IT
    }
}

/// What the machine's clock shows.
pub(crate) fn shown() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(since.as_secs())
}

const TIMESTAMP: &str = "metadata/timestamp.json";

/// Whether a repository has a timestamp; what it says is not looked at.
pub(crate) async fn has_timestamp(from: &dyn Transport) -> Result<(), Error> {
    timestamp(from, None).await.map(drop)
}

/// The timestamp, unless it is what this tag was given for.
async fn timestamp(from: &dyn Transport, tag: Option<&Tag>) -> Result<Option<Timestamp>, Error> {
    let path = transport::Path::new(TIMESTAMP).ok_or(Error::Fact { name: TIMESTAMP })?;
    let failed = |source| Error::Fetch { file: TIMESTAMP.to_owned(), source };
    match from.whole_unless(&path, tag).await.map_err(failed)? {
        Answer::Same => Ok(None),
        Answer::New { body, tag } => {
            let bytes = transport::collect(body, Limits::default().small).await.map_err(failed)?;
            Ok(Some(Timestamp { bytes, tag }))
        }
    }
}

#[cfg(test)]
mod tests;
