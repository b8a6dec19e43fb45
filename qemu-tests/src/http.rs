//! A GET with a deadline, as far as the tests need HTTP/1.1.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::{Deadline, Error};

/// Longest response that is accepted, head included.
const MAX_RESPONSE: u64 = 4 << 20;

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks again and again until there is a complete response or the deadline has passed.
///
/// A forwarded port accepts connections before anything listens in the guest and then resets them: failures on the way
/// say nothing. Not for a path whose request must arrive only once.
///
/// # Errors
/// [`Error::Http`] with the last failure.
pub fn get(address: SocketAddr, path: &str, deadline: Deadline) -> Result<Response, Error> {
    loop {
        match get_once(address, path, deadline) {
            Ok(response) => return Ok(response),
            Err(error) if !deadline.pause() => return Err(error),
            Err(_) => {}
        }
    }
}

/// Asks once.
///
/// # Errors
/// [`Error::Http`].
pub fn get_once(address: SocketAddr, path: &str, deadline: Deadline) -> Result<Response, Error> {
    exchange(address, path, deadline).map_err(|source| Error::Http { address, path: path.to_owned(), source })
}

fn exchange(address: SocketAddr, path: &str, deadline: Deadline) -> io::Result<Response> {
    let left = || deadline.remaining().ok_or(io::ErrorKind::TimedOut);
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut chunk)? {
            0 => return parse(&bytes),
            len => bytes.extend_from_slice(&chunk[..len]),
        }
        if bytes.len() as u64 > MAX_RESPONSE {
            return Err(invalid("longer than 4 MiB"));
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Response> {
    let end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| invalid("no whole head"))?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("head is not UTF-8"))?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| invalid("no status line"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse::<usize>());
    match length {
        Some(Ok(length)) if length != body.len() => Err(invalid("body is not as long as announced")),
        Some(Err(_)) => Err(invalid("content-length is no number")),
        _ => Ok(Response { status, body: body.to_vec() }),
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Answers one connection with each of `answers`.
    fn server(answers: Vec<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len > 0) {
                    request.push(byte[0]);
                }
                // A client that has enough hangs up.
                let _ = stream.write_all(&answer);
            }
        });
        address
    }

    #[test]
    fn only_whole_responses_are_taken() {
        let whole = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(parse(whole).unwrap(), Response { status: 404, body: b"no".to_vec() });
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().body, b"");
        let broken: [&[u8]; 7] = [
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"SMTP 200 OK\r\n\r\n",
            b"HTTP/1.1 many OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nno",
            b"HTTP/1.1 200 OK\xff\r\n\r\n",
        ];
        for bytes in broken {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_get_is_repeated_until_a_whole_response_comes() {
        let address = server(vec![
            vec![],
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncu".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec(),
        ]);
        assert_eq!(get(address, "/", Deadline::seconds(20)).unwrap().text(), "good");
    }

    #[test]
    fn a_response_without_end_is_cut_off() {
        let address = server(vec![vec![b'x'; MAX_RESPONSE as usize + (64 << 10)]]);
        let error = get_once(address, "/", Deadline::seconds(20)).unwrap_err();
        assert!(
            matches!(&error, Error::Http { source, .. } if source.kind() == io::ErrorKind::InvalidData),
            "{error:?}"
        );
    }

    #[test]
    fn a_server_that_says_nothing_is_left_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let deadline = Deadline::after(Duration::from_millis(50));
        assert!(matches!(get(address, "/", deadline), Err(Error::Http { .. })));
        assert!(deadline.waited() < Duration::from_secs(20));
    }
}
