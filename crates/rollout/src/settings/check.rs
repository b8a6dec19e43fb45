//! What a single setting may be: the rules that whoever writes settings asks for the place of a fault.

use super::{BadSettings, Gate, Lock, MAX_ADDRESS, MAX_LISTED, MAX_TIME_SERVERS};
use crate::window::{Blackout, Window};

type Checked = Result<(), BadSettings>;

/// So many addresses of the repository.
pub fn repositories(count: usize) -> Checked {
    holds(count > 0, "at least one repository")?;
    holds(count <= MAX_LISTED, "at most 16 repositories")
}

/// The address of a folder that file names are put behind.
pub fn repository(address: &str) -> Checked {
    let good = is_address(address, &["http://", "https://"]) && !address.contains(['?', '#']);
    holds(
        good,
        "a repository is http:// or https://, a host and a folder, without blanks, '?' and '#', at most 512 bytes",
    )
}

/// So many time servers.
pub fn time_servers(count: usize) -> Checked {
    holds(count <= MAX_TIME_SERVERS, "at most 8 time servers")
}

/// A time server, `HOST` or `HOST:PORT`.
pub fn time_server(server: &str) -> Checked {
    let good = is_short(server) && (is_host(server) || is_host_and_port(server));
    holds(good, "a time server is HOST or HOST:PORT, an address of IPv6 in brackets")
}

/// The server that requests go through.
pub fn proxy(address: &str) -> Checked {
    holds(is_address(address, &["http://"]), "a proxy is http://, a host and perhaps a port")
}

/// Who else has to agree.
pub fn lock(lock: &Lock) -> Checked {
    let Lock::FleetLock { url, group } = lock;
    lock_server(url)?;
    lock_group(group)
}

/// The server of a lock.
pub fn lock_server(address: &str) -> Checked {
    holds(
        is_address(address, &["http://", "https://"]),
        "a lock's server is http:// or https://, a host and perhaps a folder, at most 512 bytes",
    )
}

/// The group of a lock, as the FleetLock protocol wants it.
pub fn lock_group(group: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    holds(is_short(group) && group.bytes().all(allowed), "a group is of letters, digits, '.' and '-'")
}

/// So many gates.
pub fn gates(count: usize) -> Checked {
    holds(count <= MAX_LISTED, "at most 16 gates")
}

/// Something that has to hold.
pub fn gate(gate: &Gate) -> Checked {
    match gate {
        Gate::Http(address) => holds(
            is_address(address, &["http://", "https://"]),
            "an HTTP gate is http:// or https://, a host and a path, without blanks, at most 512 bytes",
        ),
        Gate::Tcp(server) => holds(
            is_short(server) && is_host_and_port(server),
            "a TCP gate is ADDRESS:PORT, an address of IPv6 in brackets",
        ),
        Gate::File(path) => holds(
            is_short(path) && path.starts_with('/') && !path.ends_with('/'),
            "a file gate is an absolute path without blanks, at most 512 bytes",
        ),
        Gate::Container(pod) => {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
            holds(is_short(pod) && pod.bytes().all(allowed), "a container gate is the name of a pod")
        }
    }
}

/// A window that opens.
pub fn window(window: &Window) -> Checked {
    holds(!window.days.is_empty(), "a window has at least one day")
}

/// A blackout that is not over before it begins.
pub fn blackout(blackout: &Blackout) -> Checked {
    holds(blackout.from <= blackout.to, "a blackout ends on its first day or later")
}

/// A place in the waves.
pub fn place(permille: Option<u16>) -> Checked {
    holds(permille.is_none_or(|place| place <= 1000), "a place is at most 1000")
}

fn holds(good: bool, what: &'static str) -> Checked {
    if good { Ok(()) } else { Err(BadSettings::Range { what }) }
}

/// Printable, without a blank, not too long.
fn is_short(text: &str) -> bool {
    (1..=MAX_ADDRESS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_address(text: &str, schemes: &[&str]) -> bool {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    is_short(text) && host.is_some_and(|host| is_host(host) || is_host_and_port(host))
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            text.bytes().all(allowed) && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        is_host(host) && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_a_host_and_no_blank() {
        for (address, good) in [
            ("https://updates.example.org", true),
            ("http://10.0.2.2:8000/edge/", true),
            ("http://[::1]:8000/", true),
            ("https://", false),
            ("https:///edge", false),
            ("ftp://example.org", false),
            ("example.org", false),
            ("https://example.org/a b", false),
            ("https://example.org/?a", false),
            ("https://user:word@example.org/", false),
            ("https://example.org:0/", false),
            ("https://example.org:65536/", false),
            ("https://[::1/", false),
        ] {
            assert_eq!(repository(address).is_ok(), good, "{address}");
        }
        assert!(repository(&format!("https://{}", "a".repeat(MAX_ADDRESS))).is_err());
        assert!(proxy("http://proxy:3128").is_ok() && proxy("https://proxy:3128").is_err());
    }

    #[test]
    fn servers_and_gates_name_one_thing() {
        for (server, good) in [
            ("pool.ntp.org", true),
            ("10.0.0.1:123", true),
            ("[fe80::1]:123", true),
            ("", false),
            ("::1", false),
            ("a:b", false),
            ("a/b", false),
        ] {
            assert_eq!(time_server(server).is_ok(), good, "{server}");
        }
        let text = str::to_owned;
        for (one, good) in [
            (Gate::Tcp(text("127.0.0.1:80")), true),
            (Gate::Tcp(text("127.0.0.1")), false),
            (Gate::File(text("/run/ready")), true),
            (Gate::File(text("run/ready")), false),
            (Gate::Container(text("web")), true),
            (Gate::Container(text("Web")), false),
            (Gate::Http(text("http://127.0.0.1:8080/live?x=1")), true),
            (Gate::Http(text("127.0.0.1:8080")), false),
        ] {
            assert_eq!(gate(&one).is_ok(), good, "{one:?}");
        }
    }
}
