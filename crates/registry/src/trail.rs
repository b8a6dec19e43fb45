//! Where a request has been led, and what may be said there.

use coracle_fetch::direct::Url;

use crate::error::Trouble;

/// The most redirections of one request.
const MOST: usize = 5;

/// A request on its way from server to server.
#[derive(Debug)]
pub(crate) struct Trail {
    at: Url,
    left: usize,
    /// Whether it has only been where it began.
    home: bool,
}

impl Trail {
    pub(crate) fn new(from: Url) -> Self {
        Self { at: from, left: MOST, home: true }
    }

    /// Where it is now.
    pub(crate) fn url(&self) -> &Url {
        &self.at
    }

    /// Whether it is still with whom it was meant for. Once it has been elsewhere, it never is again: no login goes along, and no
    /// challenge is answered.
    pub(crate) fn is_home(&self) -> bool {
        self.home
    }

    /// Follows a `Location`. Whoever asked for secrecy does not lose it.
    pub(crate) fn follow(&mut self, location: Option<&str>) -> Result<(), Trouble> {
        let refused = |why| Trouble::Redirect { why };
        self.left = self.left.checked_sub(1).ok_or(refused("there are too many"))?;
        let next =
            location.and_then(|location| self.at.join(location).ok()).ok_or(refused("it leads nowhere"))?;
        match (self.at.scheme(), next.scheme()) {
            (_, "https") | ("http", "http") => {}
            ("https", "http") => return Err(refused("it leads from https to http")),
            _ => return Err(refused("it leads to no web server")),
        }
        // HTTP libraries make a login of it.
        if !next.username().is_empty() || next.password().is_some() {
            return Err(refused("it has a login in it"));
        }
        self.home &= self.at.origin() == next.origin();
        self.at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it leads, whether home, or that it does not.
    fn led(from: &str, locations: &[&str]) -> Result<(String, bool), String> {
        let mut trail = Trail::new(Url::parse(from).unwrap());
        for location in locations {
            trail.follow(Some(location)).map_err(|trouble| trouble.to_string())?;
        }
        Ok((trail.url().to_string(), trail.is_home()))
    }

    #[test]
    fn redirections() {
        let base = "https://a.test/v2/x";
        for (locations, want, home) in [
            (["/y"].as_slice(), "https://a.test/y", true),
            (&["y?z=1"], "https://a.test/v2/y?z=1", true),
            (&["https://a.test:443/y"], "https://a.test/y", true),
            (&["https://a.test:444/y"], "https://a.test:444/y", false),
            (&["https://b.test/y"], "https://b.test/y", false),
            (&["//b.test/y"], "https://b.test/y", false),
            (&["https://b.test/y", "https://a.test/v2/x"], base, false),
            (&["/1", "/2", "/3", "/4", "/5"], "https://a.test/5", true),
        ] {
            assert_eq!(led(base, locations).unwrap(), (want.to_owned(), home));
        }
        for (locations, want) in [
            (["http://a.test/y"].as_slice(), "from https to http"),
            (&["https://b.test/", "http://a.test/y"], "from https to http"),
            (&["file:///etc/shadow"], "no web server"),
            (&["https://user:secret@a.test/"], "login"),
            (&["https://"], "nowhere"),
            (&["/x"; 6], "too many"),
        ] {
            let why = led(base, locations).unwrap_err();
            assert!(why.contains(want) && !why.contains("secret"), "{locations:?}: {why}");
        }
        assert_eq!(led("http://a.test/", &["http://b.test/"]).unwrap(), ("http://b.test/".to_owned(), false));
        assert!(led("http://a.test/", &["https://a.test/", "http://a.test/"]).is_err());
        assert!(Trail::new(Url::parse(base).unwrap()).follow(None).is_err());
    }
}
