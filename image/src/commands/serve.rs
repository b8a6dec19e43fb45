//! `coracle serve`.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use coracle_image::serve::Server;

/// Arguments of `coracle serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle serve repo
  coracle serve repo --listen 0.0.0.0:8443 --tls-cert server.pem --tls-key server-key.pem

For trying a repository, not for a fleet: every server of static files that gives ranges serves one. A machine in QEMU reaches
it at http://10.0.2.2:8000. Ends with Ctrl-C.")]
pub struct Args {
    /// The folder.
    dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Certificate of the server with those above it, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Serves until it is stopped; a line a request on standard error.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let server = Server::new(&args.dir, args.tls_cert.as_deref().zip(args.tls_key.as_deref()))?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("listen at {}", args.listen))?;
    let address = listener.local_addr().context("ask for the own address")?;
    eprintln!("serving {} at {}://{address}/", args.dir.display(), server.scheme());
    server.run(&listener, |line| eprintln!("{line}"))
}
