//! `blockIO`, which is the controller io of v2.

use std::collections::BTreeMap;

use coracle_runtime::cgroup::Setting;
use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::{Error, List, range, unsupported};

pub(super) fn lower(io: &LinuxBlockIo, list: &mut List) -> Result<(), Error> {
    if io.leaf_weight().is_some_and(|weight| weight != 0) {
        return Err(unsupported("blockIO.leafWeight"));
    }
    if let Some(weight) = io.weight().filter(|&weight| weight != 0) {
        list.ask("blockIO.weight", weigh("", "blockIO.weight", weight)?);
    }
    for (at, device) in io.weight_device().iter().flatten().enumerate() {
        let property = format!("blockIO.weightDevice.{at}");
        if device.leaf_weight().is_some_and(|weight| weight != 0) {
            return Err(unsupported(&format!("{property}.leafWeight")));
        }
        if device.weight().or(device.leaf_weight()).is_none() {
            return Err(range(property, "a weight of a device"));
        }
        if let Some(weight) = device.weight().filter(|&weight| weight != 0) {
            let (major, minor) = numbers(&property, device.major(), device.minor())?;
            list.ask(property.clone(), weigh(&format!("{major}:{minor} "), &property, weight)?);
        }
    }
    throttle(io, list)
}

/// BFQ takes the weight as it is; without it the cost model's is the same, on a line from 1 to 10000.
fn weigh(device: &str, property: &str, weight: u16) -> Result<Setting, Error> {
    if !(10..=1000).contains(&weight) {
        return Err(range(property, "a weight of 10 to 1000"));
    }
    let scaled = 1 + (u32::from(weight) - 10) * 9999 / 990;
    let by_cost = Setting::new("io.weight", format_args!("{device}{scaled}"));
    Ok(Setting::new("io.bfq.weight", format_args!("{device}{weight}")).or(by_cost))
}

/// One line for each device, whatever lists it is on. A rate of 0 is none, as in v1.
fn throttle(io: &LinuxBlockIo, list: &mut List) -> Result<(), Error> {
    let lists: [(_, _, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        ("throttleReadBpsDevice", "rbps", io.throttle_read_bps_device()),
        ("throttleWriteBpsDevice", "wbps", io.throttle_write_bps_device()),
        ("throttleReadIOPSDevice", "riops", io.throttle_read_iops_device()),
        ("throttleWriteIOPSDevice", "wiops", io.throttle_write_iops_device()),
    ];
    // For each device where it was named first, and its rates by their keys.
    let mut devices: BTreeMap<_, (String, BTreeMap<_, u64>)> = BTreeMap::new();
    for (name, key, rates) in lists {
        for (at, device) in rates.iter().flatten().enumerate() {
            let property = format!("blockIO.{name}.{at}");
            let numbers = numbers(&property, device.major(), device.minor())?;
            let (_, rates) = devices.entry(numbers).or_insert((property, BTreeMap::new()));
            rates.insert(key, device.rate());
        }
    }
    for ((major, minor), (property, rates)) in devices {
        let words = rates.iter().map(|(key, rate)| match rate {
            0 => format!(" {key}=max"),
            rate => format!(" {key}={rate}"),
        });
        let line = format!("{major}:{minor}{}", words.collect::<String>());
        list.ask(property, Setting::new("io.max", line));
    }
    Ok(())
}

fn numbers(property: &str, major: i64, minor: i64) -> Result<(u32, u32), Error> {
    let fit = |name: &str, number: i64| {
        u32::try_from(number).map_err(|_| range(format!("{property}.{name}"), "a number of a device"))
    };
    Ok((fit("major", major)?, fit("minor", minor)?))
}
