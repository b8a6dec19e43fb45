//! Why there is no image.

use std::fmt;
use std::io;

use coracle_trust::Fault;

use crate::digest::Digest;
use crate::document::BadDocument;
use crate::walk::Then;

/// Why there is no image. Nothing in it is secret: neither what was sent, nor where a registry led to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody gives it.
    #[error("get {what}: {}", list(failures))]
    Get {
        /// A reference or a digest.
        what: String,
        /// Who was asked last, and what came of it.
        failures: Vec<Failure>,
    },
    /// An index or manifest that cannot be used, though it is the right one.
    #[error("use {digest}")]
    Document {
        /// Which.
        digest: Digest,
        /// Why not.
        source: BadDocument,
    },
    /// Nothing in it is for this machine.
    #[error("{reference} has nothing for this platform")]
    NoPlatform {
        /// The image.
        reference: String,
    },
    /// An index within an index within an index, or too many of them.
    #[error("{reference} is not found within {limit} nested indexes")]
    Nested {
        /// The image.
        reference: String,
        /// How many there may be.
        limit: usize,
    },
    /// The caller's store has failed.
    #[error("store {digest}")]
    Store {
        /// What should have been stored.
        digest: Digest,
        /// Why it is not.
        source: io::Error,
    },
}

/// What came of asking one.
#[derive(Debug)]
pub struct Failure {
    /// Who: an address, and the repository there.
    pub endpoint: String,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What goes wrong with a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// It does not give what it is asked for.
    #[error(transparent)]
    Server(#[from] Fault),
    /// It lets only those in that it knows, and there is no login for it.
    #[error("it wants a login")]
    LoginWanted,
    /// It does not know whom it should know.
    #[error("it refuses the login")]
    LoginRefused,
    /// It wants to know who asks, but not in a way that is known here.
    #[error("it wants to know who asks, in a way that is not known")]
    Challenge,
    /// The place where it wants a token to be fetched.
    #[error("it wants a token from {why}")]
    Realm {
        /// What is wrong with it.
        why: &'static str,
    },
    /// What came instead of a token.
    #[error("its token server gave {why}")]
    Token {
        /// What it is.
        why: &'static str,
    },
    /// A redirection that is not followed.
    #[error("its redirection is not followed: {why}")]
    Redirect {
        /// Why not.
        why: &'static str,
    },
    /// Not the kind of document that was asked for.
    #[error("it gave {got:?} for a document")]
    ContentType {
        /// What it says that it is.
        got: String,
    },
    /// A length that the wanted has not.
    #[error("it gave {got} bytes instead of {want}")]
    Size {
        /// As the descriptor says.
        want: u64,
        /// As the server says.
        got: u64,
    },
    /// Other bytes than those asked for.
    #[error("what it gave is {got}")]
    Digest {
        /// What came.
        got: Digest,
    },
    /// A document that it should not have any more.
    #[error(transparent)]
    Document(BadDocument),
    /// A name that makes no address.
    #[error("it has no address")]
    Address,
}

impl Trouble {
    /// What it is good for: this is the rule of when others are asked.
    pub(crate) fn then(&self) -> Then {
        match self {
            Self::Server(Fault::Busy { retry_after, .. }) => Then::Again(*retry_after),
            Self::Server(Fault::Unreachable { .. } | Fault::TooSlow { .. } | Fault::TooShort { .. }) => {
                Then::Again(None)
            }
            Self::Server(_)
            | Self::LoginWanted
            | Self::Challenge
            | Self::Realm { .. }
            | Self::Token { .. }
            | Self::Redirect { .. }
            | Self::ContentType { .. }
            | Self::Size { .. }
            | Self::Address => Then::Elsewhere,
            Self::LoginRefused | Self::Digest { .. } | Self::Document(_) => Then::Stop,
        }
    }
}

fn list(failures: &[Failure]) -> String {
    failures.iter().map(Failure::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.trouble)?;
        // Several of them have no one cause that a printer could walk to.
        let mut next = std::error::Error::source(&self.trouble);
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_asked_after_what() {
        let after = Some(Duration::from_secs(7));
        let digest = Digest::sha256(b"");
        for (trouble, want) in [
            (Fault::Busy { status: 429, retry_after: after }.into(), Then::Again(after)),
            (Fault::Busy { status: 500, retry_after: None }.into(), Then::Again(None)),
            (Fault::Unreachable { source: "broken".into() }.into(), Then::Again(None)),
            (Fault::TooSlow { least: 1, within: Duration::ZERO }.into(), Then::Again(None)),
            (Fault::TooShort { missing: 1 }.into(), Then::Again(None)),
            (Fault::TooLong { limit: 1 }.into(), Then::Elsewhere),
            (Fault::Missing.into(), Then::Elsewhere),
            (Fault::Status { status: 400 }.into(), Then::Elsewhere),
            (Trouble::LoginWanted, Then::Elsewhere),
            (Trouble::LoginRefused, Then::Stop),
            (Trouble::ContentType { got: String::new() }, Then::Elsewhere),
            (Trouble::Size { want: 1, got: 2 }, Then::Elsewhere),
            (Trouble::Digest { got: digest }, Then::Stop),
            (Trouble::Document(BadDocument::Schema1), Then::Stop),
        ] {
            assert_eq!(trouble.then(), want, "{trouble}");
        }
    }

    #[test]
    fn every_failure_is_told_with_its_causes() {
        let failure = |endpoint: &str, trouble| Failure { endpoint: endpoint.to_owned(), trouble };
        let broken = Fault::Unreachable { source: io::Error::other("reset").into() };
        let failures = vec![
            failure("https://m.test/a", Fault::Missing.into()),
            failure("https://a.test/a", broken.into()),
        ];
        let error = Error::Get { what: "a.test/a:b".to_owned(), failures };
        assert_eq!(
            error.to_string(),
            "get a.test/a:b: https://m.test/a: there is no such file; https://a.test/a: no answer from the server: reset"
        );
    }
}
