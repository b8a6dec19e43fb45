//! The names of signals, as an image's `StopSignal` spells them.

use coracle_runtime::plan::Signal;

/// Signals by number from 1 (signal(7), x86).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const TERM: u8 = 15;
/// The real-time signals that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;

/// `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `SIGRTMAX-3`; without a name the usual one. `None` for anything else.
pub fn of(name: Option<&str>) -> Option<Signal> {
    let number = match name {
        None | Some("") => TERM,
        Some(name) => number(name)?,
    };
    Signal::new(number).ok()
}

fn number(name: &str) -> Option<u8> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return u8::try_from(index + 1).ok();
    }
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<u8>().ok(),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => REAL_TIME.start().checked_add(offset(rest, '+')?)?,
        (_, Some(rest)) => REAL_TIME.end().checked_sub(offset(rest, '-')?)?,
        _ => return None,
    };
    REAL_TIME.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (name, want) in [
            (None, Some(15)),
            (Some(""), Some(15)),
            (Some("SIGQUIT"), Some(3)),
            (Some("quit"), Some(3)),
            (Some("9"), Some(9)),
            (Some("SIGSYS"), Some(31)),
            (Some("SIGRTMIN"), Some(34)),
            (Some("RTMIN+3"), Some(37)),
            (Some("SIGRTMAX-1"), Some(63)),
            (Some("SIGRTMIN+31"), None),
            (Some("SIGRTMIN-1"), None),
            (Some("0"), None),
            (Some("65"), None),
            (Some("SIGFOO"), None),
        ] {
            assert_eq!(of(name).map(Signal::get), want, "{name:?}");
        }
    }
}
