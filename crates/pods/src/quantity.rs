//! Kubernetes quantities, exact.
//!
//! | part | form |
//! |---|---|
//! | number | digits with at most one `.` among, before or after them; an optional sign |
//! | binary suffix | `Ki Mi Gi Ti Pi Ei`: powers of 1024 |
//! | decimal suffix | `n u m`, nothing, `k M G T P E`: powers of 1000 |
//! | exponent | `e` or `E` and a signed whole number: a power of 10 |
//!
//! The value is kept in whole billionths. Off-spec: a finer fraction, a negative number or one beyond `u64::MAX` whole units is
//! refused, where Kubernetes rounds up, allows or caps it.

use std::fmt;

const NANO: u128 = 1_000_000_000;
const LARGEST: u128 = u64::MAX as u128 * NANO;

/// An amount, in billionths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u128);

/// Why text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotQuantity {
    /// No number in front.
    #[error("a quantity starts with a number, as in 500m or 64Mi")]
    Number,
    /// Something behind the number that is no suffix.
    #[error("unknown suffix; known are n u m k M G T P E, Ki Mi Gi Ti Pi Ei, and an exponent such as e3")]
    Suffix,
    /// Below zero.
    #[error("a quantity is not negative here")]
    Negative,
    /// Larger than 2^64 - 1 units.
    #[error("too large: at most 18446744073709551615 units")]
    TooLarge,
    /// Finer than a billionth.
    #[error("too fine: at least a billionth of the unit")]
    TooFine,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads a quantity exactly, or says why not.
    pub fn parse(text: &str) -> Result<Self, NotQuantity> {
        let unsigned = match text.strip_prefix('-') {
            Some(rest) => {
                // Minus zero is zero.
                return match Self::parse_unsigned(rest)? {
                    Self::ZERO => Ok(Self::ZERO),
                    _ => Err(NotQuantity::Negative),
                };
            }
            None => text.strip_prefix('+').unwrap_or(text),
        };
        Self::parse_unsigned(unsigned)
    }

    fn parse_unsigned(text: &str) -> Result<Self, NotQuantity> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(NotQuantity::Number);
        }
        let (binary, ten) = scale(suffix)?;
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().all(|b| b == b'0') {
            return Ok(Self::ZERO);
        }
        // Longer than both limits taken together can never be exact.
        if whole.len() + fraction.len() > 36 {
            return Err(if fraction.len() > whole.len() {
                NotQuantity::TooFine
            } else {
                NotQuantity::TooLarge
            });
        }
        let mut value = digits().fold(0u128, |sum, b| sum * 10 + u128::from(b - b'0'));
        // Tens beyond the digits of the fraction; billionths are nine of them.
        let mut tens = ten + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        while tens < 0 && value % 10 == 0 {
            value /= 10;
            tens += 1;
        }
        let mut doublings = binary;
        // A binary suffix can make a long decimal fraction whole again: 0.0000000000009765625Ki.
        while tens < 0 && doublings > 0 && value % 5 == 0 {
            value /= 5;
            doublings -= 1;
            tens += 1;
        }
        if tens < 0 {
            return Err(NotQuantity::TooFine);
        }
        let power = u32::try_from(tens).map_err(|_| NotQuantity::TooLarge)?;
        10u128
            .checked_pow(power)
            .and_then(|scale| value.checked_mul(scale))
            .and_then(|value| value.checked_mul(1 << doublings))
            .filter(|value| *value <= LARGEST)
            .map(Self)
            .ok_or(NotQuantity::TooLarge)
    }

    /// Whole units, a fraction rounded up, as Kubernetes rounds memory.
    pub const fn units(self) -> u64 {
        // The constructor keeps the value at or below u64::MAX units.
        self.0.div_ceil(NANO) as u64
    }

    /// Thousandths, a fraction rounded up, as Kubernetes rounds processor time; the largest number when they do not fit.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_ceil(NANO / 1000)).unwrap_or(u64::MAX)
    }

    /// Billionths, exact.
    pub const fn nanos(self) -> u128 {
        self.0
    }

    /// Whether there is no fraction of a unit.
    pub const fn is_whole(self) -> bool {
        self.0.is_multiple_of(NANO)
    }
}

/// As a plain decimal number, which reads back as the same quantity.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / NANO)?;
        match self.0 % NANO {
            0 => Ok(()),
            rest => write!(f, ".{}", format!("{rest:09}").trim_end_matches('0')),
        }
    }
}

/// A suffix as powers of two and of ten.
fn scale(suffix: &str) -> Result<(u32, i64), NotQuantity> {
    Ok(match suffix {
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(NotQuantity::Suffix)?;
            let exponent: i32 = exponent.parse().map_err(|_| NotQuantity::Suffix)?;
            (0, i64::from(exponent))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::NotQuantity::{Negative, Number, Suffix, TooFine, TooLarge};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (text, want) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("0Ei", Ok(0)),
            ("0e99", Ok(0)),
            ("1", Ok(NANO)),
            ("+1", Ok(NANO)),
            ("1.", Ok(NANO)),
            (".5", Ok(NANO / 2)),
            ("0.5", Ok(NANO / 2)),
            ("500m", Ok(NANO / 2)),
            ("1u", Ok(1000)),
            ("1n", Ok(1)),
            ("0.1n", Err(TooFine)),
            ("1e-9", Ok(1)),
            ("1e-10", Err(TooFine)),
            ("10e-10", Ok(1)),
            ("1k", Ok(1000 * NANO)),
            ("1M", Ok(1_000_000 * NANO)),
            ("1G", Ok(1_000_000_000 * NANO)),
            ("1T", Ok(1_000_000_000_000 * NANO)),
            ("1P", Ok(1_000_000_000_000_000 * NANO)),
            ("1E", Ok(1_000_000_000_000_000_000 * NANO)),
            ("1Ki", Ok(1024 * NANO)),
            ("1Mi", Ok((1 << 20) * NANO)),
            ("1.5Gi", Ok((3 << 29) * NANO)),
            ("1Ti", Ok((1 << 40) * NANO)),
            ("1Pi", Ok((1 << 50) * NANO)),
            ("1Ei", Ok((1 << 60) * NANO)),
            ("0.0009765625Ki", Ok(NANO)),
            ("0.0000000000009765625Ki", Ok(1)),
            ("0.00000000000009765625Ki", Err(TooFine)),
            ("1e3", Ok(1000 * NANO)),
            ("1E3", Ok(1000 * NANO)),
            ("1e+3", Ok(1000 * NANO)),
            ("12e-1", Ok(1_200_000_000)),
            ("000000000000000000000000000000000000000000001", Ok(NANO)),
            ("18446744073709551615", Ok(LARGEST)),
            ("18446744073709551615.5", Err(TooLarge)),
            ("18446744073709551616", Err(TooLarge)),
            ("16Ei", Err(TooLarge)),
            ("15Ei", Ok((15 << 60) * NANO)),
            ("19E", Err(TooLarge)),
            ("1e20", Err(TooLarge)),
            ("1e2147483647", Err(TooLarge)),
            ("1e-2147483648", Err(TooFine)),
            ("1e2147483648", Err(Suffix)),
            ("999999999999999999999999999999999999999", Err(TooLarge)),
            ("0.999999999999999999999999999999999999999", Err(TooFine)),
            ("-1", Err(Negative)),
            ("", Err(Number)),
            (".", Err(Number)),
            ("-", Err(Number)),
            ("Ki", Err(Number)),
            ("1.2.3", Err(Number)),
            ("1 Ki", Err(Suffix)),
            ("1K", Err(Suffix)),
            ("1ki", Err(Suffix)),
            ("1KiB", Err(Suffix)),
            ("1e", Err(Suffix)),
            ("1e3k", Err(Suffix)),
            ("--1", Err(Number)),
            ("١", Err(Number)),
        ] {
            assert_eq!(Quantity::parse(text).map(Quantity::nanos), want, "{text}");
        }
    }

    #[test]
    fn rounding_goes_up() {
        let quantity = |text| Quantity::parse(text).unwrap();
        assert_eq!(quantity("1n").units(), 1);
        assert_eq!(quantity("1n").millis(), 1);
        assert_eq!(quantity("1500m").units(), 2);
        assert_eq!(quantity("1500m").millis(), 1500);
        assert_eq!(quantity("18446744073709551615").units(), u64::MAX);
        assert_eq!(quantity("18446744073709551615").millis(), u64::MAX);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[-+0-9.eEKMGTPinumk]{0,48}|\\PC{0,32}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
            }
        }

        #[test]
        fn whole_numbers_read_back(value: u64) {
            prop_assert_eq!(Quantity::parse(&value.to_string()).map(Quantity::units), Ok(value));
        }
    }
}
