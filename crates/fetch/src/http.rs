//! Requests to servers that are no repositories, and what the clients of all of them share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coracle_trust::Fault;
use coracle_trust::transport::{self, BadServer, Http, Redirects, client, retry_after};
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::names::Names;
use crate::serve::Options;
use crate::text;
use crate::wire::{MAX_POSTED, Post, Posted, Wrong};

/// The longest that a `post` may take.
pub(crate) const POST: Duration = Duration::from_secs(30);
/// The longest that a probe may take.
pub(crate) const PROBE: Duration = Duration::from_secs(5);
/// The most headers of a `post`.
const HEADERS: usize = 16;
/// The most repositories whose connections are kept.
const REPOSITORIES: usize = 4;

/// Every client of the process.
#[derive(Debug)]
pub(crate) struct Web {
    options: Options,
    names: Arc<Names>,
    posting: Client,
    /// What is probed is near: no proxy knows the way.
    probing: Client,
    repositories: Mutex<BTreeMap<String, Http>>,
}

impl Web {
    pub(crate) fn new(options: Options, names: Arc<Names>) -> Result<Self, BadServer> {
        let posting = client(reach(&options, &names), Redirects::Shown)?;
        let near = transport::Options { proxy: None, ..reach(&options, &names) };
        let probing = client(near, Redirects::Shown)?;
        Ok(Self { options, names, posting, probing, repositories: Mutex::default() })
    }

    /// The repository at that address.
    pub(crate) fn repository(&self, base: &str) -> Result<Http, Wrong> {
        let mut known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = known.get(base) {
            return Ok(http.clone());
        }
        let http = Http::new(base, reach(&self.options, &self.names));
        let http = http.map_err(|error| Wrong::Request { why: text::chain(&error) })?;
        if known.len() >= REPOSITORIES {
            known.clear();
        }
        known.insert(base.to_owned(), http.clone());
        Ok(http)
    }

    /// The head of the answer, and what is wanted of its body.
    pub(crate) async fn post(&self, post: Post) -> Result<(Posted, Vec<Bytes>), Wrong> {
        let request = self.posting.post(post.url).headers(headers(post.headers)?).body(post.body);
        let asked = async {
            let mut response = request.send().await.map_err(wrong)?;
            let mut body = Vec::new();
            let mut left = MAX_POSTED;
            while left > 0
                && let Some(mut chunk) = response.chunk().await.map_err(wrong)?
            {
                chunk.truncate(left);
                left = left.saturating_sub(chunk.len());
                body.push(chunk);
            }
            let retry_after = retry_after(response.headers()).map(|time| time.as_secs());
            Ok((Posted { status: response.status().as_u16(), retry_after }, body))
        };
        timeout(POST, asked).await.map_err(|_| slow(POST))?
    }

    /// What the server at that address says to a `GET`; its body is not read.
    pub(crate) async fn probe(&self, url: String) -> Result<u16, Wrong> {
        let asked = timeout(PROBE, self.probing.get(url).send()).await;
        let response = asked.map_err(|_| slow(PROBE))?.map_err(wrong)?;
        Ok(response.status().as_u16())
    }

    /// Whether one of the addresses takes a connection.
    pub(crate) async fn connects(&self, address: &str) -> Result<bool, Wrong> {
        let asked = async {
            let places = self.names.places(address, None).await;
            let places = places.map_err(|error| Wrong::Unreachable { why: text::chain(&error) })?;
            for place in places {
                if TcpStream::connect(place).await.is_ok() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        // A port that is silent takes no connection.
        timeout(PROBE, asked).await.unwrap_or(Ok(false))
    }
}

/// How every server is reached.
pub(crate) fn reach<'a>(options: &'a Options, names: &Arc<Names>) -> transport::Options<'a> {
    transport::Options {
        resolver: Some(names.clone()),
        authorities: &options.authorities,
        agent: Some(&options.agent),
        proxy: options.proxy.as_deref(),
    }
}

fn headers(pairs: Vec<(String, String)>) -> Result<HeaderMap, Wrong> {
    let refused = |why: &str| Wrong::Request { why: why.to_owned() };
    if pairs.len() > HEADERS {
        return Err(refused("too many headers"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).map_err(|_| refused("the name of a header"))?;
        let value = HeaderValue::try_from(value).map_err(|_| refused("the value of a header"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn slow(within: Duration) -> Wrong {
    Fault::TooSlow { least: 1, within }.into()
}

fn wrong(error: reqwest::Error) -> Wrong {
    let why = text::chain(&error);
    if error.is_builder() { Wrong::Request { why } } else { Wrong::Unreachable { why } }
}
