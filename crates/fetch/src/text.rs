//! Words about what went wrong, of bounded length.

use std::error::Error;

use crate::wire::MAX_TEXT;

/// What an error says, down to its first cause.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next.filter(|_| text.len() < MAX_TEXT) {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    cut(text)
}

/// No more than is allowed.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("again")]
    struct Endless;

    #[test]
    fn texts_end() {
        assert_eq!(cut("ä".repeat(300)), "ä".repeat(256));
        assert_eq!(cut(format!("a{}", "ä".repeat(300))).len(), 511);
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(chain(&Endless), "again");
        let error = std::io::Error::other(std::io::Error::other("x".repeat(1000)));
        assert_eq!(chain(&error).len(), MAX_TEXT);
    }
}
