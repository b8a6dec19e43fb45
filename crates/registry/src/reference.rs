//! Where an image is: `[registry[:port]/]repository[:tag][@digest]`.
//!
//! The grammar is that of the distribution project, with its bounds; the defaults are those that everybody has in mind who writes
//! `alpine`: `docker.io/library/alpine:latest`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use coracle_fetch::direct::Url;

use crate::digest::Digest;

/// The registry of names without one …
const DOCKER: &str = "docker.io";
/// … another name of it, from older days …
const DOCKER_INDEX: &str = "index.docker.io";
/// … where its folder of names without one is …
const LIBRARY: &str = "library/";
/// … and where it really is.
const DOCKER_SERVER: &str = "registry-1.docker.io";
/// The tag of names without tag and digest.
const LATEST: &str = "latest";
/// The longest repository, and the longest registry.
const LONGEST: usize = 255;
/// The longest tag.
const LONGEST_TAG: usize = 128;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry.
    pub registry: Host,
    /// The repository in it.
    pub repository: Repository,
    /// Which image of the repository.
    pub target: Target,
}

/// Which image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one that has the tag now.
    Tag(Tag),
    /// Just this one. A tag beside it is for people.
    Digest(Option<Tag>, Digest),
}

/// A registry: `HOST` or `HOST:PORT`, in lower case, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

/// A repository: names of lower-case letters and digits, separated within by `.`, `_`, `__` or `-`s, between them by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository(String);

/// A tag: a letter, digit or `_`, then at most 127 of those, `.` and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// What is wrong with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// The registry.
    #[error("not a registry: HOST or HOST:PORT")]
    Host,
    /// The repository.
    #[error("not a repository: lower-case letters and digits, with . _ - or / between them")]
    Repository,
    /// It would be taken for an image by its hash.
    #[error("a repository is not named by 64 hex digits")]
    Hash,
    /// The tag.
    #[error("not a tag: up to 128 letters, digits, _ . and -")]
    Tag,
    /// The digest.
    #[error(transparent)]
    Digest(#[from] crate::digest::BadDigest),
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        // The last colon is a port's if a slash follows.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (name, None),
        };
        let target = match (tag, digest) {
            (tag, Some(digest)) => Target::Digest(tag, digest),
            (Some(tag), None) => Target::Tag(tag),
            (None, None) => Target::Tag(Tag(LATEST.to_owned())),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (first.parse()?, rest.to_owned()),
            _ => (Host(DOCKER.to_owned()), name.to_owned()),
        };
        let repository = match registry.as_str() {
            DOCKER if !repository.contains('/') => {
                if repository.len() == 64 && repository.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(BadReference::Hash);
                }
                format!("{LIBRARY}{repository}")
            }
            _ => repository,
        };
        Ok(Self { registry, repository: repository.parse()?, target })
    }
}

/// What tells a registry from the first part of a repository.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.bytes().any(|byte| b".:[".contains(&byte) || byte.is_ascii_uppercase())
}

impl Reference {
    /// The digest that pins it.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.target {
            Target::Tag(_) => None,
            Target::Digest(_, digest) => Some(digest),
        }
    }
}

impl Host {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it answers.
    pub(crate) fn server(&self) -> &str {
        if self.0 == DOCKER { DOCKER_SERVER } else { &self.0 }
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let name = match self.0.rsplit_once(':') {
            Some((name, _)) if !self.0.ends_with(']') => name,
            _ => &self.0,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Host {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let text = text.to_ascii_lowercase();
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (text.as_str(), None),
        };
        let is_port =
            |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
        let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == bare),
            None => name.split('.').all(is_label),
        };
        // Of the same mind as what asks it: there, 127.1 is an address too.
        let is_same = Url::parse(&format!("http://{name}/")).is_ok_and(|url| url.host_str() == Some(name));
        if text.len() > LONGEST || !is_name || !is_same || !port.is_none_or(is_port) {
            return Err(BadReference::Host);
        }
        Ok(Self(if text == DOCKER_INDEX { DOCKER.to_owned() } else { text }))
    }
}

fn is_label(label: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_end(label.bytes().next())
        && is_end(label.bytes().last())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Repository {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let good = text.len() <= LONGEST && text.split('/').all(is_component);
        good.then(|| Self(text.to_owned())).ok_or(BadReference::Repository)
    }
}

/// Words with one of the separators between them.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let is_end = |byte: Option<u8>| byte.is_some_and(is_word);
    is_end(component.bytes().next())
        && is_end(component.bytes().last())
        && component.split(|letter| u8::try_from(letter).is_ok_and(is_word)).all(is_separator)
}

impl Tag {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = text.len() <= LONGEST_TAG
            && text.bytes().next().is_some_and(is_word)
            && text.bytes().all(|byte| is_word(byte) || b".-".contains(&byte));
        good.then(|| Self(text.to_owned())).ok_or(BadReference::Tag)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository.0)?;
        match &self.target {
            Target::Tag(tag) => write!(f, ":{}", tag.0),
            Target::Digest(Some(tag), digest) => write!(f, ":{}@{digest}", tag.0),
            Target::Digest(None, digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn defaults() {
        let pinned = format!("alpine:3@sha256:{HEX}");
        for (text, want) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            (&pinned, &format!("docker.io/library/alpine:3@sha256:{HEX}")),
            ("a/b", "docker.io/a/b:latest"),
            ("docker.io/a", "docker.io/library/a:latest"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a:b", "localhost:5000/a:b"),
            ("host:80/a", "host:80/a:latest"),
            ("a:80", "docker.io/library/a:80"),
            ("Host/a", "host/a:latest"),
            ("images.test/a/b/c_d__e--f.g", "images.test/a/b/c_d__e--f.g:latest"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
            ("[fd00::1]:5000/a:b", "[fd00::1]:5000/a:b"),
            ("[::1]/a", "[::1]/a:latest"),
            (HEX[..63].as_ref(), &format!("docker.io/library/{}:latest", &HEX[..63])),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.to_string(), *want);
        }
    }

    #[test]
    fn what_is_none() {
        use BadReference::*;
        for (text, want) in [
            ("", Repository),
            ("A", Repository),
            ("a//b", Repository),
            ("/a", Repository),
            ("a/", Repository),
            ("-a", Repository),
            ("a-", Repository),
            ("a..b", Repository),
            ("a___b", Repository),
            ("a._b", Repository),
            ("a/../b", Repository),
            ("a b", Repository),
            ("a%2fb", Repository),
            ("ä", Repository),
            ("https://a/b", Host),
            (HEX, Hash),
            ("a:", Tag),
            ("a:.b", Tag),
            ("a:b c", Tag),
            ("a:b:c", Repository),
            ("a@sha256:12", Digest(crate::digest::BadDigest)),
            ("a@", Digest(crate::digest::BadDigest)),
            ("a.b:0/c", Host),
            ("a.b:65536/c", Host),
            ("a.b:080/c", Host),
            ("a.b:/c", Host),
            ("-a.b/c", Host),
            ("a..b/c", Host),
            ("user@a.b/c", Digest(crate::digest::BadDigest)),
            ("127.1/a", Host),
            ("0x7f.0.0.1/a", Host),
            ("1.2.3.4.5/a", Host),
            ("[::1/a", Host),
            ("[0:0::1]/a", Host),
            ("[::1%eth0]/a", Host),
            ("[::1]x/a", Host),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(want), "{text}");
        }
    }

    #[test]
    fn lengths() {
        let is = |text: String| text.parse::<Reference>().is_ok();
        assert!(is(format!("h.t/{}", "a".repeat(255))) && !is(format!("h.t/{}", "a".repeat(256))));
        assert!(is(format!("a:{}", "b".repeat(128))) && !is(format!("a:{}", "b".repeat(129))));
        let host = |length: usize| format!("{}/a", ["a"; 128].join(".").get(..length).unwrap());
        assert!(is(host(253)));
        assert!(!is(format!("{}/a", "a.".repeat(127) + "bb")));
    }

    #[test]
    fn this_machine() {
        for (text, want) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::1]:5000", true),
            ("localhost.test", false),
            ("127.0.0.1.test", false),
            ("10.0.0.1", false),
            ("[fd00::1]:5000", false),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().is_loopback(), want, "{text}");
        }
    }

    proptest! {
        /// What is read is written so that it is read as the same.
        #[test]
        fn any_text(text in "\\PC{0,80}|[a-zA-Z0-9._:/@\\[\\]-]{0,80}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }

        /// Every part is found where it was put.
        #[test]
        fn every_part(
            host in "[a-z0-9]{1,8}(-[a-z0-9]{1,5})?\\.[a-z]{2,5}",
            port in prop::option::of(1u16..),
            repository in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}){0,3}",
            tag in prop::option::of("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"),
            digest in prop::option::of(any::<[u8; 32]>().prop_map(Digest::Sha256)),
        ) {
            prop_assume!(!host.starts_with("xn--"));
            let host = match port {
                Some(port) => format!("{host}:{port}"),
                None => host,
            };
            let mut text = format!("{host}/{repository}");
            text.extend(tag.iter().map(|tag| format!(":{tag}")));
            text.extend(digest.iter().map(|digest| format!("@{digest}")));
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.registry.as_str(), host);
            prop_assert_eq!(reference.repository.as_str(), repository);
            prop_assert_eq!(reference.digest(), digest.as_ref());
            let tag = tag.map(Tag);
            prop_assert_eq!(reference.target, match digest {
                Some(digest) => Target::Digest(tag, digest),
                None => Target::Tag(tag.unwrap_or(Tag(LATEST.to_owned()))),
            });
        }
    }
}
