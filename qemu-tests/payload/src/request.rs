//! The first line of a request, and the words in its query.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path, without the query.
    pub path: &'a str,
    query: &'a str,
}

impl<'a> Request<'a> {
    /// Reads `GET PATH?QUERY HTTP/1.1`; nothing else is served.
    pub fn parse(line: &'a str) -> Option<Self> {
        let target = line.strip_prefix("GET ")?.split(' ').next()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self { path, query })
    }

    /// A value of the query, as it stands: nothing is unescaped.
    pub fn text(self, key: &str) -> Option<&'a str> {
        self.query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))
            .map(|(_, text)| text)
    }

    /// A number of the query.
    pub fn number(self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_told_apart() {
        let request = Request::parse("GET /write?bytes=12&path=/a/b&bytes=13 HTTP/1.1").unwrap();
        assert_eq!(request.path, "/write");
        assert_eq!((request.number("bytes"), request.text("path")), (Some(12), Some("/a/b")));
        assert_eq!((request.number("path"), request.number("mib")), (None, None));
        assert_eq!(Request::parse("GET / HTTP/1.1").unwrap().path, "/");
        assert_eq!(Request::parse("POST / HTTP/1.1"), None);
    }
}
