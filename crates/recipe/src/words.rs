//! The words that a recipe chooses from, and the text forms of references and digest pins.

use coracle_rollout::{machine::Approval, settings::Reach, window::Weekday};

use crate::read::nearest;
use crate::recipe::{Arch, Format, KernelProfile, OnStateFailure};
use crate::values::{Refused, Sha256, refused};

/// The value of one of a few words.
fn word<T: Copy>(text: &str, what: &str, words: &[(&str, T)]) -> Result<T, Refused> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let shown: String = text.chars().take(64).collect();
    refused(
        format!("there is no {what} \"{}\"", shown.escape_debug()),
        match nearest(text, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("choose one of: {}", known.join(", ")),
        },
    )
}

/// Reads an architecture.
pub(crate) fn arch(text: &str) -> Result<Arch, Refused> {
    if ["aarch64", "arm64", "riscv64", "armv7", "i686", "ppc64le", "s390x"].contains(&text) {
        return refused(
            format!("images for {text} cannot be built yet"),
            "write `arch = \"x86_64\"`, the only one so far",
        );
    }
    word(text, "architecture", &[("x86_64", Arch::X86_64)])
}

/// Reads a kernel profile.
pub(crate) fn profile(text: &str) -> Result<KernelProfile, Refused> {
    use KernelProfile::{Full, Virtio};
    word(text, "kernel profile", &[("virtio", Virtio), ("full", Full)])
}

/// Reads what happens without state.
pub(crate) fn on_failure(text: &str) -> Result<OnStateFailure, Refused> {
    use OnStateFailure::{Recover, Volatile};
    word(text, "way to fail", &[("recover", Recover), ("volatile", Volatile)])
}

/// Reads an image format.
pub(crate) fn format(text: &str) -> Result<Format, Refused> {
    use Format::{Direct, Qcow2, Raw, RawZst, Vhd, Vmdk};
    let words = [
        ("raw", Raw),
        ("raw.zst", RawZst),
        ("qcow2", Qcow2),
        ("vmdk", Vmdk),
        ("vhd", Vhd),
        ("direct", Direct),
    ];
    word(text, "image format", &words)
}

/// Reads who decides about a reboot.
pub(crate) fn approval(text: &str) -> Result<Approval, Refused> {
    word(text, "approval", &[("automatic", Approval::Automatic), ("manual", Approval::Manual)])
}

/// Reads whether a server has to answer.
pub(crate) fn reach(text: &str) -> Result<Reach, Refused> {
    word(text, "requirement", &[("required", Reach::Required), ("optional", Reach::Optional)])
}

/// Reads a day of the week.
pub(crate) fn weekday(text: &str) -> Result<Weekday, Refused> {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    let days = [Mon, Tue, Wed, Thu, Fri, Sat, Sun];
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let words: Vec<_> = names.into_iter().zip(days).collect();
    word(text, "day", &words)
}

/// Reads an image reference; registries judge the rest of it.
pub(crate) fn reference(text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.len() > 512 || text.bytes().any(|b| !b.is_ascii_graphic()) {
        return refused(
            "an image reference has 1 to 512 printable ASCII characters and no space",
            "write it like \"registry.example/app:1.0\"",
        );
    }
    Ok(text.to_owned())
}

/// Reads a digest pin.
pub(crate) fn digest(text: &str) -> Result<Sha256, Refused> {
    match text.strip_prefix("sha256:") {
        Some(hex) => Sha256::parse(hex),
        None => refused(
            "a digest pin starts with sha256:",
            "copy the manifest's digest from the layout's index.json",
        ),
    }
}
