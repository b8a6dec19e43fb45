//! The words of the kernel command line.
//!
//! The kernel splits on white space outside double quotes and hands everything after a lone `--` to init.
//! The first occurrence of a word counts here: the signed part of the command line stands in front, so that
//! nothing appended later can replace it.

use std::time::Duration;

/// `roothash=HEX`: the root to boot. Stage 1 opens the slot that holds it.
pub const ROOT_HASH: &str = "roothash";
/// `rootwait=SECONDS`: how long stage 1 waits for the disk, as the kernel spells it for its own root.
pub const ROOT_WAIT: &str = "rootwait";
/// `panic=SECONDS`: how long a failure stays on the screen before the machine restarts, as the kernel spells it. Stage 1
/// obeys it as well.
pub const PANIC: &str = "panic";
/// `coracle.state=recover|volatile`: what to do when the state partition cannot be mounted.
pub const STATE: &str = "coracle.state";
/// The word of [`STATE`] for a machine that comes up without workloads and waits for an operator.
pub const STATE_RECOVER: &str = "recover";
/// The word of [`STATE`] for a machine that goes on with state in memory.
pub const STATE_VOLATILE: &str = "volatile";
/// `coracle.deadline=SECONDS`: until when a boot must be good. Only an entry on trial that is not good by then restarts.
pub const DEADLINE: &str = "coracle.deadline";
/// What [`DEADLINE`] is where nobody says it.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);
/// `systemd.hostname=NAME`, as systemd spells it.
pub const HOST_NAME: &str = "systemd.hostname";
/// `ip=dhcp` or `ip=ADDRESS::GATEWAY:NETMASK:HOST:DEVICE:none`, as the kernel's nfsroot document spells it.
pub const IP: &str = "ip";

/// A kernel command line, read word by word.
#[derive(Debug, Clone, Copy)]
pub struct Cmdline<'a>(&'a str);

impl<'a> Cmdline<'a> {
    /// Wraps the text of `/proc/cmdline` or of a UKI's `.cmdline` section.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Every word, with the double quotes around a value taken off.
    pub fn words(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            if rest.is_empty() {
                return None;
            }
            let mut quoted = false;
            let end = rest
                .find(|c: char| {
                    quoted ^= c == '"';
                    c.is_ascii_whitespace() && !quoted
                })
                .unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            rest = tail;
            Some(match word.split_once('=') {
                Some((key, value)) => (key, Some(unquoted(value))),
                None => (word, None),
            })
        })
        .take_while(|word| *word != ("--", None))
    }

    /// The value of the first `key=value`.
    pub fn value(self, key: &str) -> Option<&'a str> {
        self.words().find_map(|(word, value)| value.filter(|_| word == key))
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::Cmdline;

    #[test]
    fn words_are_split_as_the_kernel_splits_them() {
        let line = Cmdline::new("  ro quiet\tip=\"a b\" x= roothash=12 roothash=34 -- y=1\n");
        let words: Vec<_> = line.words().collect();
        let want = [
            ("ro", None),
            ("quiet", None),
            ("ip", Some("a b")),
            ("x", Some("")),
            ("roothash", Some("12")),
            ("roothash", Some("34")),
        ];
        assert_eq!(words, want);
        assert_eq!(line.value("roothash"), Some("12"), "the first one counts");
        assert_eq!(line.value("ro"), None);
        assert_eq!(line.value("y"), None, "after -- everything is init's");
    }

    #[test]
    fn an_open_quote_ends_with_the_line() {
        assert_eq!(Cmdline::new("a=\"b c").value("a"), Some("\"b c"));
        assert_eq!(Cmdline::new("").words().count(), 0);
    }
}
