//! `$(VAR)` in commands, arguments and variables, by Kubernetes' rule.
//!
//! | text | becomes |
//! |---|---|
//! | `$(NAME)` with a known `NAME` | its value, not expanded again |
//! | `$(NAME)` with an unknown one | itself |
//! | `$$` | `$`, so `$$(NAME)` gives `$(NAME)` |
//! | `$` before anything else, or an open `$(` | itself |

/// Longest result; a value named a thousand times must not fill the memory.
pub const LIMIT: usize = 1 << 20;

/// The result would be longer than [`LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is longer than {LIMIT} bytes once its variables are expanded")]
pub struct TooLong;

/// Expands `text` with the variables that `value` knows.
pub fn expand<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> Result<String, TooLong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        push(&mut out, before)?;
        if let Some(next) = after.strip_prefix('$') {
            push(&mut out, "$")?;
            rest = next;
            continue;
        }
        let reference = after.strip_prefix('(').and_then(|r| r.split_once(')'));
        match reference {
            Some((name, next)) => {
                match value(name) {
                    Some(value) => push(&mut out, value)?,
                    None => {
                        for part in ["$(", name, ")"] {
                            push(&mut out, part)?;
                        }
                    }
                }
                rest = next;
            }
            None => {
                push(&mut out, "$")?;
                // An open reference takes its parenthesis along and no more.
                rest = after;
            }
        }
    }
    push(&mut out, rest)?;
    Ok(out)
}

fn push(out: &mut String, part: &str) -> Result<(), TooLong> {
    if out.len() + part.len() > LIMIT {
        return Err(TooLong);
    }
    out.push_str(part);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("a"),
            "B" => Some("$(A)"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn kubernetes_rule() {
        for (text, want) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "a"),
            ("x$(A)y$(A)", "xaya"),
            ("$(B)", "$(A)"),
            ("$(EMPTY)", ""),
            ("$(MISSING)", "$(MISSING)"),
            ("$()", "$()"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$$$$(A)", "$$(A)"),
            ("$A", "$A"),
            ("${A}", "${A}"),
            ("$", "$"),
            ("$$", "$"),
            ("$(A", "$(A"),
            ("$($(A))", "$($(A))"),
            ("é$(A)é", "éaé"),
            ("$é", "$é"),
        ] {
            assert_eq!(expand(text, value).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn bounded() {
        let long = "x".repeat(LIMIT);
        let value = |_: &str| Some(long.as_str());
        assert_eq!(expand("$(A)", value).map(|s| s.len()), Ok(LIMIT));
        assert_eq!(expand("$(A)$(A)", value), Err(TooLong));
    }

    proptest! {
        #[test]
        fn doubled_dollars_give_the_text_back(text in "[$()A-C]{0,30}|\\PC{0,30}") {
            prop_assert_eq!(expand(&text.replace('$', "$$"), value), Ok(text));
        }
    }
}
