//! Every number here against the C compiler's reading of the kernel's headers.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{address, attribute, frame, link, message, route, socket};

#[test]
fn numbers_are_those_of_the_headers() {
    let [up, loopback, running] = link::FLAGS;
    let [links, addresses, addresses6] = socket::GROUPS;
    let facts: &[(&str, u32)] = &[
        ("sizeof(struct nlmsghdr)", frame::HEADER as u32),
        ("NLA_TYPE_MASK & 0xffff", attribute::TYPE_MASK.into()),
        ("NLM_F_REQUEST | NLM_F_DUMP", 0x301),
        ("NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | NLM_F_CREATE", 0x505),
        ("NLM_F_DUMP_INTR", 0x10),
        ("NLMSG_ERROR", message::ERROR.into()),
        ("NLMSG_DONE", message::DONE.into()),
        ("NLMSG_OVERRUN", message::OVERRUN.into()),
        ("RTM_NEWLINK", message::NEW_LINK.into()),
        ("RTM_DELLINK", message::DEL_LINK.into()),
        ("RTM_GETLINK", message::GET_LINK.into()),
        ("RTM_NEWADDR", message::NEW_ADDRESS.into()),
        ("RTM_DELADDR", message::DEL_ADDRESS.into()),
        ("RTM_GETADDR", message::GET_ADDRESS.into()),
        ("RTM_NEWROUTE", message::NEW_ROUTE.into()),
        ("RTM_DELROUTE", message::DEL_ROUTE.into()),
        ("RTM_GETROUTE", message::GET_ROUTE.into()),
        ("sizeof(struct ifinfomsg)", 16),
        ("sizeof(struct ifaddrmsg)", 8),
        ("sizeof(struct rtmsg)", 12),
        ("sizeof(struct ifa_cacheinfo)", 16),
        ("offsetof(struct ifa_cacheinfo, ifa_valid)", 4),
        ("offsetof(struct ifinfomsg, ifi_flags)", 8),
        ("offsetof(struct rtmsg, rtm_flags)", 8),
        ("IFLA_ADDRESS", link::ADDRESS.into()),
        ("IFLA_IFNAME", link::NAME.into()),
        ("IFLA_MTU", link::MTU.into()),
        ("IFLA_MASTER", link::MASTER.into()),
        ("IFLA_LINKINFO", link::LINK_INFO.into()),
        ("IFLA_EXT_MASK", link::EXT_MASK.into()),
        ("IFLA_INFO_KIND", link::INFO_KIND.into()),
        ("RTEXT_FILTER_SKIP_STATS", link::SKIP_STATS),
        ("ARPHRD_ETHER", link::ETHERNET.into()),
        ("IFF_UP", up),
        ("IFF_LOOPBACK", loopback),
        ("IFF_RUNNING", running),
        ("IFA_ADDRESS", address::ADDRESS.into()),
        ("IFA_LOCAL", address::LOCAL.into()),
        ("IFA_BROADCAST", address::BROADCAST.into()),
        ("IFA_CACHEINFO", address::CACHE_INFO.into()),
        ("IFA_RT_PRIORITY", address::PRIORITY.into()),
        ("IFA_PROTO", address::PROTOCOL.into()),
        ("RTA_DST", route::DESTINATION.into()),
        ("RTA_OIF", route::INTERFACE.into()),
        ("RTA_GATEWAY", route::GATEWAY.into()),
        ("RTA_PRIORITY", route::PRIORITY.into()),
        ("RTA_PREFSRC", route::PREFERRED_SOURCE.into()),
        ("RT_TABLE_MAIN", route::MAIN.into()),
        ("RTN_UNICAST", route::UNICAST.into()),
        ("RTNH_F_ONLINK", route::ON_LINK),
        ("RTMGRP_LINK", links),
        ("RTMGRP_IPV4_IFADDR", addresses),
        ("RTMGRP_IPV6_IFADDR", addresses6),
    ];
    let mut source = String::from("#include <stddef.h>\n");
    for header in ["netlink", "rtnetlink", "if_link", "if_addr", "if_arp", "if"] {
        source += &format!("#include <linux/{header}.h>\n");
    }
    for (expression, value) in facts {
        source += &format!("_Static_assert(({expression}) == {value}u, \"{expression} is not {value}\");\n");
    }
    let mut cc = Command::new("cc")
        .args(["-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cc.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let out = cc.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
