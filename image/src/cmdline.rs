//! The kernel command line that the UKI carries.

use coracle_layout::{RootHash, cmdline};
use coracle_recipe::Recipe;
use coracle_recipe::recipe::{KernelProfile, OnStateFailure};

/// The command line for a recipe and a root.
pub fn text(recipe: &Recipe, root: &RootHash) -> String {
    let state = match recipe.on_state_failure {
        OnStateFailure::Recover => cmdline::STATE_RECOVER,
        OnStateFailure::Volatile => cmdline::STATE_VOLATILE,
    };
    let mut words = vec![
        format!("{}={root}", cmdline::ROOT_HASH),
        format!("{}={state}", cmdline::STATE),
        format!("{}={}", cmdline::DEADLINE, recipe.boot_deadline.get().as_secs()),
        format!("{}={}", cmdline::HOST_NAME, recipe.name.as_str()),
        format!("{}=dhcp", cmdline::IP),
        // Without it Linux does not look for the backup table: a power cut while the primary is written would be the end.
        "gpt".to_owned(),
    ];
    words.extend(recipe.console.devices.iter().map(|device| format!("console={}", device.as_str())));
    words.push(format!("loglevel={}", recipe.console.loglevel.get()));
    words.push(format!("{}=-1", cmdline::PANIC));
    if recipe.kernel.profile == KernelProfile::Virtio {
        // Its check loses against a busy host's scheduler; on KVM Linux skips it by itself, on an emulator it does not.
        words.push("no_timer_check".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_recipe() {
        let recipe = "name=\"edge\"\nversion=\"1.0.0\"\n[kernel]\nprofile=\"virtio\"\n[console]\ndevices=[\"tty0\",\"ttyS0,115200\"]\nloglevel=6\n\
                      [state]\non_failure=\"volatile\"\n[boot]\ndeadline=\"90s\"\n";
        let recipe = Recipe::parse(recipe, "coracle.toml").unwrap();
        let line = text(&recipe, &RootHash::new([0xab; 32]));
        let want = format!(
            "roothash={} coracle.state=volatile coracle.deadline=90 systemd.hostname=edge ip=dhcp gpt \
             console=tty0 console=ttyS0,115200 loglevel=6 panic=-1 no_timer_check",
            "ab".repeat(32)
        );
        assert_eq!(line, want);
    }
}
