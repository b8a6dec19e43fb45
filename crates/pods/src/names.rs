//! DNS labels, label keys, environment names, capabilities: the shapes of names in a manifest.

/// An RFC 1123 label: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsLabel(String);

impl DnsLabel {
    /// Reads a label; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        good.then(|| Self(text.to_owned()))
    }

    /// The label as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An IANA service name: 1 to 15 lower-case letters, digits and single hyphens, with a letter among them.
pub(crate) fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && DnsLabel::parse(text).is_some()
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase())
}

/// A label or annotation key: a name, optionally behind a DNS subdomain and `/`.
pub(crate) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_qualified(name),
        None => is_qualified(text),
    }
}

/// A label's value: empty, or shaped like a name.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified(text)
}

/// A name of an environment variable: printable ASCII without `=`, as Kubernetes allows, and no space.
pub(crate) fn is_env_name(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'=')
}

/// The capabilities of Linux 6.12, without the `CAP_` in front, by number.
pub const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn is_qualified(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text.starts_with(ends)
        && text.ends_with(ends)
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| DnsLabel::parse(part).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let long = "a".repeat(64);
        for (text, label, port, key, env) in [
            ("app", true, true, true, true),
            ("a-1", true, true, true, true),
            ("1", true, false, true, true),
            ("a--b", true, false, true, true),
            ("-a", false, false, false, true),
            ("a-", false, false, false, true),
            ("App", false, false, true, true),
            ("a_b", false, false, true, true),
            ("a.b", false, false, true, true),
            ("example.com/app", false, false, true, true),
            ("Example.com/app", false, false, false, true),
            ("a/b/c", false, false, false, true),
            ("/b", false, false, false, true),
            ("a=b", false, false, false, false),
            ("a b", false, false, false, false),
            ("é", false, false, false, false),
            ("", false, false, false, false),
            (&long, false, false, false, true),
            (&long[..63], true, false, true, true),
            (&long[..15], true, true, true, true),
        ] {
            assert_eq!(DnsLabel::parse(text).is_some(), label, "label {text}");
            assert_eq!(is_port_name(text), port, "port {text}");
            assert_eq!(is_label_key(text), key, "key {text}");
            assert_eq!(is_env_name(text), env, "env {text}");
        }
        assert!(is_label_value("") && is_label_value("v1.2_x") && !is_label_value("a b"));
    }
}
