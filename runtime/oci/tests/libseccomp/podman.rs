//! podman's default profile, as it stands in `config.json` for a set of capabilities.

use oci_spec::runtime::LinuxSeccomp;
use serde_json::Value;

const PROFILE: &str = "/usr/share/containers/seccomp.json";
/// What podman gives root.
pub const ROOT: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The profile without the rules that are not for x86-64 or not for these capabilities; with another default, if one is given.
pub fn profile(caps: &[&str], default: Option<(&str, Option<u32>)>) -> LinuxSeccomp {
    let mut profile: Value = serde_json::from_slice(&std::fs::read(PROFILE).unwrap()).unwrap();
    let any = |rule: &Value, list: &str, of: &str, known: &[&str]| {
        let words = rule[list][of].as_array().map_or(&[][..], Vec::as_slice);
        (!words.is_empty()).then(|| words.iter().any(|word| known.contains(&word.as_str().unwrap())))
    };
    profile["syscalls"].as_array_mut().unwrap().retain(|rule| {
        any(rule, "includes", "arches", &["amd64"]).unwrap_or(true)
            && any(rule, "includes", "caps", caps).unwrap_or(true)
            && !any(rule, "excludes", "arches", &["amd64"]).unwrap_or(false)
            && !any(rule, "excludes", "caps", caps).unwrap_or(false)
    });
    if let Some((action, errno)) = default {
        profile["defaultAction"] = action.into();
        profile["defaultErrnoRet"] = errno.into();
    }
    profile["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"].as_slice().into();
    serde_json::from_value(profile).unwrap()
}
