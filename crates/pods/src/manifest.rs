//! The fields of a manifest as they are written, each value with its place. A field that is not here is refused by the reader.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// A whole manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub api_version: Spanned<Text>,
    pub kind: Spanned<Text>,
    pub metadata: Metadata,
    pub spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub name: Spanned<Text>,
    #[serde(default)]
    pub labels: BTreeMap<String, Spanned<Text>>,
    #[serde(default)]
    pub annotations: BTreeMap<String, Spanned<Text>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Spec {
    pub host_network: Option<bool>,
    #[serde(rename = "hostPID")]
    pub host_pid: Option<bool>,
    pub host_users: Option<bool>,
    pub restart_policy: Option<Spanned<Text>>,
    pub termination_grace_period_seconds: Option<Spanned<i64>>,
    pub hostname: Option<Spanned<Text>>,
    pub containers: Spanned<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Container {
    pub name: Spanned<Text>,
    pub image: Spanned<Text>,
    #[serde(default)]
    pub command: Vec<Spanned<Text>>,
    #[serde(default)]
    pub args: Vec<Spanned<Text>>,
    #[serde(default)]
    pub env: Vec<Env>,
    pub working_dir: Option<Spanned<Text>>,
    #[serde(default)]
    pub ports: Vec<Port>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub security_context: SecurityContext,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Env {
    pub name: Spanned<Text>,
    pub value: Option<Spanned<Text>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Port {
    pub name: Option<Spanned<Text>>,
    pub container_port: Spanned<i64>,
    pub host_port: Option<Spanned<i64>>,
    pub protocol: Option<Spanned<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    #[serde(default)]
    pub limits: Amounts,
    #[serde(default)]
    pub requests: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Amounts {
    pub cpu: Option<Spanned<Amount>>,
    pub memory: Option<Spanned<Amount>>,
    pub ephemeral_storage: Option<Spanned<Amount>>,
    #[serde(rename = "coracle/pids")]
    pub pids: Option<Spanned<Amount>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    pub run_as_user: Option<Spanned<i64>>,
    pub run_as_group: Option<Spanned<i64>>,
    pub run_as_non_root: Option<Spanned<bool>>,
    pub read_only_root_filesystem: Option<bool>,
    pub allow_privilege_escalation: Option<Spanned<bool>>,
    pub privileged: Option<bool>,
    #[serde(default)]
    pub capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capabilities {
    #[serde(default)]
    pub add: Vec<Spanned<Text>>,
    #[serde(default)]
    pub drop: Vec<Spanned<Text>>,
}

/// A string that is one: `value: 1` and `value: true` are refused, as a cluster refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl Visitor<'_> for Strings {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string; quote numbers and booleans")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Strings)
    }
}

/// A quantity's text; Kubernetes also takes a plain number, kept here as the text it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A string target receives a plain scalar as written, so that no digit passes through floating point.
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
