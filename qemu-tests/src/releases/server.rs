//! `coracle serve`, as a process that ends with this one.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::image::failed;
use crate::sample::Random;
use crate::{Deadline, Error};

/// What the server says, in the folder that it works in.
pub(super) const LOG: &str = "log";
/// How long it may take to listen.
const SECONDS: u64 = 30;
/// Ports that the kernel gives to nobody who does not ask for them, and how many of them are tried.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const TRIES: usize = 50;

/// A server of `FOLDER/repo`.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
}

impl Server {
    /// A server at the port that is kept, or at another one that is kept from now on.
    pub fn start(builder: &Path, kept: &Path, folder: &Path) -> Result<(Self, u16), Error> {
        let path = kept.join("port");
        let known = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        let mut random = Random::new(u64::from(std::process::id()));
        let others = (0..TRIES).map(|_| PORTS.start + random.below(PORTS.len()) as u16);
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let port = known.into_iter().chain(others).find(is_free).unwrap_or(PORTS.end);
        if known != Some(port) {
            fs::write(&path, port.to_string()).map_err(failed("write", &path))?;
        }
        Ok((Self::at(builder, kept, folder, port)?, port))
    }

    /// A server at this port.
    pub fn at(builder: &Path, kept: &Path, folder: &Path, port: u16) -> Result<Self, Error> {
        let log = folder.join(LOG);
        let said = File::create(&log).map_err(failed("create", &log))?;
        let program = || "coracle serve".to_owned();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(builder)
            .arg("serve")
            .arg(folder.join("repo"))
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--tls-cert")
            .arg(kept.join("server.pem"))
            .arg("--tls-key")
            .arg(kept.join("server.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .map_err(|source| Error::Run { program: program(), source })?;
        let mut server = Self { process };
        let deadline = Deadline::seconds(SECONDS);
        loop {
            let said = fs::read_to_string(&log).map_err(failed("read", &log))?;
            if said.starts_with("serving ") && said.contains('\n') {
                return Ok(server);
            }
            let ended =
                server.process.try_wait().map_err(|source| Error::Run { program: program(), source })?;
            if let Some(status) = ended {
                return Err(Error::Program { program: program(), status, output: said });
            }
            if !deadline.pause() {
                let pattern = "serving".to_owned();
                return Err(Error::Timeout { pattern, waited: deadline.waited(), tail: said });
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
