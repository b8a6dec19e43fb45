//! Values with a range: the constructor is the only check.

use std::ffi::{CStr, CString};

use crate::Error;

fn range(ok: bool, field: &'static str, want: &'static str) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::Range { field, want }) }
}

fn is_label(text: &str, longest: usize) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !text.contains("..")
}

/// A container's name: 1 to 128 ASCII letters, digits, `-`, `.`, `_`, with a letter or digit at both ends.
///
/// It becomes a folder and a cgroup, so it holds neither `/` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    pub fn new(text: &str) -> Result<Self, Error> {
        range(is_label(text, 128), "name", "1 to 128 letters, digits, '-', '.', '_'")?;
        Ok(Self(text.to_owned()))
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host name: at most the kernel's 64 bytes, the alphabet of [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(String);

impl Hostname {
    /// Checks a host name.
    pub fn new(text: &str) -> Result<Self, Error> {
        range(is_label(text, 64), "hostname", "1 to 64 letters, digits, '-', '.', '_'")?;
        Ok(Self(text.to_owned()))
    }
    /// The host name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An absolute path below `PATH_MAX` without `.` or `..` components, ready for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsPath(CString);

impl AbsPath {
    /// Checks a path.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let path = CString::new(path).map_err(|_| Error::Nul)?;
        let bytes = path.as_bytes();
        let plain = bytes.split(|&b| b == b'/').all(|part| part != b"." && part != b"..");
        range(
            bytes.first() == Some(&b'/') && bytes.len() < 4096 && plain,
            "path",
            "absolute, below 4096 bytes, without '.' or '..' components",
        )?;
        Ok(Self(path))
    }
    /// The path as a C string.
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

/// Host ids given to a user namespace: neither empty nor reaching the reserved id 2³²−1, and never the host's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    base: u32,
    size: u32,
}

impl IdRange {
    /// `size` host ids from `base` on.
    pub fn new(base: u32, size: u32) -> Result<Self, Error> {
        range(
            base > 0 && size > 0 && base.checked_add(size).is_some(),
            "id range",
            "above host id 0, at least one id, below 2^32-1",
        )?;
        Ok(Self { base, size })
    }
    /// The first host id.
    pub fn base(self) -> u32 {
        self.base
    }
    /// How many ids.
    pub fn size(self) -> u32 {
        self.size
    }
}

/// A set of capabilities, bit n for capability n, up to `CAP_CHECKPOINT_RESTORE` (40).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapMask(u64);

impl CapMask {
    /// Checks a set.
    pub fn new(bits: u64) -> Result<Self, Error> {
        range(bits >> 41 == 0, "capabilities", "bits 0 to 40")?;
        Ok(Self(bits))
    }
    /// The set as bits.
    pub fn bits(self) -> u64 {
        self.0
    }
    /// Whether capability number `cap` is in the set.
    pub fn has(self, cap: u8) -> bool {
        self.0.checked_shr(cap.into()).unwrap_or(0) & 1 == 1
    }
}

/// `cpu.max`: microseconds of CPU time in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    quota_us: u64,
    period_us: u32,
}

impl CpuQuota {
    /// The kernel takes quotas from 1 ms and periods from 1 ms to 1 s.
    pub fn new(quota_us: u64, period_us: u32) -> Result<Self, Error> {
        // 2^44 us is half a year of CPU time per period: far above any machine, far below the kernel's overflow checks.
        let ok = (1_000..=1 << 44).contains(&quota_us) && (1_000..=1_000_000).contains(&period_us);
        range(ok, "cpu quota", "quota of 1000 us to 2^44 us, period of 1000 to 1000000 us")?;
        Ok(Self { quota_us, period_us })
    }
    /// CPU time per period.
    pub fn quota_us(self) -> u64 {
        self.quota_us
    }
    /// The period.
    pub fn period_us(self) -> u32 {
        self.period_us
    }
}

/// `cpu.weight`: 1 to 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(u16);

impl Weight {
    /// Checks a weight.
    pub fn new(weight: u16) -> Result<Self, Error> {
        range((1..=10_000).contains(&weight), "cpu weight", "1 to 10000")?;
        Ok(Self(weight))
    }
    /// The weight as a number.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// `oom_score_adj`: −1000 (never killed) to 1000 (first).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OomScoreAdj(i16);

impl OomScoreAdj {
    /// Checks an adjustment.
    pub fn new(adj: i16) -> Result<Self, Error> {
        range((-1000..=1000).contains(&adj), "oom score adjustment", "-1000 to 1000")?;
        Ok(Self(adj))
    }
    /// The adjustment as a number.
    pub fn get(self) -> i16 {
        self.0
    }
}

/// A signal number, real-time signals included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(u8);

impl Signal {
    /// Checks a signal number.
    pub fn new(number: u8) -> Result<Self, Error> {
        range((1..=64).contains(&number), "signal", "1 to 64")?;
        Ok(Self(number))
    }
    /// The signal as a number.
    pub fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_cannot_leave_their_folder() {
        for good in ["a", "web-1", "registry.example_2"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a..b", "-a", "a-", "a b", "ä", &"x".repeat(129)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        for good in ["/", "/run/images/a", "/a..b/.c", "/a//b/"] {
            assert!(AbsPath::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "/..", "/a/../b", "/a/.", "/a\0b", &format!("/{}", "x".repeat(4095))] {
            assert!(AbsPath::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_stop_at_their_bounds() {
        assert!(IdRange::new(0, 65536).is_err() && IdRange::new(1, 0).is_err());
        assert!(IdRange::new(1 << 31, 1 << 31).is_err() && IdRange::new(100_000, 65536).is_ok());
        assert!(CapMask::new(1 << 41).is_err() && CapMask::new(1 << 40).unwrap().has(40));
        assert!(!CapMask::new(1).unwrap().has(255));
        assert!(CpuQuota::new(999, 100_000).is_err() && CpuQuota::new(1_000, 999).is_err());
        assert!(Weight::new(0).is_err() && Weight::new(10_001).is_err());
        assert!(OomScoreAdj::new(-1001).is_err() && OomScoreAdj::new(1000).is_ok());
        assert!(Signal::new(0).is_err() && Signal::new(65).is_err() && Signal::new(64).is_ok());
    }
}
