//! What a server wants to know first: `WWW-Authenticate` (RFC 9110, section 11.6.1).

/// The longest value that is looked at.
const LONGEST: usize = 4 << 10;

/// How a server wants to be told who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By a token that somebody else gives.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// By name and password.
    Basic,
}

/// The challenge to answer, of all values of the header: for a token if there is one. Others are not known here.
pub(crate) fn choose<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let all: Vec<_> = values.filter_map(parse).flatten().collect();
    let bearer = all.iter().position(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    all.into_iter().nth(bearer.unwrap_or(0))
}

/// The known ones of one value; `None` if it is not one.
fn parse(value: &str) -> Option<Vec<Challenge>> {
    let mut rest = Rest(value);
    if value.len() > LONGEST {
        return None;
    }
    let mut all: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    while rest.skip(", \t") {
        let word = rest.token()?;
        rest.skip(" \t");
        if !rest.takes('=') {
            all.push((word, Vec::new()));
            continue;
        }
        // A blank before the equals sign is allowed, one after it too; a second equals sign ends a credential of another kind.
        if rest.takes('=') || rest.0.is_empty() || rest.0.starts_with(',') {
            rest.skip("=");
            continue;
        }
        rest.skip(" \t");
        let value = rest.value()?;
        all.last_mut()?.1.push((word, value));
    }
    Some(all.into_iter().filter_map(|(scheme, parameters)| challenge(scheme, parameters)).collect())
}

fn challenge(scheme: &str, parameters: Vec<(&str, String)>) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    for (name, value) in parameters {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Goes over these; whether anything follows.
    fn skip(&mut self, what: &str) -> bool {
        self.0 = self.0.trim_start_matches(|letter| what.contains(letter));
        !self.0.is_empty()
    }

    fn takes(&mut self, letter: char) -> bool {
        let rest = self.0.strip_prefix(letter);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A token, or a `token68`, whose letters are `/` besides.
    fn token(&mut self) -> Option<&'a str> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(letter);
        let end = self.0.find(|letter| !is_part(letter)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn value(&mut self) -> Option<String> {
        if !self.takes('"') {
            return self.token().map(str::to_owned);
        }
        let (mut value, mut letters) = (String::new(), self.0.chars());
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => value.push(letters.next()?),
                letter => value.push(letter),
            }
        }
        self.0 = letters.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn what_servers_say() {
        let hub = r#"Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push""#;
        for (values, want) in [
            (
                vec![hub],
                Some(bearer(
                    "https://auth.test/token",
                    Some("registry.test"),
                    Some("repository:a/b:pull,push"),
                )),
            ),
            (vec![r#"Basic realm="a, Bearer realm=b""#], Some(Challenge::Basic)),
            (vec!["basic"], Some(Challenge::Basic)),
            (vec![r#"Basic realm="a", Bearer realm="b""#], Some(bearer("b", None, None))),
            (vec!["Basic realm=a", r#"BEARER Realm = "b" , error="x\"y""#], Some(bearer("b", None, None))),
            (vec!["Negotiate", "Negotiate abc/d==", "Basic realm=a"], Some(Challenge::Basic)),
            (vec!["Negotiate abc==, Bearer realm=b"], Some(bearer("b", None, None))),
            (vec![r#"Bearer service="a""#], None),
            (vec![r#"Bearer realm="a"#], None),
            (vec![r#"Digest realm="a", nonce="b""#], None),
            (vec!["realm=a"], None),
            (vec!["Bearer \u{fc}"], None),
            (vec![""], None),
            (vec![], None),
            (vec![&format!("Bearer realm={}", "a".repeat(5000))], None),
            (vec![&format!("Bearer realm={}", "a".repeat(5000)), "Basic"], Some(Challenge::Basic)),
        ] {
            assert_eq!(choose(values.iter().copied()), want, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header(text in "\\PC{0,60}|(Bearer|Basic|realm|=|,| |\"|\\\\|a){0,20}") {
            let _ = choose([text.as_str()].into_iter());
        }

        /// What is put into quotes comes out of them.
        #[test]
        fn quotes(realm in "[ -~]{0,40}", scope in "[ -~]{0,40}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{}\",scope=\"{}\"", quoted(&realm), quoted(&scope));
            prop_assert_eq!(choose([header.as_str()].into_iter()), Some(bearer(&realm, None, Some(&scope))));
        }
    }
}
