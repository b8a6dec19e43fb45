//! One request to one endpoint: who asks is proven if that is wanted, redirections are followed, the answer is what was asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use coracle_fetch::Direct;
use coracle_fetch::direct::{self, Answer, Question, Url};
use coracle_trust::Fault;
use coracle_trust::transport::collect;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::challenge::{self, Challenge};
use crate::error::Trouble;
use crate::login::{self, Grant, LONGEST_ANSWER, Login};
use crate::registries::Endpoint;
use crate::secret::Secret;
use crate::trail::Trail;

/// The most endpoints that are remembered.
const REMEMBERED: usize = 64;

/// Asks endpoints, and remembers how each wants to be told who asks.
#[derive(Debug)]
pub(crate) struct Session {
    web: Direct,
    logins: BTreeMap<crate::Host, Login>,
    proofs: Mutex<BTreeMap<Endpoint, Proof>>,
}

/// What shows who asks.
#[derive(Debug, Clone)]
enum Proof {
    /// Name and password, which are at hand.
    Password,
    /// A token, as long as it is good.
    Token(Secret, Instant),
}

impl Session {
    pub(crate) fn new(web: Direct, logins: BTreeMap<crate::Host, Login>) -> Self {
        Self { web, logins, proofs: Mutex::default() }
    }

    /// A `GET` whose answer is the wanted one: status 200, or 206 to whoever asked for a range.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        url: Url,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Trouble> {
        let proof = self.remembered(endpoint);
        let (mut answer, mut home) = self.follow(endpoint, url.clone(), proof.as_ref(), headers).await?;
        if home && answer.status == 401 {
            let proof = self.prove(endpoint, &answer).await?;
            (answer, home) = self.follow(endpoint, url, Some(&proof), headers).await?;
        }
        match answer.status {
            200 | 206 => Ok(answer),
            401 | 403 if home => Err(self.refused(endpoint)),
            _ => Err(fault(&answer).into()),
        }
    }

    /// What is said at the end of all redirections, and whether it is the endpoint that says it.
    async fn follow(
        &self,
        endpoint: &Endpoint,
        url: Url,
        proof: Option<&Proof>,
        headers: &[(&'static str, &str)],
    ) -> Result<(Answer, bool), Trouble> {
        let mut trail = Trail::new(url);
        loop {
            let login = match proof.filter(|_| trail.is_home()) {
                None => direct::Login::Nobody,
                Some(Proof::Password) => self.password(endpoint),
                Some(Proof::Token(token, _)) => direct::Login::Bearer(token.reveal()),
            };
            let question = Question { url: trail.url().clone(), headers, login, form: None };
            let answer = self.web.ask(question).await?;
            match answer.status {
                301 | 302 | 303 | 307 | 308 => trail.follow(answer.header("location"))?,
                _ => return Ok((answer, trail.is_home())),
            }
        }
    }

    /// Does what the endpoint wants to be done first.
    async fn prove(&self, endpoint: &Endpoint, answer: &Answer) -> Result<Proof, Trouble> {
        let challenge = challenge::choose(answer.all("www-authenticate")).ok_or(Trouble::Challenge)?;
        let proof = match (challenge, self.logins.get(&endpoint.host)) {
            (Challenge::Basic, Some(Login::Password { .. })) => Proof::Password,
            (Challenge::Basic, _) => return Err(Trouble::LoginWanted),
            (Challenge::Bearer { realm, service, scope }, _) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", endpoint.repository));
                let Grant { token, lasts } = self.token(endpoint, &realm, service.as_deref(), &scope).await?;
                Proof::Token(token, Instant::now() + lasts)
            }
        };
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if proofs.len() >= REMEMBERED {
            proofs.clear();
        }
        proofs.insert(endpoint.clone(), proof.clone());
        Ok(proof)
    }

    /// Asks just the realm: a redirection is no answer.
    async fn token(
        &self,
        endpoint: &Endpoint,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Grant, Trouble> {
        let login = self.logins.get(&endpoint.host);
        let question = login::question((realm, service, scope), endpoint.protocol, login)?;
        let form = question.form.as_ref().map(Secret::reveal);
        let login = if form.is_some() { direct::Login::Nobody } else { self.password(endpoint) };
        let answer = self.web.ask(Question { url: question.url, headers: &[], login, form }).await?;
        match answer.status {
            200 => login::grant(&Zeroizing::new(collect(answer.body, LONGEST_ANSWER).await?)),
            400 | 401 | 403 => Err(self.refused(endpoint)),
            301..=308 => Err(Trouble::Token { why: "a redirection" }),
            _ => Err(fault(&answer).into()),
        }
    }

    fn password(&self, endpoint: &Endpoint) -> direct::Login<'_> {
        match self.logins.get(&endpoint.host) {
            Some(Login::Password { user, password }) => {
                direct::Login::Basic { user, password: password.reveal() }
            }
            _ => direct::Login::Nobody,
        }
    }

    /// Somebody has to look at a login that does not hold; where there is none, others may take anybody.
    fn refused(&self, endpoint: &Endpoint) -> Trouble {
        match self.logins.get(&endpoint.host) {
            Some(_) => Trouble::LoginRefused,
            None => Trouble::LoginWanted,
        }
    }

    fn remembered(&self, endpoint: &Endpoint) -> Option<Proof> {
        let proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs
            .get(endpoint)
            .filter(|proof| !matches!(proof, Proof::Token(_, until) if *until <= Instant::now()))
            .cloned()
    }
}

fn fault(answer: &Answer) -> Fault {
    match answer.status {
        404 | 410 => Fault::Missing,
        status @ (429 | 500..=599) => Fault::Busy { status, retry_after: answer.retry_after },
        status => Fault::Status { status },
    }
}
