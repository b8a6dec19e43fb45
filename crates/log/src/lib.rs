//! What a service of the host says: one line a fact on standard error, which PID 1 reads; a constant message, then its fields.

use std::{
    fmt,
    io::{Write, stderr},
};

/// Bytes of the longest line: PID 1 breaks longer ones.
const MAX_LINE: usize = 500;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Degraded, but going on.
    Warn,
    /// A state changed.
    Info,
}

/// Writes one line; `error!` and its siblings call it.
pub fn line(level: Level, message: fmt::Arguments<'_>) {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
    };
    let mut text = format!("{level}: {message}").replace(|c: char| c.is_control(), "?");
    text.truncate(text.floor_char_boundary(MAX_LINE));
    text.push('\n');
    // Whoever should hear this is gone, and nobody else is there to be told.
    let _ = stderr().write_all(text.as_bytes());
}

/// An error with its causes, on one line.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A list on one word; `-` if it is empty.
pub struct List<'a, T>(pub &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else { return f.write_str("-") };
        write!(f, "{first}")?;
        rest.iter().try_for_each(|item| write!(f, ",{item}"))
    }
}

/// Someone must act.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::line($crate::Level::Error, format_args!($($arg)*)) };
}
/// Degraded, but going on.
#[macro_export]
macro_rules! warning {
    ($($arg:tt)*) => { $crate::line($crate::Level::Warn, format_args!($($arg)*)) };
}
/// A state changed.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::line($crate::Level::Info, format_args!($($arg)*)) };
}
