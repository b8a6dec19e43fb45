//! Who asks: names and passwords, and the tokens that are given for them.

use std::time::Duration;

use coracle_fetch::direct::Url;
use serde::Deserialize;

use crate::error::Trouble;
use crate::registries::Protocol;
use crate::secret::Secret;

/// Who asks a registry.
#[derive(Debug, Clone)]
pub enum Login {
    /// Someone with a password.
    Password {
        /// The name, without a colon.
        user: String,
        /// Or what takes its place: a personal token.
        password: Secret,
    },
    /// Whoever has this token, which is good for others: Docker's `identitytoken`.
    IdentityToken(Secret),
}

/// The longest answer of a token server, and the longest token.
pub(crate) const LONGEST_ANSWER: u64 = 64 << 10;
const LONGEST_TOKEN: usize = 16 << 10;
/// How long a token is good if nobody says (distribution, token authentication).
const SHORT: u64 = 60;
/// No longer, whatever is said.
const LONG: u64 = 3600;
/// What a token is good for may be over while a request is on its way.
const EARLY: u64 = 5;
/// Who asks for a token, in an OAuth request.
const CLIENT: &str = "coracle";

/// What a token server is sent.
pub(crate) struct TokenQuestion {
    pub(crate) url: Url,
    /// With it, by `POST`.
    pub(crate) form: Option<Secret>,
}

/// What it gives.
pub(crate) struct Grant {
    pub(crate) token: Secret,
    /// How long it can be used.
    pub(crate) lasts: Duration,
}

/// How to ask the realm of a challenge for a token. A registry that is asked over TLS names nobody without.
pub(crate) fn question(
    (realm, service, scope): (&str, Option<&str>, &str),
    protocol: Protocol,
    login: Option<&Login>,
) -> Result<TokenQuestion, Trouble> {
    let mut url = Url::parse(realm).map_err(|_| Trouble::Realm { why: "not an address" })?;
    match url.scheme() {
        "https" => {}
        "http" if protocol == Protocol::Http => {}
        _ => return Err(Trouble::Realm { why: "not https" }),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Trouble::Realm { why: "an address with a login in it" });
    }
    url.set_fragment(None);
    let Some(Login::IdentityToken(identity)) = login else {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scope.split(' ').map(|scope| ("scope", scope)));
        drop(query);
        return Ok(TokenQuestion { url, form: None });
    };
    // Encoded as a query is, and never a part of an address that is asked.
    let mut form = url.clone();
    let mut query = form.query_pairs_mut();
    query.clear().extend_pairs([("grant_type", "refresh_token"), ("client_id", CLIENT), ("scope", scope)]);
    query.extend_pairs(service.map(|service| ("service", service)));
    query.append_pair("refresh_token", identity.reveal());
    drop(query);
    Ok(TokenQuestion { url, form: form.query().map(Secret::from) })
}

#[derive(Deserialize)]
struct Given {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

/// What a token server's answer says.
pub(crate) fn grant(answer: &[u8]) -> Result<Grant, Trouble> {
    // What is wrong with it is not said in its words.
    let given =
        serde_json::from_slice(answer).map_err(|_| Trouble::Token { why: "an answer that is none" })?;
    let Given { token, access_token, expires_in } = given;
    let token = token.or(access_token).filter(|token| !token.reveal().is_empty());
    let token = token.ok_or(Trouble::Token { why: "no token" })?;
    if token.reveal().len() > LONGEST_TOKEN {
        return Err(Trouble::Token { why: "a token that is too long" });
    }
    if !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Token { why: "a token that fits into no header" });
    }
    let lasts = expires_in.unwrap_or(SHORT).min(LONG).saturating_sub(EARLY);
    Ok(Grant { token, lasts: Duration::from_secs(lasts) })
}

#[cfg(test)]
mod tests {
    use super::Protocol::{Http, Https};
    use super::*;

    fn asked(
        realm: &str,
        protocol: Protocol,
        login: Option<&Login>,
    ) -> Result<(String, Option<String>), Trouble> {
        let question = question((realm, Some("a b"), "repository:x/y:pull other:z:*"), protocol, login)?;
        Ok((question.url.to_string(), question.form.map(|form| form.reveal().to_owned())))
    }

    #[test]
    fn what_a_token_server_is_asked() {
        let query = "service=a+b&scope=repository%3Ax%2Fy%3Apull&scope=other%3Az%3A*";
        let password = Login::Password { user: "a".to_owned(), password: "secret".into() };
        for login in [None, Some(&password)] {
            assert_eq!(
                asked("https://a.test/t", Https, login).unwrap(),
                (format!("https://a.test/t?{query}"), None)
            );
        }
        let (url, _) = asked("http://a.test/t?x=y#z", Http, None).unwrap();
        assert_eq!(url, format!("http://a.test/t?x=y&{query}"));
        let identity = Login::IdentityToken("se&ret".into());
        let (url, form) = asked("https://a.test/t?x=y", Https, Some(&identity)).unwrap();
        assert_eq!(url, "https://a.test/t?x=y");
        assert_eq!(
            form.unwrap(),
            "grant_type=refresh_token&client_id=coracle&scope=repository%3Ax%2Fy%3Apull+other%3Az%3A*&service=a+b&refresh_token=se%26ret"
        );
    }

    #[test]
    fn realms_that_are_not_asked() {
        for (realm, protocol) in [
            ("http://a.test/t", Https),
            ("file:///t", Http),
            ("/t", Http),
            ("", Http),
            ("https://user@a.test/t", Https),
            ("https://:secret@a.test/t", Https),
        ] {
            assert!(matches!(asked(realm, protocol, None), Err(Trouble::Realm { .. })), "{realm}");
        }
        assert!(asked("https://a.test/t", Http, None).is_ok());
    }

    #[test]
    fn what_it_gives() {
        let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(16 << 10));
        for (answer, want, seconds) in [
            (r#"{"token":"a","issued_at":"x"}"#, "a", 55),
            (r#"{"access_token":"b","expires_in":300}"#, "b", 295),
            (r#"{"access_token":"b","token":"a","expires_in":3}"#, "a", 0),
            (r#"{"token":"a.b-c_d/e+f==","expires_in":18446744073709551615}"#, "a.b-c_d/e+f==", 3595),
            (&long, &"a".repeat(16 << 10), 55),
        ] {
            let Grant { token, lasts } = grant(answer.as_bytes()).unwrap();
            assert_eq!((token.reveal(), lasts.as_secs()), (want, seconds));
        }
        let long = format!(r#"{{"token":"{}"}}"#, "a".repeat((16 << 10) + 1));
        for answer in [
            "",
            "secret",
            "{}",
            r#"{"token":""}"#,
            r#"{"token":"secret","expires_in":-1}"#,
            r#"{"token":"sec ret"}"#,
            r#"{"token":"secret\r\nx: y"}"#,
            r#"{"token":["secret"]}"#,
            &long,
        ] {
            let Err(trouble) = grant(answer.as_bytes()) else { panic!("{answer}") };
            assert!(
                matches!(trouble, Trouble::Token { .. }) && !format!("{trouble} {trouble:?}").contains("ret")
            );
        }
    }

    #[test]
    fn nobody_sees_a_secret() {
        let password = Login::Password { user: "a".to_owned(), password: "hidden".into() };
        for login in [password, Login::IdentityToken("hidden".into())] {
            assert!(!format!("{login:?}").contains("hidden"));
        }
    }
}
