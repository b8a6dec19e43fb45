//! A repository on an HTTP server.
//!
//! HTTP/1.1, at most [`REDIRECTS`] redirections, no proxy, no cookies, no compression. TLS keeps secret what a machine fetches; the
//! repository's own signatures decide what is believed, so plain `http` is as safe. rustls with aws-lc-rs, the library that `tough`
//! verifies signatures with: there is no second one, and no certificate is read from the machine's files unless the caller gives it.
//!
//! **Names.** The C library's resolver loads modules at run time, which a static program cannot; so it is never asked. An address in
//! the URL (`http://[fd00::1]:8080/`) needs no resolver; for names the caller brings one ([`Resolve`]).

use std::{fmt, io, net::IpAddr, net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, dns, redirect};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use super::{Body, Chunks, Fault, Path, Transport};

/// The most redirections that are followed.
const REDIRECTS: usize = 3;
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest wait for the first line of an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// A repository on an HTTP server.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: Url,
}

/// How to reach a server.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Who turns names into addresses; without it, only addresses work.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// The certificates, in PEM, of the authorities that a server's certificate may come from.
    pub authorities: &'a [u8],
    /// What the machine calls itself.
    pub agent: Option<&'a str>,
}

/// Turns names into addresses.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a host.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadServer {
    /// Not the address of a folder on a server.
    #[error("{base:?} is not an http or https address without query and fragment")]
    Address {
        /// What was given.
        base: String,
    },
    /// The authorities cannot be read.
    #[error("the certificates of authorities are not valid PEM")]
    Authorities(#[source] rustls::pki_types::pem::Error),
    /// One of them is not a certificate.
    #[error("the certificate of an authority is not valid")]
    Authority(#[source] rustls::Error),
    /// The settings do not go together.
    #[error("set up the HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
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
        let client = Client::builder()
            .tls_backend_preconfigured(tls(options.authorities)?)
            .dns_resolver(Arc::new(Names(options.resolver)))
            .user_agent(options.agent.unwrap_or("coracle"))
            .redirect(redirect::Policy::limited(REDIRECTS))
            .referer(false)
            .http1_only()
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| BadServer::Client(error.into()))?;
        Ok(Self { client, base })
    }

    async fn get(&self, path: &Path, range: Option<&Range<u64>>) -> Result<Response, Fault> {
        let url = self.base.join(path.as_str()).map_err(unreachable)?;
        let mut request = self.client.get(url);
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        let answer = tokio::time::timeout(ANSWER, request.send()).await;
        let response =
            answer.map_err(|_| Fault::TooSlow { least: 1, within: ANSWER })?.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            // Object stores forbid what they do not have to those who may not list it.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => Err(Fault::Missing),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(Fault::Busy { status: response.status().as_u16(), retry_after: retry_after(&response) })
            }
            other => Err(Fault::Status { status: other.as_u16() }),
        }
    }
}

#[async_trait]
impl Transport for Http {
    async fn whole(&self, path: &Path) -> Result<Body, Fault> {
        let response = self.get(path, None).await?;
        if response.status() != StatusCode::OK {
            return Err(Fault::Status { status: response.status().as_u16() });
        }
        Ok(Body::open(response))
    }

    async fn part(&self, path: &Path, bytes: Range<u64>, len: u64) -> Result<Body, Fault> {
        let response = self.get(path, Some(&bytes)).await?;
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

#[async_trait]
impl Chunks for Response {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.chunk().await.map_err(unreachable)
    }
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::Unreachable { source: error.into() }
}

/// In seconds; the other form, a date, is for people with a clock that is right.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn tls(authorities: &[u8]) -> Result<ClientConfig, BadServer> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        roots.add(certificate.map_err(BadServer::Authorities)?).map_err(BadServer::Authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| BadServer::Client(error.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The caller's resolver, or one that knows no name.
struct Names(Option<Arc<dyn Resolve>>);

impl dns::Resolve for Names {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let resolver =
                resolver.ok_or("there is no resolver for names: write the server's address as a number")?;
            let addresses = resolver.resolve(name.as_str()).await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as dns::Addrs)
        })
    }
}
