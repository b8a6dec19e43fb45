//! The values in a recipe: each is checked where it is made, and nowhere else.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_layout::{BadVersion, OsVersion};

/// Why a value was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

pub(crate) fn refused<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { message: message.into(), remedy: remedy.into() })
}

/// Name of the image: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=63).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !good {
            return refused(
                "a name has 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end",
                "write it like `name = \"edge\"`",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a version.
pub(crate) fn version(text: &str) -> Result<OsVersion, Refused> {
    text.parse().or_else(|bad: BadVersion| refused(bad.to_string(), "write it like `version = \"1.2.3\"`"))
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteLen(u64);

impl ByteLen {
    /// One mebibyte, the grain of partitions.
    pub const MIB: u64 = 1 << 20;

    /// So many mebibytes; sizes beyond `u64` become the largest one.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(Self::MIB))
    }

    /// Reads a whole number with the unit `B`, `KiB`, `MiB`, `GiB` or `TiB`.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let remedy = "write a whole number and its unit, like \"512MiB\"";
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => {
                return refused("a size is a whole number followed by B, KiB, MiB, GiB or TiB", remedy);
            }
        };
        if digits.is_empty() {
            return refused("a size starts with a whole number", remedy);
        }
        match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)) {
            Some(bytes) => Ok(Self(bytes)),
            None => refused("this size is larger than any disk", remedy),
        }
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// In the largest unit that divides it.
impl fmt::Display for ByteLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or((0, "B"));
        write!(f, "{}{name}", self.0 >> unit)
    }
}

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let mut bytes = [0; 32];
        let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let pairs = text.as_bytes().chunks_exact(2);
        let mut good = text.len() == 64;
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            match pair {
                &[high, low] => match (nibble(high), nibble(low)) {
                    (Some(high), Some(low)) => *byte = high << 4 | low,
                    _ => good = false,
                },
                _ => good = false,
            }
        }
        if !good {
            return refused(
                "a SHA-256 digest has 64 hexadecimal digits",
                "copy the first column that `sha256sum FILE` prints",
            );
        }
        Ok(Self(bytes))
    }
}

/// In lower-case hexadecimal digits.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A path on the building machine, relative to the recipe's folder unless absolute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourcePath(PathBuf);

impl SourcePath {
    /// Reads a path; it is not looked for.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.is_empty() || text.len() > 4095 || text.contains('\0') {
            return refused(
                "a path has 1 to 4095 bytes and no NUL",
                "name a file relative to the recipe, like \"files/motd\"",
            );
        }
        Ok(Self(PathBuf::from(text)))
    }

    /// The path as written.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// Permissions of a file, no more than `0o777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// What a file has when the recipe does not say: `rw-r--r--`.
    pub const DEFAULT: Self = Self(0o644);

    /// Reads three octal digits, with or without a leading `0`.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match u16::from_str_radix(text, 8) {
            Ok(bits) if octal && bits <= 0o777 => Ok(Self(bits)),
            Ok(bits) if octal && bits <= 0o7777 => refused(
                "set-user-ID, set-group-ID and sticky bits are not allowed in the root",
                "write only permissions, like \"0755\"",
            ),
            _ => refused("a mode has three octal digits after an optional 0", "write it like \"0644\""),
        }
    }

    /// The permission bits.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

const SPAN_REMEDY: &str = "write it like \"90s\" or \"5min\"";

/// Reads a whole number with the unit `s` or `min`, as seconds; more than `u32` counts becomes the most it does.
fn seconds(text: &str) -> Result<u32, Refused> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let each = match unit {
        "s" => 1,
        "min" => 60,
        _ => return refused("a time is a whole number followed by s or min", SPAN_REMEDY),
    };
    if digits.is_empty() {
        return refused("a time starts with a whole number", SPAN_REMEDY);
    }
    Ok(digits.parse().unwrap_or(u32::MAX).saturating_mul(each))
}

/// Reads the least time between two updates, in seconds: a minute to a week.
pub(crate) fn min_between(text: &str) -> Result<u32, Refused> {
    match seconds(text)? {
        n @ 60..=604_800 => Ok(n),
        _ => refused("the least time between updates lies between 1min and 10080min", SPAN_REMEDY),
    }
}

/// Reads how long a new system must hold, in seconds: a second to an hour.
pub(crate) fn stable(text: &str) -> Result<u32, Refused> {
    match seconds(text)? {
        n @ 1..=3600 => Ok(n),
        _ => refused("the time to hold lies between 1s and 60min", SPAN_REMEDY),
    }
}

/// Time until a boot must be good: 20 seconds to 60 minutes. A unit has proved itself after ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Duration);

impl Deadline {
    /// What a boot has when the recipe does not say.
    pub const DEFAULT: Self = Self(Duration::from_secs(300));

    /// Reads a whole number with the unit `s` or `min`.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        match seconds(text)? {
            n @ 20..=3600 => Ok(Self(Duration::from_secs(n.into()))),
            _ => refused("a deadline lies between 20s and 60min", SPAN_REMEDY),
        }
    }

    /// The time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// A kernel console: device, optionally a comma and its settings, as in `ttyS0,115200n8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConsoleDevice(String);

impl ConsoleDevice {
    /// Reads a console. Only what cannot break out of a kernel command line word is allowed.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let (device, settings) = text.split_once(',').unwrap_or((text, "0"));
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let good = text.len() <= 32
            && word(device)
            && word(settings)
            && device.starts_with(|c: char| c.is_ascii_lowercase());
        if !good {
            return refused(
                "a console is a device name of letters and digits, optionally followed by a comma and its settings",
                "write it like \"ttyS0\" or \"ttyS0,115200n8\"",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The console as the kernel's `console=` takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device without its settings.
    pub fn device(&self) -> &str {
        self.0.split(',').next().unwrap_or(&self.0)
    }
}

/// Kernel messages with a lower number than this are shown: 0 to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogLevel(u8);

impl LogLevel {
    /// Errors and worse.
    pub const DEFAULT: Self = Self(4);

    /// Takes a number between 0 and 7.
    pub fn new(level: i64) -> Result<Self, Refused> {
        match u8::try_from(level) {
            Ok(level) if level <= 7 => Ok(Self(level)),
            _ => refused(
                format!("a log level lies between 0 and 7, not at {level}"),
                "write it like `loglevel = 4`",
            ),
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
