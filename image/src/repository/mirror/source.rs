//! Where a repository comes from.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use coracle_trust::Transport;
use coracle_trust::transport::{Folder, Http, Options, Resolve};

use super::Error;
use crate::repository::Error as Failed;

/// Certificates of a Debian machine.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The longest file of certificates or root metadata, in bytes.
const MAX: u64 = 1 << 20;

/// Where a repository is: on a server or in a folder.
pub fn source(from: &str, authorities: Option<&Path>) -> Result<Arc<dyn Transport>, Error> {
    if !from.starts_with("http://") && !from.starts_with("https://") {
        return Ok(Arc::new(Folder::new(from)));
    }
    let authorities = match authorities {
        Some(path) => read(path)?,
        // Without any, no certificate is believed, and that is said when it matters.
        None => fs::read(AUTHORITIES).unwrap_or_default(),
    };
    let names = Some(Arc::new(Names) as Arc<dyn Resolve>);
    let options = Options { resolver: names, authorities: &authorities, ..Options::default() };
    let http = Http::new(from, options);
    Ok(Arc::new(http.map_err(|source| Error::Server { from: from.to_owned(), source })?))
}

/// The resolver of this machine.
#[derive(Debug)]
struct Names;

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        use std::net::ToSocketAddrs as _;
        // Nothing else goes on meanwhile.
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// What drives the transports.
pub fn runtime(repo: &Path) -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(Failed::file("start to work on", repo))?)
}

/// A small file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Failed::file("open", path))?;
    file.take(MAX).read_to_end(&mut bytes).map_err(Failed::file("read", path))?;
    Ok(bytes)
}
