//! A server of one file that counts what it sends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A server at an address of this machine. It goes with the process.
pub struct Server {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Server {
    pub fn start(path: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (file, sent) = (Arc::new(File::open(path)?), Arc::new(AtomicU64::new(0)));
        let server = Self { address: listener.local_addr()?, sent: sent.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (file, sent) = (file.clone(), sent.clone());
                // A client that goes away is no trouble of ours.
                thread::spawn(move || drop(serve(&stream, &file, &sent)));
            }
        });
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("http://{}/file", self.address)
    }

    /// The bytes of bodies so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// Requests for parts of the file, one after the other.
fn serve(stream: &TcpStream, file: &File, sent: &AtomicU64) -> io::Result<()> {
    let (mut reader, mut writer, len) = (BufReader::new(stream), stream, file.metadata()?.len());
    loop {
        let (mut start, mut end, mut lines) = (0, len, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            lines += 1;
            let lower = line.to_ascii_lowercase();
            if let Some((from, to)) =
                lower.strip_prefix("range: bytes=").and_then(|range| range.trim().split_once('-'))
            {
                start = from.parse().unwrap_or(0);
                end = to.parse().map_or(len, |last: u64| len.min(last + 1));
            }
        }
        if lines == 0 || start >= end {
            return Ok(());
        }
        let mut body = vec![0; (end - start) as usize];
        file.read_exact_at(&mut body, start)?;
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{len}\r\n\r\n",
            body.len(),
            end - 1
        );
        writer.write_all(head.as_bytes())?;
        writer.write_all(&body)?;
        sent.fetch_add(body.len() as u64, Ordering::SeqCst);
    }
}
