//! Asking any server from this process.
//!
//! An answer is what the server said: its head as it is, a redirection too, and its body as it comes. This is for a process that has no
//! rights itself, such as one that pulls images; one that has some asks a [`Remote`](crate::Remote).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coracle_trust::Fault;
use coracle_trust::transport::{ANSWER, BadServer, Body, Redirects, client, retry_after};
use reqwest::Client;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use tokio::time::timeout;

pub use reqwest::Url;

use crate::http::reach;
use crate::names::Names;
use crate::serve::Options;

const FORM: &str = "application/x-www-form-urlencoded";

/// Asks servers.
#[derive(Debug, Clone)]
pub struct Direct(Client);

/// A question: a `GET`, or a `POST` if there is a form.
#[derive(Debug)]
pub struct Question<'a> {
    /// `http` or `https`.
    pub url: Url,
    /// Names, in lower case, and values.
    pub headers: &'a [(&'static str, &'a str)],
    /// Who asks.
    pub login: Login<'a>,
    /// The body, encoded as the form of a page.
    pub form: Option<&'a str>,
}

/// Who asks a question. It is not shown.
#[derive(Clone, Copy)]
pub enum Login<'a> {
    /// Anybody.
    Nobody,
    /// Someone with a password (RFC 7617).
    Basic {
        /// Without a colon.
        user: &'a str,
        /// Of any form.
        password: &'a str,
    },
    /// Whoever has this token (RFC 6750).
    Bearer(&'a str),
}

/// What a server said. Its head has at most a hundred headers, in a few hundred kilobytes.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// How many bytes it says that the body has.
    pub length: Option<u64>,
    headers: HeaderMap,
    /// The rest, as it comes.
    pub body: Body,
}

impl Direct {
    /// Asks as these options say; names are asked of the name servers that they name.
    pub fn new(options: &Options) -> Result<Self, BadServer> {
        let names = Arc::new(Names::new(&options.resolv_conf, options.dns_port));
        Ok(Self(client(reach(options, &names), Redirects::Shown)?))
    }

    /// Asks, and waits 20 s for the head of the answer. Faults name no address: some have secrets in them.
    pub async fn ask(&self, question: Question<'_>) -> Result<Answer, Fault> {
        let Question { url, headers, login, form } = question;
        let mut request = match form {
            None => self.0.get(url),
            Some(form) => self.0.post(url).header(CONTENT_TYPE, FORM).body(form.to_owned()),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request = match login {
            Login::Nobody => request,
            Login::Basic { user, password } => request.basic_auth(user, Some(password)),
            Login::Bearer(token) => request.bearer_auth(token),
        };
        let answer = timeout(ANSWER, request.send()).await;
        let answer = answer.map_err(|_| Fault::TooSlow { least: 1, within: ANSWER })?;
        let mut response =
            answer.map_err(|error| Fault::Unreachable { source: error.without_url().into() })?;
        let headers = std::mem::take(response.headers_mut());
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after(&headers),
            length,
            headers,
            body: Body::open(response),
        })
    }
}

impl Answer {
    /// What the headers of that name say, those that are ASCII.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    /// What the first of them says.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}
