//! From manifest to pod. Stops at the first fault and names its field and place.

use crate::error::{Error, Place};
use crate::expand::expand;
use crate::manifest::{self as wire, Amount, Manifest, Text};
use crate::names::{self, DnsLabel};
use crate::pod::{Container, LIMIT, Namespace, Pod, Port, Protocol, Resources, RestartPolicy};
use crate::quantity::Quantity;
use crate::security::security;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A cluster's largest total of annotations, names included.
const ANNOTATIONS: usize = 256 << 10;

/// A day: more than any shutdown waits.
const GRACE: i64 = 24 * 60 * 60;

pub(crate) type Checked<T> = Result<T, Error>;

/// Reads and checks one manifest.
pub(crate) fn pod(yaml: &str) -> Checked<Pod> {
    if yaml.len() > LIMIT {
        return Err(Error::TooLarge { got: yaml.len(), limit: LIMIT });
    }
    let manifest: Manifest =
        serde_saphyr::from_str_with_options(yaml, options()).map_err(|error| read_error(&error))?;
    exactly(&manifest.api_version, "apiVersion", "v1")?;
    exactly(&manifest.kind, "kind", "Pod")?;
    let name = label(&manifest.metadata.name, "metadata.name")?;
    let labels = labels(manifest.metadata.labels)?;
    let annotations = annotations(manifest.metadata.annotations)?;
    let spec = manifest.spec;
    let restart = match &spec.restart_policy {
        None => RestartPolicy::Always,
        Some(at) => match at.value.0.as_str() {
            "Always" => RestartPolicy::Always,
            "OnFailure" => RestartPolicy::OnFailure,
            "Never" => RestartPolicy::Never,
            _ => {
                return refuse(at, "spec.restartPolicy", "must be Always, OnFailure or Never");
            }
        },
    };
    let grace = match &spec.termination_grace_period_seconds {
        None => 30,
        Some(at) => number(at, "spec.terminationGracePeriodSeconds", 0, GRACE)?,
    };
    let hostname = match &spec.hostname {
        None => name.clone(),
        Some(at) => label(at, "spec.hostname")?,
    };
    let [only] = spec.containers.value.as_slice() else {
        let reason = "must hold exactly one container; more are not supported";
        return refuse(&spec.containers, "spec.containers", reason);
    };
    let network = namespace(spec.host_network);
    Ok(Pod {
        name,
        labels,
        annotations,
        network,
        pids: namespace(spec.host_pid),
        users: namespace(spec.host_users),
        restart,
        grace: Duration::from_secs(grace),
        hostname,
        container: container(only, network)?,
    })
}

/// No merge keys, no repeated keys, no foreign tags: a manifest says each thing once. Aliases stay within a small budget.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_depth: 64,
            max_aliases: 100,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn read_error(error: &serde_saphyr::Error) -> Error {
    let error = error.without_snippet();
    Error::Read { place: error.location().map(place).unwrap_or_default(), message: error.render() }
}

fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

pub(crate) fn refuse<T, V>(
    at: &Spanned<V>,
    field: impl Into<String>,
    reason: impl Into<String>,
) -> Checked<T> {
    Err(Error::Field { place: place(at.referenced), field: field.into(), reason: reason.into() })
}

fn exactly(at: &Spanned<Text>, field: &str, want: &str) -> Checked<()> {
    if at.value.0 != want {
        return refuse(at, field, format!("must be {want}"));
    }
    Ok(())
}

fn label(at: &Spanned<Text>, field: &str) -> Checked<DnsLabel> {
    let reason =
        "must be a DNS label: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end";
    DnsLabel::parse(&at.value.0).map_or_else(|| refuse(at, field, reason), Ok)
}

fn labels(wire: BTreeMap<String, Spanned<Text>>) -> Checked<BTreeMap<String, String>> {
    for (key, at) in &wire {
        if !names::is_label_key(key) {
            return refuse(at, "metadata.labels", "a key is not a qualified name");
        }
        if !names::is_label_value(&at.value.0) {
            let reason =
                "a value has at most 63 letters, digits, - _ . and starts and ends with a letter or digit";
            return refuse(at, format!("metadata.labels.{key}"), reason);
        }
    }
    Ok(plain(wire))
}

fn annotations(wire: BTreeMap<String, Spanned<Text>>) -> Checked<BTreeMap<String, String>> {
    let mut total = 0;
    for (key, at) in &wire {
        total += key.len() + at.value.0.len();
        if !names::is_label_key(&key.to_ascii_lowercase()) {
            return refuse(at, "metadata.annotations", "a key is not a qualified name");
        }
        if total > ANNOTATIONS {
            let reason = format!("annotations have more than {ANNOTATIONS} bytes together");
            return refuse(at, "metadata.annotations", reason);
        }
    }
    Ok(plain(wire))
}

fn plain(wire: BTreeMap<String, Spanned<Text>>) -> BTreeMap<String, String> {
    wire.into_iter().map(|(key, at)| (key, at.value.0)).collect()
}

fn namespace(host: Option<bool>) -> Namespace {
    match host {
        Some(true) => Namespace::Host,
        _ => Namespace::Own,
    }
}

pub(crate) fn number<T: TryFrom<i64>>(at: &Spanned<i64>, field: &str, least: i64, most: i64) -> Checked<T> {
    let within = (least..=most).contains(&at.value);
    match T::try_from(at.value) {
        Ok(value) if within => Ok(value),
        _ => refuse(at, field, format!("must lie between {least} and {most}")),
    }
}

fn container(wire: &wire::Container, network: Namespace) -> Checked<Container> {
    let name = label(&wire.name, "spec.containers[0].name")?;
    let image = &wire.image.value.0;
    if !(1..=512).contains(&image.len()) || !image.bytes().all(|b| b.is_ascii_graphic()) {
        let reason = "must be an image reference of 1 to 512 printable ASCII characters";
        return refuse(&wire.image, "spec.containers[0].image", reason);
    }
    let env = env(&wire.env)?;
    let by_name: BTreeMap<&str, &str> =
        env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let command = words(&wire.command, "spec.containers[0].command", &by_name)?;
    let args = words(&wire.args, "spec.containers[0].args", &by_name)?;
    let working_dir = match &wire.working_dir {
        None => None,
        Some(at) => {
            let path = no_nul(at, "spec.containers[0].workingDir", at.value.0.clone())?;
            if !path.starts_with('/') || path.len() > 4095 {
                let reason = "must be an absolute path of at most 4095 bytes";
                return refuse(at, "spec.containers[0].workingDir", reason);
            }
            Some(path)
        }
    };
    let limits = amounts(&wire.resources.limits, "spec.containers[0].resources.limits")?;
    let requests = requests(&wire.resources.requests, limits)?;
    Ok(Container {
        name,
        image: image.clone(),
        command,
        args,
        working_dir,
        ports: ports(&wire.ports, network)?,
        limits,
        requests,
        security: security(&wire.security_context)?,
        env,
    })
}

/// Variables expand by those before them, as in Kubernetes.
fn env(wire: &[wire::Env]) -> Checked<Vec<(String, String)>> {
    let field = "spec.containers[0].env";
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut total = 0;
    for one in wire {
        let name = one.name.value.0.as_str();
        if !names::is_env_name(name) {
            let reason = "a name has printable ASCII characters other than = and space";
            return refuse(&one.name, field, reason);
        }
        let value = match &one.value {
            None => String::new(),
            Some(at) => expanded(at, field, |name| known.get(name).map(String::as_str))?,
        };
        // Each value may hold the one before it twice: without a bound on the sum, a page of text fills the memory.
        total += name.len() + value.len();
        if total > LIMIT {
            return refuse(&one.name, field, format!("variables have more than {LIMIT} bytes together"));
        }
        if known.insert(name, value).is_some() {
            return refuse(&one.name, field, format!("{name} is set twice"));
        }
    }
    let ordered = wire.iter().map(|one| {
        let name = one.name.value.0.clone();
        let value = known.remove(name.as_str()).unwrap_or_default();
        (name, value)
    });
    Ok(ordered.collect())
}

fn words(wire: &[Spanned<Text>], field: &str, env: &BTreeMap<&str, &str>) -> Checked<Vec<String>> {
    let mut total = 0;
    let mut words = Vec::new();
    for at in wire {
        let word = expanded(at, field, |name| env.get(name).copied())?;
        total += word.len() + 1;
        if total > LIMIT {
            return refuse(at, field, format!("has more than {LIMIT} bytes together"));
        }
        words.push(word);
    }
    Ok(words)
}

fn expanded<'v>(at: &Spanned<Text>, field: &str, value: impl Fn(&str) -> Option<&'v str>) -> Checked<String> {
    match expand(&at.value.0, value) {
        Ok(text) => no_nul(at, field, text),
        Err(long) => refuse(at, field, long.to_string()),
    }
}

/// The kernel takes these as C strings.
fn no_nul(at: &Spanned<Text>, field: &str, text: String) -> Checked<String> {
    if text.contains('\0') {
        return refuse(at, field, "cannot hold a NUL");
    }
    Ok(text)
}

fn ports(wire: &[wire::Port], network: Namespace) -> Checked<Vec<Port>> {
    let field = "spec.containers[0].ports";
    let (mut seen, mut hosts, mut seen_names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut ports = Vec::new();
    for one in wire {
        let container: u16 = number(&one.container_port, field, 1, 65535)?;
        let host: Option<u16> = match &one.host_port {
            None => None,
            Some(at) => Some(number(at, field, 1, 65535)?),
        };
        let (protocol, order) = match &one.protocol {
            None => (Protocol::Tcp, 0),
            Some(at) => match at.value.0.as_str() {
                "TCP" => (Protocol::Tcp, 0),
                "UDP" => (Protocol::Udp, 1),
                "SCTP" => (Protocol::Sctp, 2),
                _ => return refuse(at, field, "protocol must be TCP, UDP or SCTP"),
            },
        };
        if !seen.insert((container, order)) {
            return refuse(&one.container_port, field, "this port is named twice");
        }
        if let (Some(number), Some(at)) = (host, &one.host_port) {
            if !hosts.insert((number, order)) {
                return refuse(at, field, "this host port is named twice");
            }
            if network == Namespace::Host && number != container {
                let reason = "with hostNetwork a host port must equal its container port";
                return refuse(at, field, reason);
            }
        }
        let name = match &one.name {
            None => None,
            Some(at) => {
                let name = at.value.0.clone();
                if !names::is_port_name(&name) {
                    let reason = "a port's name has 1 to 15 lower-case letters, digits and single hyphens, and a letter";
                    return refuse(at, field, reason);
                }
                if !seen_names.insert(name.clone()) {
                    return refuse(at, field, "this name is used twice");
                }
                Some(name)
            }
        };
        ports.push(Port { name, container, host, protocol });
    }
    Ok(ports)
}

fn amounts(wire: &wire::Amounts, field: &str) -> Checked<Resources> {
    let read = |at: &Option<Spanned<Amount>>, key: &str| match at {
        None => Ok(None),
        Some(at) => match Quantity::parse(&at.value.0) {
            Ok(quantity) => Ok(Some(quantity)),
            Err(error) => refuse(at, format!("{field}.{key}"), error.to_string()),
        },
    };
    let pids = read(&wire.pids, "coracle/pids")?;
    if let (Some(pids), Some(at)) = (pids, &wire.pids)
        && !(pids.is_whole() && (1..=4_194_304).contains(&pids.units()))
    {
        let reason = "must be a whole number between 1 and 4194304";
        return refuse(at, format!("{field}.coracle/pids"), reason);
    }
    Ok(Resources {
        cpu: read(&wire.cpu, "cpu")?,
        memory: read(&wire.memory, "memory")?,
        ephemeral_storage: read(&wire.ephemeral_storage, "ephemeral-storage")?,
        pids,
    })
}

fn requests(wire: &wire::Amounts, limits: Resources) -> Checked<Resources> {
    let field = "spec.containers[0].resources.requests";
    let requests = amounts(wire, field)?;
    let fill = |at: &Option<Spanned<Amount>>, request: Option<Quantity>, limit: Option<Quantity>| match (
        at, request, limit,
    ) {
        (Some(at), Some(request), Some(limit)) if request > limit => {
            refuse(at, field, "a request is larger than its limit")
        }
        _ => Ok(request.or(limit)),
    };
    Ok(Resources {
        cpu: fill(&wire.cpu, requests.cpu, limits.cpu)?,
        memory: fill(&wire.memory, requests.memory, limits.memory)?,
        ephemeral_storage: fill(
            &wire.ephemeral_storage,
            requests.ephemeral_storage,
            limits.ephemeral_storage,
        )?,
        pids: fill(&wire.pids, requests.pids, limits.pids)?,
    })
}
