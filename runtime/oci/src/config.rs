//! `config.json`, as <https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config.md> has it.
//!
//! A property that the specification does not know is ignored, as it says, and named by its path. Whether a known one can be
//! honoured is for those to say who do it.

use oci_spec::runtime::Spec;

/// A configuration of this size holds ten thousand mounts. Nothing longer is read.
pub const LONGEST: usize = 4 << 20;
/// As many unknown properties are named.
const NAMED: usize = 100;

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than [`LONGEST`].
    #[error("config.json has {len} bytes; at most {LONGEST} are read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// It is no JSON, or a property has another type than the specification gives it.
    #[error("config.json")]
    Json(#[source] serde_json::Error),
    /// It was written for a specification with other rules.
    #[error("config.json is of OCI version {version:?}; versions 1.x are known")]
    Version {
        /// What it says.
        version: String,
    },
}

/// A configuration and what was left out of it.
#[derive(Debug)]
pub struct Config {
    /// What the specification knows.
    pub spec: Spec,
    /// Paths of properties that it does not know, such as `linux.resources.memory.limt`; the first hundred.
    pub unknown: Vec<String>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LONGEST {
            return Err(Error::TooLong { len: bytes.len() });
        }
        let mut unknown = Vec::new();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let note = |path: serde_ignored::Path<'_>| {
            if unknown.len() < NAMED {
                unknown.push(readable(&path));
            }
        };
        let spec: Spec = serde_ignored::deserialize(&mut json, note).map_err(Error::Json)?;
        json.end().map_err(Error::Json)?;
        if !spec.version().starts_with("1.") {
            return Err(Error::Version { version: spec.version().clone() });
        }
        Ok(Self { spec, unknown })
    }
}

/// The path without the marks of optional values.
fn readable(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    let below = |parent: &Path<'_>, name: &dyn std::fmt::Display| match readable(parent) {
        parent if parent.is_empty() => name.to_string(),
        parent => format!("{parent}.{name}"),
    };
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => below(parent, index),
        Path::Map { parent, key } => below(parent, key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            readable(parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_properties_are_named_by_their_path() {
        let text = br#"{"ociVersion": "1.2.0", "later": {}, "process": {"cwd": "/", "user": {"uid": 0, "gid": 0, "x": 1}},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount", "y": []}]}}"#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.unknown, ["later", "process.user.x", "linux.namespaces.1.y"]);
        assert_eq!(config.spec.linux().as_ref().unwrap().namespaces().as_ref().unwrap().len(), 2);
    }

    #[test]
    fn no_depth_is_too_deep_for_what_is_ignored() {
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        let text = [br#"{"ociVersion": "1.0.0", "x": "#, &deep[..], b"}"].concat();
        assert_eq!(Config::parse(&text).unwrap().unknown, ["x"]);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let two = br#"{"ociVersion": "1.0.0"} {}"#;
        assert!(matches!(Config::parse(two), Err(Error::Json(_))));
        assert!(matches!(Config::parse(b"{"), Err(Error::Json(_))));
        let mistyped = br#"{"ociVersion": "1.0.0", "linux": {"namespaces": [{"type": "pit"}]}}"#;
        assert!(matches!(Config::parse(mistyped), Err(Error::Json(_))));
        for version in ["", "2.0.0", "1", "11.0.0"] {
            let text = format!(r#"{{"ociVersion": "{version}"}}"#);
            let refused = Config::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(refused, Error::Version { .. }), "{version}: {refused:?}");
        }
        let long = vec![b' '; LONGEST + 1];
        assert!(matches!(Config::parse(&long), Err(Error::TooLong { .. })));
    }
}
