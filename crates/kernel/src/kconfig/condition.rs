//! Kconfig conditions, judged against a finished configuration: symbols, `!`, `&&`, `||`, `=`, `!=`, parentheses.

use std::collections::BTreeMap;

/// Nested parentheses and negations.
const DEPTH: usize = 64;

/// Whether the condition holds. `None` where it cannot be told: shell macros, other operators, bad syntax.
pub(super) fn holds(text: &str, set: &BTreeMap<String, String>) -> Option<bool> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, set };
    let value = parser.or(0)?;
    parser.tokens.is_empty().then_some(value?)
}

fn tokens(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let length = if let Some(operator) =
            ["&&", "||", "!=", "!", "=", "(", ")"].iter().find(|operator| rest.starts_with(**operator))
        {
            operator.len()
        } else if let Some(quoted) = rest.strip_prefix('"') {
            quoted.find('"')? + 2
        } else {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len())
        };
        if length == 0 {
            return None;
        }
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// The outer `Option` is syntax, the inner one whether the value is known.
struct Parser<'a> {
    tokens: &'a [&'a str],
    set: &'a BTreeMap<String, String>,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, want: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if *first == want => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn or(&mut self, depth: usize) -> Option<Option<bool>> {
        let mut value = self.and(depth)?;
        while self.eat("||") {
            value = match (value, self.and(depth)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        Some(value)
    }

    fn and(&mut self, depth: usize) -> Option<Option<bool>> {
        let mut value = self.not(depth)?;
        while self.eat("&&") {
            value = match (value, self.not(depth)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        Some(value)
    }

    fn not(&mut self, depth: usize) -> Option<Option<bool>> {
        if depth > DEPTH {
            return None;
        }
        if self.eat("!") {
            return Some(self.not(depth + 1)?.map(|value| !value));
        }
        if self.eat("(") {
            let value = self.or(depth + 1)?;
            return self.eat(")").then_some(value);
        }
        let left = self.word()?;
        if self.eat("=") {
            return Some(Some(left == self.word()?));
        }
        if self.eat("!=") {
            return Some(Some(left != self.word()?));
        }
        Some(Some(left != "n" && !left.is_empty()))
    }

    /// A symbol's value (`n` if it is not set) or a constant.
    fn word(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        if first.starts_with('"') {
            return Some(first.trim_matches('"'));
        }
        let constant = matches!(*first, "y" | "n" | "m") || first.starts_with(|c: char| c.is_ascii_digit());
        let symbol = first.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
        match self.set.get(*first) {
            Some(value) => Some(value.trim_matches('"')),
            None if constant && !symbol => Some(first),
            None if constant && first.chars().all(|c| c.is_ascii_digit()) => Some(first),
            None if symbol => Some("n"),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges() {
        let set: BTreeMap<String, String> =
            BTreeMap::from([("A", "y"), ("N", "64"), ("64BIT", "y"), ("S", "\"x\"")])
                .into_iter()
                .map(|(symbol, value)| (symbol.to_string(), value.to_string()))
                .collect();
        let cases = [
            ("A", Some(true)),
            ("B", Some(false)),
            ("!B", Some(true)),
            ("A && B", Some(false)),
            ("A || B", Some(true)),
            ("B || (A && !B)", Some(true)),
            ("64BIT", Some(true)),
            ("32BIT", Some(false)),
            ("N=64", Some(true)),
            ("N != 64", Some(false)),
            ("B=n", Some(true)),
            ("B || B=n", Some(true)),
            ("S = \"x\"", Some(true)),
            ("$(cc-option,-foo)", None),
            ("A &&", None),
            ("(A", None),
            ("N > 3", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(holds(text, &set), want, "{text}");
        }
        assert_eq!(holds(&"(".repeat(100_000), &set), None);
        assert_eq!(holds(&"!".repeat(100_000), &set), None);
    }
}
