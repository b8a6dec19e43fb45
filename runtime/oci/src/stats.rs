//! What a container uses, in the form that `runc events --stats` prints and engines read.
//!
//! The names are runc's (<https://github.com/opencontainers/runc/blob/main/types/events.go>), the numbers the counters of cgroup
//! v2 in the units of v1: time in nanoseconds, swap together with memory. A controller that is not there counts 0. Numbers of
//! single processors, kernel memory apart and queues of disks are not counted in v2.

use std::collections::BTreeMap;

use coracle_runtime::cgroup::Cgroup;
use serde::Serialize;

/// Why there are none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The files were not read.
    #[error("counters of the container")]
    Read(#[source] coracle_runtime::Error),
    /// A file holds something else than the kernel documents.
    #[error("{file} of the container's cgroup: {text:?}")]
    Garbled {
        /// The file.
        file: String,
        /// What cannot be read.
        text: String,
    },
}

/// The event of `events --stats`.
#[derive(Debug, PartialEq, Serialize)]
pub struct Event<'a> {
    /// Always `stats`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The container's id.
    pub id: &'a str,
    /// The numbers.
    pub data: &'a Stats,
}

/// All that is counted.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Stats {
    pub cpu: Cpu,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: BlockIo,
    pub hugetlb: BTreeMap<String, HugePages>,
    pub rdma: Rdma,
    /// Always empty: a network namespace is its engine's.
    pub network_interfaces: [(); 0],
}

/// Of `cpu.stat` and `cpu.pressure`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// In nanoseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct CpuUsage {
    pub total: u64,
    pub kernel: u64,
    pub user: u64,
}

/// How often and for how many nanoseconds `cpu.max` held it back.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Throttling {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
}

/// Of the files `memory.*`, in bytes.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Memory {
    pub cache: u64,
    pub usage: MemoryEntry,
    /// Swap and memory together.
    pub swap: MemoryEntry,
    pub kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat`.
    pub raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// A limit, where the most there is means none; what is used, what was at the most, and how often the limit was met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct MemoryEntry {
    pub limit: u64,
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
}

/// Of `pids.current` and `pids.max`; a limit of 0 is none.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Pids {
    pub current: u64,
    pub limit: u64,
}

/// Of `io.stat`: bytes and requests.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct BlockIo {
    pub io_service_bytes_recursive: Vec<BlockIoEntry>,
    pub io_serviced_recursive: Vec<BlockIoEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One number of one disk.
#[derive(Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct BlockIoEntry {
    pub major: u32,
    pub minor: u32,
    /// `Read` or `Write`.
    pub op: &'static str,
    pub value: u64,
}

/// Of the files `hugetlb.SIZE.*`: bytes reserved, or used where reservations are not counted.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct HugePages {
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
}

/// Of `rdma.max` and `rdma.current`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Rdma {
    pub rdma_limit: Vec<RdmaEntry>,
    pub rdma_current: Vec<RdmaEntry>,
}

/// One device; a limit that is the most there is means none.
#[derive(Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct RdmaEntry {
    pub device: String,
    pub hca_handles: u32,
    pub hca_objects: u32,
}

/// Of the files `*.pressure`: shares of time in hundredths, and microseconds in total, in which some or all processes waited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct Pressure {
    pub some: PressureEntry,
    pub full: PressureEntry,
}

/// One line of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are runc's names")]
pub struct PressureEntry {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

impl Stats {
    /// Reads the counters of a cgroup.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(cgroup: &Cgroup) -> Result<Self, Error> {
        let texts = cgroup.texts(is_counter).map_err(Error::Read)?;
        Self::parse(&texts)
    }

    /// The same of the files' texts by their names.
    ///
    /// # Errors
    /// [`Error::Garbled`].
    pub fn parse(texts: &BTreeMap<String, String>) -> Result<Self, Error> {
        let files = Files(texts);
        Ok(Self {
            cpu: files.cpu()?,
            memory: files.memory()?,
            pids: Pids {
                current: files.number("pids.current")?,
                limit: files.limit("pids.max")?.unwrap_or(0),
            },
            blkio: files.block_io()?,
            hugetlb: files.huge_pages()?,
            rdma: Rdma { rdma_limit: files.rdma("rdma.max")?, rdma_current: files.rdma("rdma.current")? },
            network_interfaces: [],
        })
    }
}

fn is_counter(file: &str) -> bool {
    let names = ["cpu.stat", "io.stat", "pids.current", "pids.max", "rdma.current", "rdma.max"];
    let pressure = ["cpu.pressure", "io.pressure", "memory.pressure"];
    let prefixes = ["memory.", "hugetlb."];
    let kinds = [".stat", ".current", ".max", ".peak", ".events"];
    names.contains(&file)
        || pressure.contains(&file)
        || prefixes.iter().any(|prefix| file.starts_with(prefix))
            && kinds.iter().any(|kind| file.ends_with(kind))
}

/// The texts, where what is missing counts nothing.
struct Files<'a>(&'a BTreeMap<String, String>);

impl Files<'_> {
    fn text(&self, file: &str) -> &str {
        self.0.get(file).map_or("", |text| text.trim_end())
    }

    fn number(&self, file: &str) -> Result<u64, Error> {
        match self.text(file) {
            "" => Ok(0),
            text => parse(file, text),
        }
    }

    /// A number, or none where the file says `max`.
    fn limit(&self, file: &str) -> Result<Option<u64>, Error> {
        if self.text(file) == "max" { Ok(None) } else { self.number(file).map(Some) }
    }

    /// The lines `key number`.
    fn fields(&self, file: &str) -> Result<BTreeMap<String, u64>, Error> {
        let field = |line: &str| {
            let (key, value) = line.split_once(' ').ok_or_else(|| garbled(file, line))?;
            Ok((key.to_owned(), parse(file, value)?))
        };
        self.text(file).lines().map(field).collect()
    }

    fn cpu(&self) -> Result<Cpu, Error> {
        let stat = self.fields("cpu.stat")?;
        let count = |key| stat.get(key).copied().unwrap_or(0);
        let nanoseconds = |key| count(key).saturating_mul(1000);
        Ok(Cpu {
            usage: CpuUsage {
                total: nanoseconds("usage_usec"),
                kernel: nanoseconds("system_usec"),
                user: nanoseconds("user_usec"),
            },
            throttling: Throttling {
                periods: count("nr_periods"),
                throttled_periods: count("nr_throttled"),
                throttled_time: nanoseconds("throttled_usec"),
            },
            psi: self.pressure("cpu.pressure")?,
        })
    }

    fn memory(&self) -> Result<Memory, Error> {
        let raw = self.fields("memory.stat")?;
        let of = |current, most, limit| {
            let limit = self.limit(limit)?.unwrap_or(u64::MAX);
            Ok(MemoryEntry { limit, usage: self.number(current)?, max: self.number(most)?, failcnt: 0 })
        };
        let mut usage = of("memory.current", "memory.peak", "memory.max")?;
        usage.failcnt = self.fields("memory.events")?.get("max").copied().unwrap_or(0);
        let swap = of("memory.swap.current", "memory.swap.peak", "memory.swap.max")?;
        // The peaks of both need not have been at one time.
        let both = MemoryEntry {
            limit: usage.limit.saturating_add(swap.limit),
            usage: usage.usage.saturating_add(swap.usage),
            max: 0,
            failcnt: 0,
        };
        let cache = raw.get("file").copied().unwrap_or(0);
        let psi = self.pressure("memory.pressure")?;
        Ok(Memory { cache, usage, swap: both, raw, psi, ..Memory::default() })
    }

    /// Lines of a device and its words `key=number`. Linux before 6.6 puts devices without any before the next on its line.
    fn block_io(&self) -> Result<BlockIo, Error> {
        let mut found = BlockIo { psi: self.pressure("io.pressure")?, ..BlockIo::default() };
        for line in self.text("io.stat").lines() {
            let mut device = None;
            for word in line.split_whitespace() {
                let Some((key, value)) = word.split_once('=') else {
                    let (major, minor) = word.split_once(':').ok_or_else(|| garbled("io.stat", line))?;
                    device = Some((parse("io.stat", major)?, parse("io.stat", minor)?));
                    continue;
                };
                let (op, list) = match key {
                    "rbytes" => ("Read", &mut found.io_service_bytes_recursive),
                    "wbytes" => ("Write", &mut found.io_service_bytes_recursive),
                    "rios" => ("Read", &mut found.io_serviced_recursive),
                    "wios" => ("Write", &mut found.io_serviced_recursive),
                    _ => continue,
                };
                let (major, minor) = device.ok_or_else(|| garbled("io.stat", line))?;
                list.push(BlockIoEntry { major, minor, op, value: parse("io.stat", value)? });
            }
        }
        Ok(found)
    }

    fn huge_pages(&self) -> Result<BTreeMap<String, HugePages>, Error> {
        let sizes = self.0.keys().filter_map(|file| {
            let size = file.strip_prefix("hugetlb.")?.strip_suffix(".current")?;
            (!size.contains('.')).then_some(size)
        });
        let count = |size: &str| {
            let reserved = format!("hugetlb.{size}.rsvd.current");
            let used = format!("hugetlb.{size}.current");
            let usage = self.number(if self.0.contains_key(&reserved) { &reserved } else { &used })?;
            let failcnt = self.fields(&format!("hugetlb.{size}.events"))?.get("max").copied().unwrap_or(0);
            Ok((size.to_owned(), HugePages { usage, max: 0, failcnt }))
        };
        sizes.map(count).collect()
    }

    fn rdma(&self, file: &str) -> Result<Vec<RdmaEntry>, Error> {
        let entry = |line: &str| {
            let mut words = line.split_whitespace();
            let device = words.next().unwrap_or_default().to_owned();
            let mut entry = RdmaEntry { device, hca_handles: 0, hca_objects: 0 };
            for word in words {
                let (key, value) = word.split_once('=').ok_or_else(|| garbled(file, line))?;
                let value = if value == "max" { u32::MAX } else { parse(file, value)? };
                match key {
                    "hca_handle" => entry.hca_handles = value,
                    "hca_object" => entry.hca_objects = value,
                    _ => {}
                }
            }
            Ok(entry)
        };
        self.text(file).lines().map(entry).collect()
    }

    fn pressure(&self, file: &str) -> Result<Option<Pressure>, Error> {
        if self.text(file).is_empty() {
            return Ok(None);
        }
        let mut found = Pressure::default();
        for line in self.text(file).lines() {
            let mut words = line.split_whitespace();
            let entry = match words.next() {
                Some("some") => &mut found.some,
                Some("full") => &mut found.full,
                _ => continue,
            };
            for word in words {
                let (key, value) = word.split_once('=').ok_or_else(|| garbled(file, line))?;
                match key {
                    "avg10" => entry.avg10 = parse(file, value)?,
                    "avg60" => entry.avg60 = parse(file, value)?,
                    "avg300" => entry.avg300 = parse(file, value)?,
                    "total" => entry.total = parse(file, value)?,
                    _ => {}
                }
            }
        }
        Ok(Some(found))
    }
}

fn parse<T: std::str::FromStr>(file: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| garbled(file, text))
}

fn garbled(file: &str, text: &str) -> Error {
    Error::Garbled { file: file.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests;
