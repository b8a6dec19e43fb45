//! The most that what is built may have: the table in `docs/recipe.md`.

use coracle_recipe::Recipe;
use coracle_recipe::recipe::KernelProfile;

use crate::Error;
use crate::release::Summary;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const ROOT: u64 = 6 * MIB;
const UKI: u64 = 8 * MIB;
const FULL_UKI: u64 = 12 * MIB;
const STAGE1: u64 = 600 * KIB;
const INIT: u64 = 1536 * KIB;

/// The budget of a file by its suffix, or of a part by its name.
pub fn of(recipe: &Recipe, what: &str) -> Option<u64> {
    let (whole, default) = (recipe.image.budget.get(), recipe.kernel.profile.budget().get());
    let raised = |budget: u64| if whole > default { budget.max(whole) } else { budget };
    match what {
        "raw.zst" => Some(whole),
        "root" => Some(raised(ROOT)),
        "efi" => Some(raised(match recipe.kernel.profile {
            KernelProfile::Virtio => UKI,
            KernelProfile::Full => FULL_UKI,
        })),
        "stage1.zst" => Some(STAGE1),
        "init" => Some(INIT),
        _ => None,
    }
}

/// Refuses what is over its budget.
pub fn hold(recipe: &Recipe, summary: &Summary) -> Result<(), Error> {
    let files = summary.files.iter().map(|(name, file)| (name.as_str(), file));
    let parts = summary.parts.iter().map(|(name, file)| (*name, file));
    for (name, file) in files.chain(parts) {
        let Some(budget) = file.budget.filter(|budget| file.bytes > *budget) else { continue };
        let cure = match budget {
            STAGE1 | INIT => {
                "build the programs with cargo's profile `device`, as `./dev build` does".to_owned()
            }
            _ => {
                let default = recipe.kernel.profile.budget();
                format!("put less in, or raise `image.budget` in the recipe above {default}")
            }
        };
        return Err(Error::OverBudget { file: name.to_owned(), len: file.bytes, budget, cure });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::File;

    fn recipe(text: &str) -> Recipe {
        Recipe::parse(&format!("name = \"edge\"\nversion = \"1.0.0\"\n{text}"), "coracle.toml").unwrap()
    }

    #[test]
    fn budgets_follow_profile_and_recipe() {
        let of = |text: &str| {
            ["raw.zst", "root", "efi", "stage1.zst", "init", "qcow2"].map(|what| of(&recipe(text), what))
        };
        let fixed = [Some(600 * KIB), Some(1536 * KIB), None];
        let with = |rest: [Option<u64>; 3]| [rest[0], rest[1], rest[2], fixed[0], fixed[1], fixed[2]];
        let virtio = "[kernel]\nprofile = \"virtio\"\n";
        for (text, want) in [
            ("".to_owned(), [Some(16 * MIB), Some(6 * MIB), Some(12 * MIB)]),
            ("[image]\nbudget = \"20MiB\"".to_owned(), [Some(20 * MIB); 3]),
            (virtio.to_owned(), [Some(12 * MIB), Some(6 * MIB), Some(8 * MIB)]),
            (format!("{virtio}[image]\nbudget = \"7MiB\""), [Some(7 * MIB), Some(6 * MIB), Some(8 * MIB)]),
            (format!("{virtio}[image]\nbudget = \"64MiB\""), [Some(64 * MIB); 3]),
        ] {
            assert_eq!(of(&text), with(want), "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_named_with_its_cure() {
        let recipe = recipe("");
        let file = |bytes, what| File { bytes, sha256: String::new(), budget: super::of(&recipe, what) };
        let mut summary = Summary::default();
        summary.files.insert("edge_1.0.0.raw".to_owned(), file(u64::MAX, "raw"));
        summary.files.insert("edge_1.0.0.root".to_owned(), file(ROOT, "root"));
        summary.parts.insert("init", file(INIT, "init"));
        assert!(hold(&recipe, &summary).is_ok());
        summary.parts.insert("stage1.zst", file(STAGE1 + 1, "stage1.zst"));
        let said = hold(&recipe, &summary).unwrap_err().to_string();
        assert_eq!(
            said,
            "stage1.zst has 614401 bytes, its budget is 614400: build the programs with cargo's profile `device`, as \
             `./dev build` does"
        );
        summary.files.insert("edge_1.0.0.root".to_owned(), file(ROOT + 1, "root"));
        let said = hold(&recipe, &summary).unwrap_err().to_string();
        assert!(
            said.starts_with("edge_1.0.0.root has 6291457 bytes, its budget is 6291456: put less in"),
            "{said}"
        );
        assert!(said.ends_with("above 16MiB"), "{said}");
    }
}
