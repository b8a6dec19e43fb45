//! What PID 1 says: one line a fact, to the kernel's log and to the console.
//!
//! The kernel's log keeps the line across a crash (pstore); the console shows it to whoever stands before the machine.
//! Neither write may hold up PID 1: the kernel's log never blocks, and the console is opened without blocking.

use std::{
    fmt::{self, Write as _},
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
};

use nix::libc;

/// Bytes of the longest line; the kernel takes up to 1024 with its prefix.
const MAX_LINE: usize = 900;

/// How much a line matters; the numbers are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Someone must act.
    Error = 3,
    /// Degraded, but going on.
    Warn = 4,
    /// A state changed.
    Info = 6,
}

/// Writes one line; `error!` and its siblings call it.
pub(crate) fn line(level: Level, message: fmt::Arguments<'_>) {
    let mut text = String::with_capacity(160);
    // Writing to a String cannot fail; a field that cannot be shown is left out.
    let _ = write!(text, "<{}>coracle: {message}", level as u8);
    text.truncate(text.floor_char_boundary(MAX_LINE));
    text.push('\n');
    let shown = text.get(3..).unwrap_or_default();
    let kernel = open("/dev/kmsg").is_some_and(|mut log| log.write_all(text.as_bytes()).is_ok());
    let console = (kernel && kernel_shows(level))
        || open("/dev/console").is_some_and(|mut console| console.write_all(shown.as_bytes()).is_ok());
    if !kernel && !console {
        // The last resort: whatever the kernel gave as standard error, usually the console. Nobody is left to tell.
        let _ = std::io::stderr().write_all(shown.as_bytes());
    }
}

/// Whether the kernel itself puts lines of that level on the console: then they need not be put there twice.
fn kernel_shows(level: Level) -> bool {
    let printk = std::fs::read_to_string("/proc/sys/kernel/printk").unwrap_or_default();
    let shown_below = printk.split_ascii_whitespace().next().and_then(|number| number.parse().ok());
    shown_below.is_some_and(|limit: u8| (level as u8) < limit)
}

fn open(path: &str) -> Option<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)
        .ok()
}

/// Writes text to the console alone, as it is.
pub(crate) fn console(text: &str) {
    if let Some(mut console) = open("/dev/console") {
        // The console is for people to look at; the log has the facts.
        let _ = console.write_all(text.as_bytes());
    }
}

/// Someone must act.
macro_rules! error {
    ($($arg:tt)*) => { $crate::log::line($crate::log::Level::Error, format_args!($($arg)*)) };
}
/// Degraded, but going on.
macro_rules! warning {
    ($($arg:tt)*) => { $crate::log::line($crate::log::Level::Warn, format_args!($($arg)*)) };
}
/// A state changed.
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::line($crate::log::Level::Info, format_args!($($arg)*)) };
}
pub(crate) use coracle_log::Chain;
pub(crate) use {error, info, warning};
