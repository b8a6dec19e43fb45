//! The keys of a recipe as they are written, each with its place in the text.
//!
//! Every key is optional here: what must be present is decided in `check`, so that a missing key is one finding among others.
//! The doc comments are the descriptions in the JSON Schema.

mod update;

use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;

pub(crate) use update::{Blackout, Gate, Health, Lock, Update, Window};

/// A value and the bytes of the text that it came from.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct At<T>(Spanned<T>);

impl<T> At<T> {
    pub(crate) fn get(&self) -> &T {
        self.0.get_ref()
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Strings with their places.
pub(crate) type Texts = Vec<At<String>>;

/// A Coracle image recipe.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Name of the image: lower-case letters, digits and hyphens, at most 63.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub name: Option<At<String>>,
    /// Version of the image: three numbers as in 1.2.3, at most 10 bytes.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub version: Option<At<String>>,
    /// Processor architecture; "x86_64" is the only one so far.
    pub arch: Option<At<String>>,
    /// The kernel to build.
    pub kernel: Option<Kernel>,
    /// Sizes, formats and the size budget.
    pub image: Option<Image>,
    /// OCI images embedded in the root.
    pub images: Option<Vec<EmbeddedImage>>,
    /// Pods started at boot.
    pub pods: Option<Vec<EmbeddedPod>>,
    /// Extra read-only files in the root.
    pub files: Option<Vec<File>>,
    /// Where the machine talks.
    pub console: Option<Console>,
    /// The state partition.
    pub state: Option<State>,
    /// The boot.
    pub boot: Option<Boot>,
    /// How machines are kept up to date; without it they are not.
    pub update: Option<Update>,
}

/// The kernel to build.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernel {
    /// "virtio" for virtual machines, "full" for hardware too.
    pub profile: Option<At<String>>,
    /// "package" for the distribution's source package, a path that starts with ./ ../ or /, or an https:// address.
    pub source: Option<At<String>>,
    /// SHA-256 of the source archive, 64 hexadecimal digits; required for an address.
    pub sha256: Option<At<String>>,
    /// Extra configuration fragments, applied in this order after the profile.
    pub fragments: Option<Texts>,
}

/// Sizes, formats and the size budget.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// Size of the EFI system partition, whole MiB.
    pub esp: Option<At<String>>,
    /// Size of each root slot, whole MiB.
    pub slot: Option<At<String>>,
    /// Size of each slot's hash partition, whole MiB; must hold the tree of a full slot.
    pub verity: Option<At<String>>,
    /// What to write: raw, raw.zst, qcow2, vmdk, vhd, direct.
    pub formats: Option<Texts>,
    /// Largest compressed image that still passes.
    pub budget: Option<At<String>>,
}

/// An OCI image embedded in the root.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddedImage {
    /// Image layout folder or archive, relative to the recipe.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub path: Option<At<String>>,
    /// The reference by which pods name it; without it, the one in the layout's index.
    pub name: Option<At<String>>,
    /// Manifest digest that must match: sha256: and 64 hexadecimal digits.
    pub digest: Option<At<String>>,
}

/// A pod started at boot.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddedPod {
    /// Kubernetes Pod manifest, relative to the recipe.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub manifest: Option<At<String>>,
}

/// An extra read-only file in the root.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// File to copy, relative to the recipe.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub source: Option<At<String>>,
    /// Absolute path inside the root.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub path: Option<At<String>>,
    /// Permissions in octal, between "0000" and "0777".
    pub mode: Option<At<String>>,
}

/// Where the machine talks.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Console {
    /// Kernel consoles, the last one is /dev/console.
    pub devices: Option<Texts>,
    /// Kernel messages below this level are shown, 0 to 7.
    pub loglevel: Option<At<i64>>,
}

/// The state partition.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// When it cannot be mounted: "recover" stops for an operator, "volatile" goes on in memory.
    pub on_failure: Option<At<String>>,
}

/// The boot.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Boot {
    /// Time until a boot must be good, "20s" to "60min".
    pub deadline: Option<At<String>>,
}
