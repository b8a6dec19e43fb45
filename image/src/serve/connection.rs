//! One connection: requests, one after the other, and their answers.

use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::files::{Files, Found};
use super::head::{self, Head, MAX_HEAD, Refused};

/// A head must have come by then, from the end of the answer before.
const HEAD: Duration = Duration::from_secs(15);
/// An answer must be gone by then, and besides in the time that its content takes at [`SLOWEST`].
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes a second.
const SLOWEST: u64 = 4 << 10;
/// What a refused client may go on to send: so long, and so many bytes.
const LINGER: Duration = Duration::from_secs(2);
const MAX_LINGER: u64 = 64 << 10;
/// Requests on one connection.
const MOST: usize = 1000;

/// A stream on which every wait ends at a deadline.
#[derive(Debug)]
pub struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: Instant::now() + HEAD }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// Takes in for a moment what a refused client is still sending: closed at once, the answer would be lost on its way.
    fn linger(&mut self) -> io::Result<()> {
        self.deadline = Instant::now() + LINGER;
        self.stream.shutdown(Shutdown::Write)?;
        io::copy(&mut self.take(MAX_LINGER), &mut io::sink()).map(drop)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A stream, plain or within TLS.
pub trait Stream: Read + Write {
    /// What the waits are counted on.
    fn timed(&mut self) -> &mut Timed;
}

impl Stream for Timed {
    fn timed(&mut self) -> &mut Timed {
        self
    }
}

impl Stream for rustls::StreamOwned<rustls::ServerConnection, Timed> {
    fn timed(&mut self) -> &mut Timed {
        self.get_mut()
    }
}

/// Answers until the client is done, or not worth waiting for. `log` gets method and target, status, bytes sent.
pub fn converse(
    stream: &mut dyn Stream,
    files: &Files,
    log: &mut dyn FnMut(&str, u16, u64),
) -> io::Result<()> {
    let mut waiting = Vec::new();
    for _ in 0..MOST {
        stream.timed().deadline = Instant::now() + HEAD;
        let Some(bytes) = next(stream, &mut waiting)? else { return Ok(()) };
        let line = String::from_utf8_lossy(&bytes);
        let line =
            line.split("\r\n").next().unwrap_or_default().rsplit_once(' ').map_or("?", |(line, _)| line);
        let head = if bytes.len() > MAX_HEAD { Err(None) } else { Head::parse(&bytes).map_err(Some) };
        stream.timed().deadline = Instant::now() + ANSWER;
        let is_refused = head.is_err();
        let (status, sent, keeps) = match head {
            Ok(head) => {
                let (status, sent) = respond(stream, &head, files.find(&head.target))?;
                (status, sent, head.keeps)
            }
            Err(refused) => (refuse(stream, refused)?, 0, false),
        };
        log(line, status, sent);
        if is_refused {
            return stream.timed().linger();
        }
        if !keeps {
            break;
        }
    }
    Ok(())
}

/// The next head; longer than [`MAX_HEAD`] if it does not end in time; `None` if there is none.
fn next(stream: &mut dyn Stream, waiting: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 1024];
    loop {
        if let Some(end) = head::end(waiting) {
            return Ok(Some(waiting.drain(..end).collect()));
        }
        if waiting.len() > MAX_HEAD {
            return Ok(Some(std::mem::take(waiting)));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            read => waiting.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
}

fn refuse(stream: &mut dyn Stream, refused: Option<Refused>) -> io::Result<u16> {
    let (status, more) = match refused {
        Some(Refused::Malformed) => (400, ""),
        Some(Refused::Method) => (405, "Allow: GET, HEAD\r\n"),
        None => (431, ""),
    };
    send(stream, status, &format!("{more}Content-Length: 0\r\nConnection: close\r\n"))?;
    Ok(status)
}

fn respond(stream: &mut dyn Stream, head: &Head, found: Option<Found>) -> io::Result<(u16, u64)> {
    let Some(mut found) = found else {
        send(stream, 404, "Content-Length: 0\r\n")?;
        return Ok((404, 0));
    };
    let (len, tag) = (found.len, &found.tag);
    let (status, bytes, more) = match Answer::to(head, len, tag) {
        Answer::Whole => (200, 0..len, String::new()),
        Answer::Part(part) => {
            let more =
                format!("Content-Range: bytes {}-{}/{len}\r\n", part.start, part.end.saturating_sub(1));
            (206, part, more)
        }
        Answer::Unsatisfiable => (416, 0..0, format!("Content-Range: bytes */{len}\r\n")),
        Answer::NotModified => {
            send(stream, 304, &format!("ETag: {tag}\r\n"))?;
            return Ok((304, 0));
        }
    };
    let count = bytes.end - bytes.start;
    stream.timed().deadline = Instant::now() + ANSWER + Duration::from_secs(count / SLOWEST);
    let fields = format!(
        "{more}Content-Length: {count}\r\nContent-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\nETag: {tag}\r\n"
    );
    send(stream, status, &fields)?;
    if !head.wants_content {
        return Ok((status, 0));
    }
    copy(stream, &mut found, bytes)?;
    Ok((status, count))
}

/// Sends just these bytes: the client was told so, and a file that has become shorter ends the connection.
fn copy(stream: &mut dyn Stream, found: &mut Found, bytes: Range<u64>) -> io::Result<()> {
    found.file.seek(SeekFrom::Start(bytes.start))?;
    let wanted = bytes.end - bytes.start;
    let copied = io::copy(&mut (&found.file).take(wanted), stream)?;
    if copied < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.flush()
}

fn send(stream: &mut dyn Stream, status: u16, fields: &str) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        _ => "Request Header Fields Too Large",
    };
    stream.write_all(format!("HTTP/1.1 {status} {reason}\r\n{fields}\r\n").as_bytes())?;
    stream.flush()
}
