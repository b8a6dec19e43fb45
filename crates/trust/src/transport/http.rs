//! A repository on an HTTP server.
//!
//! TLS keeps secret what a machine fetches; the repository's own signatures decide what is believed, so plain `http` is as safe.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

use super::client::{BadServer, Options, Redirects, client};
use super::{Answer, Body, Chunks, Fault, Path, Tag, Transport};

/// The longest wait for the head of an answer.
pub const ANSWER: Duration = Duration::from_secs(20);

/// A repository on an HTTP server.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: Url,
}

impl Http {
    /// The server's folder that has `metadata` and `targets`.
    pub fn new(base: &str, options: Options<'_>) -> Result<Self, BadServer> {
        let address = || BadServer::Address { base: base.to_owned() };
        let mut base = Url::parse(base).map_err(|_| address())?;
        if !["http", "https"].contains(&base.scheme()) || base.query().is_some() || base.fragment().is_some()
        {
            return Err(address());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { client: client(options, Redirects::Few)?, base })
    }

    async fn get(&self, path: &Path, header: Option<(HeaderName, String)>) -> Result<Response, Fault> {
        let url = self.base.join(path.as_str()).map_err(unreachable)?;
        let mut request = self.client.get(url);
        let is_conditional = matches!(&header, Some((name, _)) if *name == IF_NONE_MATCH);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = tokio::time::timeout(ANSWER, request.send()).await;
        let response =
            answer.map_err(|_| Fault::TooSlow { least: 1, within: ANSWER })?.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_MODIFIED if is_conditional => Ok(response),
            // Object stores forbid what they do not have to those who may not list it.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => Err(Fault::Missing),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(Fault::Busy {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
            }),
            other => Err(Fault::Status { status: other.as_u16() }),
        }
    }
}

#[async_trait]
impl Transport for Http {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        whole(self.get(path, None).await?)
    }

    async fn whole_unless(&self, path: &Path, tag: Option<&Tag>) -> Result<Answer, Fault> {
        let response = self.get(path, tag.map(|tag| (IF_NONE_MATCH, tag.to_string()))).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Same);
        }
        let tag = response.headers().get(ETAG).and_then(|value| Tag::new(value.to_str().ok()?));
        Ok(Answer::New { body: whole(response)?, tag })
    }

    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        let range = format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1));
        let response = self.get(path, Some((RANGE, range))).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(Fault::NoParts);
        }
        let want = format!("bytes {}-{}/{len}", bytes.start, bytes.end.saturating_sub(1));
        let got = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if got != want {
            let got = got.chars().take(64).collect();
            return Err(Fault::OtherPart { want, got });
        }
        Ok(Body::exactly(response, bytes.end - bytes.start))
    }
}

fn whole(response: Response) -> Result<Body, Fault> {
    if response.status() != StatusCode::OK {
        return Err(Fault::Status { status: response.status().as_u16() });
    }
    Ok(Body::open(response))
}

#[async_trait]
impl Chunks for Response {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.chunk().await.map_err(unreachable)
    }
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::Unreachable { source: error.into() }
}

/// When a server wants to be asked again: in seconds; the other form, a date, is for people with a clock that is right.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
