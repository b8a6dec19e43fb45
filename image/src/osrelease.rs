//! The text of os-release(5).

use coracle_recipe::Recipe;

/// What the image says of itself, to its programs and to the boot menu.
pub fn text(recipe: &Recipe) -> String {
    let (name, version) = (recipe.name.as_str(), recipe.version);
    format!(
        "ID=coracle\n\
         NAME=Coracle\n\
         PRETTY_NAME=\"Coracle {name} {version}\"\n\
         VERSION_ID={version}\n\
         IMAGE_ID={name}\n\
         IMAGE_VERSION={version}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_assignment_that_a_shell_reads() {
        let recipe = Recipe::parse("name=\"edge\"\nversion=\"1.2.3\"", "coracle.toml").unwrap();
        let script = format!("set -eu\n{}printf %s \"$PRETTY_NAME $IMAGE_VERSION\"", text(&recipe));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Coracle edge 1.2.3 1.2.3");
    }
}
