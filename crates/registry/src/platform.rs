//! Which manifest of an index is for this machine.

use serde::Deserialize;

/// What an index says that a manifest is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Offered {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// linux/amd64, up to a level of its instruction set (x86-64 psABI): a machine runs what is for its level, and for each below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// What every such processor runs, `linux/amd64` without a variant too.
    #[default]
    V1,
    /// With SSE 4.2.
    V2,
    /// With AVX2.
    V3,
    /// With AVX-512.
    V4,
}

/// How well a manifest fits; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It does not say what it is for.
    Unsaid,
    /// It is for this level.
    Level(Platform),
}

impl Platform {
    /// How well something fits, if this machine runs it.
    pub(crate) fn fit(self, offered: Option<&Offered>) -> Option<Fit> {
        let Some(Offered { os, architecture, variant }) = offered else { return Some(Fit::Unsaid) };
        let level = match variant.as_deref() {
            None | Some("" | "v1") => Self::V1,
            Some("v2") => Self::V2,
            Some("v3") => Self::V3,
            Some("v4") => Self::V4,
            Some(_) => return None,
        };
        (os == "linux" && architecture == "amd64" && level <= self).then_some(Fit::Level(level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(text: &str) -> Offered {
        let mut words = text.split('/').map(str::to_owned);
        Offered { os: words.next().unwrap(), architecture: words.next().unwrap(), variant: words.next() }
    }

    #[test]
    fn what_runs_where() {
        use Fit::*;
        use Platform::*;
        for (text, [on_v1, on_v3]) in [
            ("linux/amd64", [Some(Level(V1)); 2]),
            ("linux/amd64/", [Some(Level(V1)); 2]),
            ("linux/amd64/v1", [Some(Level(V1)); 2]),
            ("linux/amd64/v2", [None, Some(Level(V2))]),
            ("linux/amd64/v3", [None, Some(Level(V3))]),
            ("linux/amd64/v4", [None, None]),
            ("linux/amd64/v8", [None, None]),
            ("linux/arm64", [None, None]),
            ("linux/386", [None, None]),
            ("windows/amd64", [None, None]),
            ("unknown/unknown", [None, None]),
        ] {
            let offered = offered(text);
            assert_eq!([V1.fit(Some(&offered)), V3.fit(Some(&offered))], [on_v1, on_v3], "{text}");
        }
        assert_eq!(V1.fit(None), Some(Unsaid));
        assert!(Unsaid < Level(V1) && Level(V2) < Level(V3));
    }
}
