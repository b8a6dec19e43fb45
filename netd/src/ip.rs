//! The `ip=` word, as the kernel's document on NFS roots spells it (Documentation/admin-guide/nfs/nfsroot.rst).
//!
//! | form | meaning |
//! |---|---|
//! | none, or `dhcp`, `on`, `any` | DHCP on every network card |
//! | `:::::DEVICE:dhcp` | DHCP on that interface alone |
//! | `ADDRESS::GATEWAY:NETMASK:HOST:DEVICE:none[:DNS0[:DNS1]]` | this address on that interface alone |
//! | `off`, `none` | no interface but the loopback |
//!
//! Off-spec: the NFS server (second field) must be empty, since there is none; NETMASK is not guessed from the address; and
//! DEVICE must be there with an ADDRESS, so that it does not depend on which driver was first.

use std::net::Ipv4Addr;

/// Bytes of the longest value: nine fields of 15 bytes and a host name.
const MAX_LEN: usize = 400;
/// Fields of the longest form; the kernel knows a tenth for a time server.
const MAX_FIELDS: usize = 9;
/// Bytes of the longest interface name (`IFNAMSIZ` without the zero).
const MAX_NAME: usize = 15;

/// What the network shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Config {
    /// Ask a server, on this interface or on every network card.
    Dhcp {
        /// The interface.
        device: Option<String>,
    },
    /// Take this address.
    Static(Static),
    /// Leave every interface alone.
    Off,
}

/// An address that somebody chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Static {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) device: String,
    pub(crate) dns: Vec<Ipv4Addr>,
}

/// Why a value of `ip=` cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadIp {
    #[error("{len} bytes, of which at most {MAX_LEN} are read")]
    Long { len: usize },
    #[error(
        "{fields} fields; there are at most {MAX_FIELDS}: \
             ADDRESS::GATEWAY:NETMASK:HOST:DEVICE:METHOD:DNS0:DNS1"
    )]
    Fields { fields: usize },
    #[error("{field} is not an IPv4 address")]
    Address { field: &'static str },
    #[error("{field} is no address that a machine can have")]
    Unusable { field: &'static str },
    #[error("{field} must be given with an address")]
    Missing { field: &'static str },
    #[error("{field} must be empty")]
    Extra { field: &'static str },
    #[error("the netmask is not ones, then zeros")]
    Netmask,
    #[error("the gateway is not in the address's network")]
    Gateway,
    #[error(
        "the device's name is longer than {MAX_NAME} bytes or has bytes other than letters, digits and `.-_`"
    )]
    Device,
    #[error("the method is not dhcp, on, any, none or off")]
    Method,
}

impl Config {
    /// Reads the value of the word.
    pub(crate) fn parse(value: &str) -> Result<Self, BadIp> {
        if value.len() > MAX_LEN {
            return Err(BadIp::Long { len: value.len() });
        }
        let fields: Vec<&str> = value.split(':').collect();
        match &fields[..] {
            [method] => Ok(match autoconfigured(method)? {
                true => Self::Dhcp { device: None },
                false => Self::Off,
            }),
            [..] if fields.len() > MAX_FIELDS => Err(BadIp::Fields { fields: fields.len() }),
            fields => Fields(fields).read(),
        }
    }
}

/// The fields of the long form; those at the end may be left out.
struct Fields<'a>(&'a [&'a str]);

impl Fields<'_> {
    fn read(&self) -> Result<Config, BadIp> {
        self.empty(1, "the server")?;
        let device = Some(self.at(5)).filter(|name| !name.is_empty()).map(device_name).transpose()?;
        let method = self.at(6);
        let Some(address) = self.address(0, "the address")? else {
            if !method.is_empty() && !autoconfigured(method)? {
                return Err(BadIp::Missing { field: "the address" });
            }
            for (at, field) in [(2, "the gateway"), (3, "the netmask"), (7, "DNS0"), (8, "DNS1")] {
                self.empty(at, field)?;
            }
            return Ok(Config::Dhcp { device });
        };
        if !method.is_empty() && autoconfigured(method)? {
            return Err(BadIp::Extra { field: "the address" });
        }
        let netmask = self.address(3, "the netmask")?.ok_or(BadIp::Missing { field: "the netmask" })?;
        let prefix = prefix_of(netmask).ok_or(BadIp::Netmask)?;
        let gateway = self.address(2, "the gateway")?;
        if unusable(address) {
            return Err(BadIp::Unusable { field: "the address" });
        }
        // With all bits set there is no network, and the gateway is reached as on a point to point link.
        if prefix < 32 && gateway.is_some_and(|gateway| !same_network(gateway, address, prefix)) {
            return Err(BadIp::Gateway);
        }
        let dns = [self.address(7, "DNS0")?, self.address(8, "DNS1")?];
        Ok(Config::Static(Static {
            address,
            prefix,
            gateway,
            device: device.ok_or(BadIp::Missing { field: "the device" })?,
            dns: dns.into_iter().flatten().collect(),
        }))
    }

    fn at(&self, at: usize) -> &str {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn empty(&self, at: usize, field: &'static str) -> Result<(), BadIp> {
        if self.at(at).is_empty() { Ok(()) } else { Err(BadIp::Extra { field }) }
    }

    fn address(&self, at: usize, field: &'static str) -> Result<Option<Ipv4Addr>, BadIp> {
        match self.at(at) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| BadIp::Address { field }),
        }
    }
}

/// Whether this method asks a server.
fn autoconfigured(method: &str) -> Result<bool, BadIp> {
    match method {
        "dhcp" | "on" | "any" => Ok(true),
        "none" | "off" => Ok(false),
        _ => Err(BadIp::Method),
    }
}

/// Whether an interface may have this name, by the rules here, which are tighter than the kernel's.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

fn device_name(name: &str) -> Result<String, BadIp> {
    Some(name).filter(|name| is_name(name)).map(str::to_owned).ok_or(BadIp::Device)
}

fn prefix_of(netmask: Ipv4Addr) -> Option<u8> {
    let bits = netmask.to_bits();
    (bits != 0 && bits.leading_ones() + bits.trailing_zeros() == 32).then_some(bits.leading_ones() as u8)
}

fn same_network(one: Ipv4Addr, other: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    (one.to_bits() ^ other.to_bits()) & mask == 0
}

fn unusable(address: Ipv4Addr) -> bool {
    address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let dhcp = |device: Option<&str>| Config::Dhcp { device: device.map(str::to_owned) };
        let fixed = |gateway: Option<[u8; 4]>, prefix, dns: &[[u8; 4]]| {
            Config::Static(Static {
                address: Ipv4Addr::new(10, 0, 2, 15),
                prefix,
                gateway: gateway.map(Ipv4Addr::from),
                device: "eth0".to_owned(),
                dns: dns.iter().copied().map(Ipv4Addr::from).collect(),
            })
        };
        let router = Some([10, 0, 2, 2]);
        let cases = [
            ("dhcp", dhcp(None)),
            ("on", dhcp(None)),
            ("any", dhcp(None)),
            ("off", Config::Off),
            ("none", Config::Off),
            (":::::eth1:dhcp", dhcp(Some("eth1"))),
            (":::::eth1", dhcp(Some("eth1"))),
            ("::::host::dhcp", dhcp(None)),
            ("10.0.2.15::10.0.2.2:255.255.255.0:host:eth0:none", fixed(router, 24, &[])),
            ("10.0.2.15::10.0.2.2:255.255.255.0::eth0", fixed(router, 24, &[])),
            ("10.0.2.15:::255.255.255.252::eth0:off", fixed(None, 30, &[])),
            ("10.0.2.15::10.0.2.2:255.255.255.0::eth0:none:1.1.1.1", fixed(router, 24, &[[1; 4]])),
            (
                "10.0.2.15::10.0.2.2:255.255.255.0::eth0:none:1.1.1.1:8.8.8.8",
                fixed(router, 24, &[[1; 4], [8; 4]]),
            ),
            ("10.0.2.15::172.16.0.1:255.255.255.255::eth0:none", fixed(Some([172, 16, 0, 1]), 32, &[])),
        ];
        for (value, want) in cases {
            assert_eq!(Config::parse(value), Ok(want), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let cases = [
            ("", BadIp::Method),
            ("dhpc", BadIp::Method),
            ("bootp", BadIp::Method),
            (":::::eth0:rarp", BadIp::Method),
            ("10.0.2.15", BadIp::Method),
            ("10.0.2.15::10.0.2.2::host:eth0:none", BadIp::Missing { field: "the netmask" }),
            ("10.0.2.15::10.0.2.2:255.255.255.0:host::none", BadIp::Missing { field: "the device" }),
            (":::::eth0:none", BadIp::Missing { field: "the address" }),
            ("10.0.2.15:10.0.2.1::255.255.255.0::eth0:none", BadIp::Extra { field: "the server" }),
            ("10.0.2.15:::255.255.255.0::eth0:dhcp", BadIp::Extra { field: "the address" }),
            ("::10.0.2.2:::eth0:dhcp", BadIp::Extra { field: "the gateway" }),
            ("10.0.2.15:::255.0.255.0::eth0:none", BadIp::Netmask),
            ("10.0.2.15:::0.0.0.0::eth0:none", BadIp::Netmask),
            ("10.0.2.15:::24::eth0:none", BadIp::Address { field: "the netmask" }),
            ("10.0.2.256:::255.255.255.0::eth0:none", BadIp::Address { field: "the address" }),
            ("10.0.2.15:::255.255.255.0::eth0:none:dns", BadIp::Address { field: "DNS0" }),
            ("127.0.0.1:::255.0.0.0::eth0:none", BadIp::Unusable { field: "the address" }),
            ("10.0.2.15::10.0.3.1:255.255.255.0::eth0:none", BadIp::Gateway),
            (":::::eth 0:dhcp", BadIp::Device),
            (":::::a-name-of-16-byt:dhcp", BadIp::Device),
            (":::::..:dhcp", BadIp::Device),
            ("1:2:3:4:5:6:7:8:9:10", BadIp::Fields { fields: 10 }),
        ];
        for (value, want) in cases {
            assert_eq!(Config::parse(value), Err(want), "{value}");
        }
        assert_eq!(Config::parse(&":".repeat(401)), Err(BadIp::Long { len: 401 }));
    }

    proptest! {
        #[test]
        fn any_value_is_a_config_or_an_error(value in "[0-9.:a-z]{0,60}|.{0,60}") {
            if let Ok(Config::Static(chosen)) = Config::parse(&value) {
                prop_assert!(is_name(&chosen.device) && (1..=32).contains(&chosen.prefix));
            }
        }
    }
}
