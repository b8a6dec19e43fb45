//! The words of `coracle run` that have a range.

use std::str::FromStr;

/// A TCP port of this host's loopback address that leads to one of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    host: u16,
    guest: u16,
}

/// A text that is not `HOST:GUEST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two ports from 1 to 65535 with a colon between, as in 8080:80")]
pub struct BadForward;

impl Forward {
    /// The port here.
    pub fn host(self) -> u16 {
        self.host
    }

    /// The port there.
    pub fn guest(self) -> u16 {
        self.guest
    }
}

impl FromStr for Forward {
    type Err = BadForward;

    fn from_str(text: &str) -> Result<Self, BadForward> {
        let port = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|port| digits && *port != 0).ok_or(BadForward)
        };
        let (host, guest) = text.split_once(':').ok_or(BadForward)?;
        Ok(Self { host: port(host)?, guest: port(guest)? })
    }
}

/// A machine's memory, in whole MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(u32);

/// A text that is no size of a machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number with M or G behind it, from 64M to 1024G")]
pub struct BadMemory;

impl Memory {
    const RANGE: std::ops::RangeInclusive<u32> = 64..=1 << 20;

    /// The number of MiB.
    pub fn mib(self) -> u32 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = BadMemory;

    fn from_str(text: &str) -> Result<Self, BadMemory> {
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(BadMemory)?;
        let factor = match unit {
            "M" => 1,
            "G" => 1024,
            _ => return Err(BadMemory),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let mib = number.parse::<u32>().ok().filter(|_| digits).and_then(|number| number.checked_mul(factor));
        mib.filter(|mib| Self::RANGE.contains(mib)).map(Self).ok_or(BadMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards() {
        assert_eq!("8080:80".parse(), Ok(Forward { host: 8080, guest: 80 }));
        for text in
            ["", "80", ":80", "80:", "0:80", "80:0", "65536:1", "1:2:3", "+1:2", "a:b", "127.0.0.1:80"]
        {
            assert_eq!(text.parse::<Forward>(), Err(BadForward), "{text}");
        }
    }

    #[test]
    fn memory() {
        assert_eq!("64M".parse().map(Memory::mib), Ok(64));
        assert_eq!("2G".parse().map(Memory::mib), Ok(2048));
        assert_eq!("1024G".parse().map(Memory::mib), Ok(1 << 20));
        for text in ["", "M", "512", "63M", "1025G", "512m", "0.5G", "+1G", "4294967295G", "1é"] {
            assert_eq!(text.parse::<Memory>(), Err(BadMemory), "{text}");
        }
    }
}
