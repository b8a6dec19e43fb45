//! From names to addresses, by the name servers that the network process has found.
//!
//! The C library is never asked: a static program of it cannot. The file is read anew for each name, and the resolver with its cache
//! lasts as long as the file says the same.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use coracle_trust::transport::Resolve;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// The longest file that is read; the rest is not looked at.
const FILE: u64 = 16 << 10;
/// The most name servers that are asked, as in the C library.
const SERVERS: usize = 3;
/// The longest wait for one of them …
const SERVER: Duration = Duration::from_secs(2);
/// … and for an address.
const NAME: Duration = Duration::from_secs(8);
/// The most addresses of one name.
const ADDRESSES: usize = 16;
/// The most answers that are remembered.
const REMEMBERED: u64 = 32;
/// The longest name, in bytes (RFC 1035).
const LONGEST: usize = 253;

/// Asks the name servers of a file.
#[derive(Debug)]
pub struct Names {
    file: PathBuf,
    port: u16,
    known: Mutex<Option<Known>>,
}

/// The resolver for what the file said.
#[derive(Debug)]
struct Known {
    servers: Vec<IpAddr>,
    resolver: Resolver,
}

#[derive(Clone)]
struct Resolver(TokioResolver);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Names {
    /// The name servers are those of the `nameserver` lines of that file, at that port (53).
    pub fn new(file: impl Into<PathBuf>, port: u16) -> Self {
        Self { file: file.into(), port, known: Mutex::default() }
    }

    /// The addresses of `HOST` or `HOST:PORT`, in the order in which they are worth a try.
    pub(crate) async fn places(&self, text: &str, port: Option<u16>) -> io::Result<Vec<SocketAddr>> {
        let bad = || io::Error::new(io::ErrorKind::InvalidInput, "not a host and its port");
        if let Ok(place) = text.parse() {
            return Ok(vec![place]);
        }
        // An IPv6 address without a port has colons too.
        let alone = text.parse::<IpAddr>().is_ok() || text.ends_with(']');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !alone => (host, Some(port.parse().map_err(|_| bad())?)),
            _ => (text, port),
        };
        let port = port.ok_or_else(bad)?;
        Ok(self.resolve(host).await?.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    fn resolver(&self) -> io::Result<TokioResolver> {
        let mut text = String::new();
        std::fs::File::open(&self.file)?.take(FILE).read_to_string(&mut text)?;
        let servers = servers(&text);
        if servers.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no name server"));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.servers == servers) {
            return Ok(known.resolver.0.clone());
        }
        let resolver = build(&servers, self.port)?;
        *known = Some(Known { servers, resolver: Resolver(resolver.clone()) });
        Ok(resolver)
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // In an address of the web, an IPv6 address stands in brackets.
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        if name.is_empty() || name.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a name"));
        }
        let resolver = self.resolver()?;
        let found = tokio::time::timeout(NAME, resolver.lookup_ip(name)).await;
        let found =
            found.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name servers are silent"))?;
        let addresses: Vec<_> = found.map_err(io::Error::other)?.iter().take(ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

/// The addresses of a `resolv.conf`; lines that are something else are not looked at.
fn servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            words.next().filter(|word| *word == "nameserver")?;
            words.next()?.parse().ok()
        })
        .take(SERVERS)
        .collect()
}

fn build(servers: &[IpAddr], port: u16) -> io::Result<TokioResolver> {
    let servers = servers.iter().map(|&address| {
        let mut server = NameServerConfig::udp_and_tcp(address);
        for connection in &mut server.connections {
            connection.port = port;
        }
        server
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = SERVER;
    options.attempts = 1;
    options.cache_size = REMEMBERED;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_resolv_conf() {
        let text = "# nameserver 9.9.9.9\nnameserver 10.0.2.3\nsearch lan\nnameserver\tfd00::1 # ours\nnameserver fe80::1%eth0\n\
                    nameservers 1.1.1.1\nnameserver\nnameserver 192.0.2.1\r\nnameserver 192.0.2.2\n";
        let want: Vec<IpAddr> = ["10.0.2.3", "fd00::1", "192.0.2.1"].map(|text| text.parse().unwrap()).into();
        assert_eq!(servers(text), want);
    }

    #[tokio::test]
    async fn addresses_are_names_of_themselves() {
        let names = Names::new("/nowhere", 53);
        for (text, want) in [
            ("192.0.2.1", "192.0.2.1:123"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("fd00::1", "[fd00::1]:123"),
            ("[fd00::1]", "[fd00::1]:123"),
            ("[fd00::1]:99", "[fd00::1]:99"),
        ] {
            let places = names.places(text, Some(123)).await.unwrap();
            assert_eq!(places, [want.parse().unwrap()], "{text}");
        }
        for text in ["", ":123", "host:", "host:x", "host:70000", &"a".repeat(254)] {
            assert!(names.places(text, Some(123)).await.is_err(), "{text}");
        }
        assert!(names.places("192.0.2.1", None).await.is_err());
    }
}
