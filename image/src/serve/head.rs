//! The head of a request: from bytes to what matters of it.

/// The longest head, in bytes.
pub const MAX_HEAD: usize = 8 << 10;

/// What matters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Whether the content is wanted, too: `GET`, not `HEAD`.
    pub wants_content: bool,
    /// The target as it was written.
    pub target: String,
    /// `Range`
    pub range: Option<String>,
    /// `If-Range`
    pub if_range: Option<String>,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
    /// Whether another request may follow on the connection.
    pub keeps: bool,
}

/// Why a request is not answered with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No request of HTTP/1, or one with content.
    Malformed,
    /// Neither `GET` nor `HEAD`.
    Method,
}

/// How long the head at the beginning of these bytes is, with the blank line; `None` if it is not there whole.
pub fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

impl Head {
    /// Reads a head that ends with its blank line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::Malformed)?;
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refused::Malformed);
        };
        if !["HTTP/1.0", "HTTP/1.1"].contains(&version) || !target.starts_with('/') {
            return Err(Refused::Malformed);
        }
        let wants_content = match method {
            "GET" => true,
            "HEAD" => false,
            _ => return Err(Refused::Method),
        };
        let mut head = Self {
            wants_content,
            target: target.to_owned(),
            keeps: version == "HTTP/1.1",
            ..Self::default()
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Refused::Malformed)?;
            let value = value.trim().to_owned();
            match name.to_ascii_lowercase().as_str() {
                "range" => head.range = Some(value),
                "if-range" => head.if_range = Some(value),
                "if-none-match" => head.if_none_match = Some(value),
                "connection" if value.eq_ignore_ascii_case("close") => head.keeps = false,
                "content-length" if value == "0" => {}
                "content-length" | "transfer-encoding" => return Err(Refused::Malformed),
                _ => {}
            }
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_read_and_others_refused() {
        let good = b"GET /a/b HTTP/1.1\r\nHost: x\r\nRANGE: bytes=0-1\r\nIf-None-Match: \"a\"\r\n\r\n";
        let head = Head::parse(good).unwrap();
        assert_eq!(
            (head.target.as_str(), head.range.as_deref(), head.keeps),
            ("/a/b", Some("bytes=0-1"), true)
        );
        assert_eq!(end(good), Some(good.len()));
        assert_eq!(end(&good[..good.len() - 1]), None);
        for (text, want) in [
            ("POST / HTTP/1.1\r\n\r\n", Refused::Method),
            ("GET /  HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("GET http://x/ HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("GET / HTTP/2\r\n\r\n", Refused::Malformed),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Refused::Malformed),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", Refused::Malformed),
            ("", Refused::Malformed),
        ] {
            assert_eq!(Head::parse(text.as_bytes()), Err(want), "{text:?}");
        }
        assert!(!Head::parse(b"HEAD / HTTP/1.1\r\nConnection: Close\r\n\r\n").unwrap().keeps);
    }

    proptest! {
        /// Any bytes give a head or a refusal.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Head::parse(&bytes); // Either is right.
        }
    }
}
