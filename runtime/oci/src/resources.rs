//! `linux.resources`, <https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config-linux.md#control-groups>, for cgroup v2.
//!
//! Most properties are named after files of cgroup v1. [`lower`] says which files of v2 hold what they ask for; it reads and
//! writes nothing. A property that v2 cannot honour is refused by its path, unless its value asks for nothing: engines pass zeros
//! and defaults.
//!
//! * `memory`, `cpu`, `block_io`, `devices`: the properties of that name.
//! * [`apply`]: making a cgroup with what came of them, and changing one that is there.

pub mod apply;
mod block_io;
mod cpu;
mod devices;
mod memory;

use std::collections::BTreeMap;

use coracle_runtime::{
    cgroup::{Absent, Setting},
    devices::Rule,
};
use oci_spec::runtime::{LinuxHugepageLimit, LinuxNetwork, LinuxRdma, LinuxResources};

pub use memory::Check;

/// Why resources were refused, or not given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing in cgroup v2 does what the property asks for.
    #[error("linux.resources.{property}: cgroup v2 has nothing for it")]
    Unsupported {
        /// Its path below `linux.resources`.
        property: String,
    },
    /// The value is none that the property can have.
    #[error("linux.resources.{property} is to be {want}")]
    Range {
        /// Its path below `linux.resources`.
        property: String,
        /// What it may be.
        want: &'static str,
    },
    /// The container uses more than it should be limited to, and `checkBeforeUpdate` asks to leave it alone then.
    #[error("linux.resources.{property} is {limit}, and {used} are used")]
    Used {
        /// Its path below `linux.resources`.
        property: &'static str,
        /// The limit in bytes.
        limit: u64,
        /// What is used in bytes.
        used: u64,
    },
    /// The devices of a container are decided when it is created.
    #[error("linux.resources.devices cannot be changed")]
    DevicesChange,
    /// Two sets of resources cannot be joined.
    #[error("linux.resources: {0}")]
    Join(String),
    /// The controller is not there, or belongs to cgroup v1.
    #[error("linux.resources.{property} needs the cgroup controller {controller}, which is not available")]
    Controller {
        /// Its path below `linux.resources`.
        property: String,
        /// The controller.
        controller: String,
    },
    /// The kernel did not take the value.
    #[error("linux.resources.{property}")]
    Refused {
        /// Its path below `linux.resources`.
        property: String,
        /// What the kernel said.
        #[source]
        source: coracle_runtime::Error,
    },
    /// The cgroup was not made or found.
    #[error("cgroup of the container")]
    Cgroup(#[source] coracle_runtime::Error),
}

/// What resources come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// What is written, in this order.
    pub settings: Vec<Asked>,
    /// Which devices the container may use.
    pub devices: Vec<Rule>,
    /// What is asked of the memory in use before it is limited.
    pub check: Option<Check>,
}

/// A value for a file, and the property that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its path below `linux.resources`.
    pub property: String,
    /// The value.
    pub setting: Setting,
}

impl Lowered {
    /// The controllers without which it cannot be done, each with a property that needs it.
    pub fn needed(&self) -> BTreeMap<&str, &str> {
        let mut needed = BTreeMap::new();
        for Asked { property, setting } in
            self.settings.iter().filter(|asked| asked.setting.absent != Absent::Skip)
        {
            match setting.file.split('.').next() {
                // That is no controller, and every cgroup has it.
                None | Some("cgroup") => {}
                Some(controller) => drop(needed.entry(controller).or_insert(property.as_str())),
            }
        }
        needed
    }
}

/// Settings in the making.
#[derive(Default)]
struct List(Vec<Asked>);

impl List {
    fn ask(&mut self, property: impl Into<String>, setting: Setting) {
        self.0.push(Asked { property: property.into(), setting });
    }
}

fn unsupported(property: &str) -> Error {
    Error::Unsupported { property: property.to_owned() }
}

fn range(property: impl Into<String>, want: &'static str) -> Error {
    Error::Range { property: property.into(), want }
}

/// What resources ask for. `unified` comes last, so it has the last word about a file that another property fills, too.
///
/// # Errors
/// [`Error::Unsupported`] and [`Error::Range`].
pub fn lower(resources: &LinuxResources) -> Result<Lowered, Error> {
    let mut list = List::default();
    if let Some(pids) = resources.pids() {
        list.ask("pids.limit", pids_max(pids.limit()));
    }
    let check = match resources.memory() {
        Some(memory) => memory::lower(memory, &mut list)?,
        None => None,
    };
    if let Some(block_io) = resources.block_io() {
        block_io::lower(block_io, &mut list)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu::lower(cpu, &mut list)?;
    }
    for (at, limit) in resources.hugepage_limits().iter().flatten().enumerate() {
        hugepages(at, limit, &mut list)?;
    }
    let rdma: BTreeMap<_, _> = resources.rdma().iter().flatten().collect();
    for (device, limit) in rdma {
        list.ask(format!("rdma.{device}"), rdma_max(device, *limit)?);
    }
    if let Some(network) = resources.network() {
        refuse_network(network)?;
    }
    let unified: BTreeMap<_, _> = resources.unified().iter().flatten().collect();
    for (file, value) in unified {
        let property = format!("unified.{file}");
        // With something before a dot it is neither a folder nor one above.
        let controller = file.split_once('.').map_or("", |(controller, _)| controller);
        if controller.is_empty() || file.contains(['/', '\0']) {
            return Err(range(property, "the name of a file: CONTROLLER.NAME, without a slash"));
        }
        list.ask(property, Setting::new(file.clone(), value));
    }
    let devices = devices::lower(resources.devices().as_deref().unwrap_or_default())?;
    Ok(Lowered { settings: list.0, devices, check })
}

/// 0 and less are no limit, as with runc.
fn pids_max(limit: i64) -> Setting {
    if limit > 0 { Setting::new("pids.max", limit) } else { Setting::new("pids.max", "max").or_skip() }
}

/// Reservations are limited, where the kernel can (Linux 5.7), and use besides, as runc has it.
fn hugepages(at: usize, limit: &LinuxHugepageLimit, list: &mut List) -> Result<(), Error> {
    let size = limit.page_size();
    let property = format!("hugepageLimits.{at}.pageSize");
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(range(property, "a size such as 64KB, 2MB or 1GB"));
    }
    let property = format!("hugepageLimits.{at}.limit");
    if limit.limit() < 0 {
        return Err(range(property, "a number of bytes"));
    }
    list.ask(property.clone(), Setting::new(format!("hugetlb.{size}.max"), limit.limit()));
    list.ask(property, Setting::new(format!("hugetlb.{size}.rsvd.max"), limit.limit()).or_skip());
    Ok(())
}

fn rdma_max(device: &str, limit: LinuxRdma) -> Result<Setting, Error> {
    if device.is_empty() || device.contains(char::is_whitespace) {
        return Err(range(format!("rdma.{device}"), "a device's name"));
    }
    let limits = [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())];
    let words: String =
        limits.iter().filter_map(|(name, most)| Some(format!(" {name}={}", (*most)?))).collect();
    if words.is_empty() {
        return Err(range(format!("rdma.{device}"), "hcaHandles, hcaObjects or both"));
    }
    Ok(Setting::new("rdma.max", format_args!("{device}{words}")))
}

/// The controllers net_cls and net_prio are not in v2. 0 is what their files hold anyway.
fn refuse_network(network: &LinuxNetwork) -> Result<(), Error> {
    if network.class_id().is_some_and(|id| id != 0) {
        return Err(unsupported("network.classID"));
    }
    if network.priorities().iter().flatten().any(|interface| interface.priority() != 0) {
        return Err(unsupported("network.priorities"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
