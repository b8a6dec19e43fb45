//! `devices`: rules in their order, of which the last that fits decides, before those that every container has.

use coracle_runtime::devices::{Access, Answer, CONTAINER, Kind, Rule};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::{Error, range};

/// Where no rule fits, the answer is no. The container's own come last, as runc and crun have it: the specification has the
/// runtime supply these devices, and a list that begins with a denial of all does not mean them.
pub(super) fn lower(devices: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>, Error> {
    let own = CONTAINER.iter().map(|rule| Ok(*rule));
    devices.iter().enumerate().map(|(at, device)| rule(&format!("devices.{at}"), device)).chain(own).collect()
}

fn rule(property: &str, device: &LinuxDeviceCgroup) -> Result<Rule, Error> {
    let kind = match device.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(Kind::Block),
        Some(LinuxDeviceType::C) => Some(Kind::Char),
        Some(_) => return Err(range(format!("{property}.type"), "a, b or c")),
    };
    let number = |name: &str, number| match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| range(format!("{property}.{name}"), "a number of a device, or -1")),
    };
    Ok(Rule {
        answer: if device.allow() { Answer::Allow } else { Answer::Deny },
        kind,
        major: number("major", device.major())?,
        minor: number("minor", device.minor())?,
        access: access(device.access().as_deref().unwrap_or_default())
            .ok_or_else(|| range(format!("{property}.access"), "one or more of r, w and m"))?,
    })
}

fn access(text: &str) -> Option<Access> {
    let each = text.chars().map(|letter| match letter {
        'r' => Some(Access::READ),
        'w' => Some(Access::WRITE),
        'm' => Some(Access::MKNOD),
        _ => None,
    });
    each.reduce(|all, one| Some(all?.and(one?)))?
}
