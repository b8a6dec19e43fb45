//! How servers are reached.
//!
//! HTTP/1.1, at most [`REDIRECTS`] redirections and none from `https` to `http`, no proxy but the caller's, no cookies, no
//! compression. rustls with aws-lc-rs, the library that `tough` verifies signatures with: there is no second one, and no certificate is
//! read from the machine's files unless the caller gives it.
//!
//! **Names.** The C library's resolver loads modules at run time, which a static program cannot; so it is never asked. An address in
//! the URL (`http://[fd00::1]:8080/`) needs no resolver; for names the caller brings one ([`Resolve`]).

use std::{fmt, io, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Proxy, dns, redirect};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// The most redirections that are followed.
const REDIRECTS: usize = 3;
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How to reach a server.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Who turns names into addresses; without it, only addresses work.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// The certificates, in PEM, of the authorities that a server's certificate may come from.
    pub authorities: &'a [u8],
    /// What the machine calls itself.
    pub agent: Option<&'a str>,
    /// The address of a proxy that everything goes through; the environment names none.
    pub proxy: Option<&'a str>,
}

/// What becomes of a server's word that an answer is elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// It is followed up to three times, never from `https` to `http`.
    Few,
    /// It is the answer.
    Shown,
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
    /// Not the address of a proxy.
    #[error("{proxy:?} is not the address of a proxy")]
    Proxy {
        /// What was given.
        proxy: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The settings do not go together.
    #[error("set up the HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A client for other requests than a repository's, with the same resolver, authorities and proxy. A whole request has no deadline.
pub fn client(options: Options<'_>, redirects: Redirects) -> Result<Client, BadServer> {
    let builder = match options.proxy {
        Some(proxy) => Client::builder().proxy(through(proxy)?),
        None => Client::builder().no_proxy(),
    };
    builder
        .tls_backend_preconfigured(tls(options.authorities)?)
        .dns_resolver(Arc::new(Names(options.resolver)))
        .user_agent(options.agent.unwrap_or("coracle"))
        .redirect(match redirects {
            Redirects::Few => redirect::Policy::custom(follow),
            Redirects::Shown => redirect::Policy::none(),
        })
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| BadServer::Client(error.into()))
}

fn through(proxy: &str) -> Result<Proxy, BadServer> {
    Proxy::all(proxy).map_err(|error| BadServer::Proxy { proxy: proxy.to_owned(), source: error.into() })
}

/// Whoever asked for secrecy does not lose it to a server's word.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    // The first of them is where it began.
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirections");
    }
    if attempt.url().scheme() != "https" && attempt.previous().iter().any(|from| from.scheme() == "https") {
        return attempt.error("a redirection from https to http");
    }
    attempt.follow()
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
