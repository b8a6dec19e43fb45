//! A server behind a port of this machine, which says what it is told to.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;

/// What a server is asked.
pub struct Asked {
    pub path: String,
    /// The lines of its head, without the last, which is empty.
    pub head: Vec<String>,
}

impl Asked {
    /// What a header says.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter().filter_map(|line| line.split_once(": "));
        fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Answers every request on a port of its own, in the background; gives the port.
pub fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    listen(move |stream| talk(stream, &answer))
}

pub fn listen(talk: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = Arc::new(talk);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = talk.clone();
            thread::spawn(move || talk(stream));
        }
    });
    port
}

/// One request and its answer; then the connection ends.
fn talk(stream: impl Read + Write, answer: &dyn Fn(&Asked) -> Vec<u8>) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let path = head[0].split(' ').nth(1).unwrap().to_owned();
    // The client may be gone by then.
    let _ = stream.get_mut().write_all(&answer(&Asked { path, head }));
    let _ = stream.get_mut().flush();
}

pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Serves over TLS; gives the port and the certificate of its authority.
pub fn serve_tls(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> (u16, String) {
    let made =
        rcgen::generate_simple_self_signed(vec!["updates.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let port = listen(move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        talk(rustls::StreamOwned::new(connection, stream), &answer);
    });
    (port, made.cert.pem())
}
