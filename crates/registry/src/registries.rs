//! Who is asked for an image: mirrors first, the registry itself last (containers-registries.conf(5)).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use coracle_fetch::direct::Url;

use crate::login::Login;
use crate::reference::{BadReference, Host, Reference, Repository};

/// What is known of registries. Of one that is not there, that it has no mirror, speaks TLS and takes anybody.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// How registries are reached.
    pub known: BTreeMap<Host, Registry>,
    /// Who asks them, and who asks mirrors.
    pub logins: BTreeMap<Host, Login>,
}

/// How a registry is reached.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// What it speaks itself.
    pub protocol: Protocol,
    /// Who is asked before it, in this order.
    pub mirrors: Vec<Mirror>,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP over TLS, with a certificate that holds.
    #[default]
    Https,
    /// Plain HTTP: whoever is on the way sees passwords, and chooses what a tag is. `insecure` elsewhere, where it means TLS without a
    /// look at the certificate as well; that does not exist here.
    Http,
}

/// Somebody who has a registry's images too.
#[derive(Debug, Clone)]
pub struct Mirror {
    /// Where.
    pub location: Location,
    /// What it speaks.
    pub protocol: Protocol,
    /// Which images it is asked for.
    pub pull: PullFromMirror,
}

/// `pull-from-mirror`: which images a mirror is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullFromMirror {
    /// All.
    #[default]
    All,
    /// Those with a digest: it could give an old image for a tag.
    DigestOnly,
    /// Those without.
    TagOnly,
}

/// `HOST[:PORT][/FOLDER]`: a registry, or a folder of its repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    host: Host,
    folder: Option<Repository>,
}

impl FromStr for Location {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let (host, folder) = match text.split_once('/') {
            Some((host, folder)) => (host, Some(folder.parse()?)),
            None => (text, None),
        };
        Ok(Self { host: host.parse()?, folder })
    }
}

/// A repository at somebody who may have the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) host: Host,
    pub(crate) protocol: Protocol,
    pub(crate) repository: String,
}

impl Registries {
    /// Who is asked for an image and all that it is made of, in this order.
    pub(crate) fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        let Reference { registry: host, repository, .. } = reference;
        let endpoint = |host: &Host, protocol: Protocol, folder: Option<&Repository>| Endpoint {
            host: host.clone(),
            protocol,
            repository: match folder {
                Some(folder) => format!("{}/{}", folder.as_str(), repository.as_str()),
                None => repository.as_str().to_owned(),
            },
        };
        let Some(Registry { protocol, mirrors }) = self.known.get(host) else {
            let mut itself = vec![endpoint(host, Protocol::Https, None)];
            if host.is_loopback() {
                itself.push(endpoint(host, Protocol::Http, None));
            }
            return itself;
        };
        let is_pinned = reference.digest().is_some();
        let asked = mirrors.iter().filter(|mirror| match mirror.pull {
            PullFromMirror::All => true,
            PullFromMirror::DigestOnly => is_pinned,
            PullFromMirror::TagOnly => !is_pinned,
        });
        let mirrors = asked.map(|Mirror { location, protocol, .. }| {
            endpoint(&location.host, *protocol, location.folder.as_ref())
        });
        mirrors.chain([endpoint(host, *protocol, None)]).collect()
    }
}

impl Endpoint {
    /// Where it has a document or blob.
    pub(crate) fn url(&self, kind: &str, name: &str) -> Option<Url> {
        let Self { host, protocol, repository } = self;
        Url::parse(&format!("{protocol}://{}/v2/{repository}/{kind}/{name}", host.server())).ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.protocol, self.host.server(), self.repository)
    }
}

/// The scheme of an address.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "https",
            Self::Http => "http",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: &str = "@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn mirror(location: &str, pull: PullFromMirror) -> Mirror {
        Mirror { location: location.parse().unwrap(), protocol: Protocol::Https, pull }
    }

    #[test]
    fn mirrors_first() {
        let known = Registry {
            protocol: Protocol::Http,
            mirrors: vec![
                mirror("all.test:5000", PullFromMirror::All),
                mirror("pinned.test/a/b", PullFromMirror::DigestOnly),
                Mirror { protocol: Protocol::Http, ..mirror("tags.test", PullFromMirror::TagOnly) },
            ],
        };
        let docker =
            Registry { mirrors: vec![mirror("hub.test/hub", PullFromMirror::All)], ..Registry::default() };
        let known = [("images.test", known), ("docker.io", docker)];
        let known = known.map(|(host, registry)| (host.parse().unwrap(), registry));
        let registries = Registries { known: known.into(), ..Registries::default() };
        let tagged = ["https://all.test:5000/x", "http://tags.test/x", "http://images.test/x"];
        let pinned = ["https://all.test:5000/x", "https://pinned.test/a/b/x", "http://images.test/x"];
        for (reference, want) in [
            ("images.test/x:y", tagged.as_slice()),
            (&format!("images.test/x{PINNED}"), &pinned),
            (&format!("images.test/x:y{PINNED}"), &pinned),
            (
                "alpine",
                &["https://hub.test/hub/library/alpine", "https://registry-1.docker.io/library/alpine"],
            ),
            ("other.test/x", &["https://other.test/x"]),
            ("localhost:5000/x", &["https://localhost:5000/x", "http://localhost:5000/x"]),
            ("[::1]/x", &["https://[::1]/x", "http://[::1]/x"]),
        ] {
            let asked = registries.endpoints(&reference.parse().unwrap());
            assert_eq!(asked.iter().map(Endpoint::to_string).collect::<Vec<_>>(), want, "{reference}");
        }
        // Who says what a loopback registry speaks is believed.
        let strict =
            Registries { known: [("[::1]".parse().unwrap(), Registry::default())].into(), ..registries };
        assert_eq!(strict.endpoints(&"[::1]/x".parse().unwrap()).len(), 1);
    }

    #[test]
    fn addresses() {
        let endpoint = |host: &str| Endpoint {
            host: host.parse().unwrap(),
            protocol: Protocol::Https,
            repository: "a/b".to_owned(),
        };
        let url = |host: &str| endpoint(host).url("manifests", "v1.0_x").unwrap().to_string();
        assert_eq!(url("docker.io"), "https://registry-1.docker.io/v2/a/b/manifests/v1.0_x");
        assert_eq!(url("[::1]:5000"), "https://[::1]:5000/v2/a/b/manifests/v1.0_x");
        for text in ["", "/a", "a.test/", "a.test/B", "a b"] {
            assert!(text.parse::<Location>().is_err(), "{text:?}");
        }
    }
}
