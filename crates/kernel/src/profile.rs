//! Profiles: which fragments make which kernel. The fragments are part of the program, so a builder needs no checkout.

use crate::fragment::{self, Setting};
use std::str::FromStr;

const BASE: (&str, &str) = ("base.config", include_str!("../../../kernel-config/base.config"));
const CONTAINER: (&str, &str) = ("container.config", include_str!("../../../kernel-config/container.config"));
const BOOT: (&str, &str) = ("boot.config", include_str!("../../../kernel-config/boot.config"));
const VIRTIO: (&str, &str) = ("virtio.config", include_str!("../../../kernel-config/virtio.config"));
const GUEST: (&str, &str) = ("guest.config", include_str!("../../../kernel-config/guest.config"));
const METAL: (&str, &str) = ("metal.config", include_str!("../../../kernel-config/metal.config"));
const CLOUD: (&str, &str) = ("cloud.config", include_str!("../../../kernel-config/cloud.config"));
const OFF: (&str, &str) = ("off.config", include_str!("../../../kernel-config/off.config"));

/// Which machines the kernel runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Virtual machines with virtio devices only.
    Virtio,
    /// Also bare metal and the large clouds.
    Full,
}

impl Profile {
    /// The name on the command line and in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Virtio => "virtio",
            Profile::Full => "full",
        }
    }

    /// Its fragments as `(file name, text)`, in order.
    pub fn fragments(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Profile::Virtio => &[BASE, CONTAINER, BOOT, VIRTIO, GUEST, OFF],
            Profile::Full => &[BASE, CONTAINER, BOOT, VIRTIO, METAL, CLOUD, OFF],
        }
    }

    /// Every option it asks for, those that must stay off included.
    pub fn settings(self) -> Result<Vec<Setting>, fragment::Error> {
        fragment::merge(self.fragments())
    }
}

/// No profile has this name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no profile `{0}`: there are virtio and full")]
pub struct Unknown(String);

impl FromStr for Profile {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        [Profile::Virtio, Profile::Full]
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| Unknown(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::Value;

    #[test]
    fn every_group_of_every_fragment_has_a_reason() {
        for profile in [Profile::Virtio, Profile::Full] {
            assert!(profile.settings().unwrap().len() > 200, "{profile:?}");
        }
    }

    #[test]
    fn off_config_only_turns_off() {
        let off = fragment::merge(&[OFF]).unwrap();
        assert!(off.iter().all(|setting| setting.value == Value::Off));
        for symbol in
            ["MODULES", "KEXEC", "DEVMEM", "PROC_KCORE", "IA32_EMULATION", "BINFMT_MISC", "DEBUG_FS"]
        {
            assert!(off.iter().any(|setting| setting.symbol == symbol), "{symbol}");
        }
    }

    #[test]
    fn names_round_trip() {
        assert_eq!("virtio".parse(), Ok(Profile::Virtio));
        assert_eq!("full".parse(), Ok(Profile::Full));
        assert_eq!("tiny".parse::<Profile>(), Err(Unknown("tiny".into())));
    }
}
