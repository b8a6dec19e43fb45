//! Answers every `GET /` with the host's name and its uptime. One request at a time; a read or write that takes five seconds
//! ends it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest request that is read.
const REQUEST: u64 = 8 << 10;

fn main() -> ExitCode {
    let port = std::env::var("PORT").ok().and_then(|text| text.parse().ok()).unwrap_or(PORT);
    match listen(port) {
        Ok(listener) => serve(&listener),
        Err(error) => {
            eprintln!("hello: cannot listen on port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Both families where there are two, else the old one.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
}

fn serve(listener: &TcpListener) -> ExitCode {
    println!("hello: serving");
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = answer(&stream) {
                    eprintln!("hello: {peer}: {error}");
                }
            }
            // Out of descriptors or memory: the next moment may be better.
            Err(error) => {
                eprintln!("hello: accept: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = BufReader::new(stream.take(REQUEST));
    let mut line = String::new();
    request.read_line(&mut line)?;
    // The headers are read to their end, lest closing with bytes unread resets the connection under the answer.
    let mut header = String::new();
    while request.read_line(&mut header)? > 0 && !header.trim().is_empty() {
        header.clear();
    }
    let mut out = stream;
    out.write_all(response(&line, &status()).as_bytes())
}

fn response(request: &str, body: &str) -> String {
    let mut words = request.split_whitespace();
    let (status, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/")) => ("200 OK", body),
        (Some("GET"), Some(_)) => ("404 Not Found", "only / is here\n"),
        (Some(_), Some(_)) => ("405 Method Not Allowed", "only GET is answered\n"),
        _ => ("400 Bad Request", "that is not HTTP\n"),
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn status() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (name, uptime) = (read("/proc/sys/kernel/hostname"), read("/proc/uptime"));
    let seconds = uptime.split_whitespace().next().unwrap_or("?");
    format!("Hello from {}, up for {seconds} s\n", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_answer() {
        for (request, want) in [
            ("GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n"),
            ("GET /x HTTP/1.1\r\n", "HTTP/1.1 404 "),
            ("POST / HTTP/1.1\r\n", "HTTP/1.1 405 "),
            ("\r\n", "HTTP/1.1 400 "),
            ("", "HTTP/1.1 400 "),
        ] {
            let got = response(request, "body\n");
            assert!(got.starts_with(want), "{request:?}: {got}");
        }
        assert!(
            response("GET / HTTP/1.1", "body\n")
                .ends_with("Content-Length: 5\r\nConnection: close\r\n\r\nbody\n")
        );
    }

    #[test]
    fn a_client_is_answered() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        answer(&listener.accept().unwrap().0).unwrap();
        let text = client.join().unwrap();
        let body = text.split("\r\n\r\n").nth(1).unwrap();
        assert!(body.starts_with("Hello from ") && body.ends_with(" s\n"), "{text}");
    }
}
