//! The commented example for a new project, and the examples that findings quote from it.

use toml::de::{DeTable, DeValue};

/// The recipe that `coracle new` writes: valid as it stands, every key in it, the optional lists commented out.
pub fn template() -> &'static str {
    include_str!("template.toml")
}

/// The template with every setting switched on.
pub(crate) fn complete() -> String {
    let on = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    };
    template().lines().flat_map(|line| [on(line), "\n"]).collect()
}

/// How the template writes a key of a section, such as `esp = "512MiB"`.
pub(crate) fn example(section: &str, key: &str) -> Option<String> {
    let text = complete();
    let root = DeTable::parse(&text).ok()?.into_inner();
    let mut table = &root;
    let mut parts = section.split('.').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let next = parts.peek().copied().unwrap_or(key);
        table = match table.get(part)?.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(array) => {
                let mut tables = array.iter().filter_map(|one| one.get_ref().as_table());
                tables.find(|table| table.contains_key(next))?
            }
            _ => return None,
        };
    }
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    let heading = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    let inline = text.get(name.span().start..value.span().end);
    match value.get_ref() {
        DeValue::Table(_) if inline.is_none_or(|text| !text.contains('=')) => Some(format!("[{heading}]")),
        DeValue::Array(array) if array.iter().any(|one| one.get_ref().is_table()) => {
            Some(format!("[[{heading}]]"))
        }
        _ => inline.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;
    use crate::read::keys;

    #[test]
    fn template_is_a_recipe_with_and_without_its_options() {
        let plain = Recipe::parse(template(), "coracle.toml").map_err(|f| f.to_string());
        assert!(plain.is_ok(), "{plain:?}");
        // Both cannot hold at once, so the digest stays out here.
        let full = complete().replace("sha256 = \"0", "# sha256 = \"0");
        let full = Recipe::parse(&full, "coracle.toml").map_err(|f| f.to_string());
        assert_eq!(full.map(|r| (r.images.len(), r.pods.len(), r.files.len())), Ok((1, 1, 1)));
    }

    #[test]
    fn template_shows_every_key() {
        let sections = [
            "",
            "kernel",
            "image",
            "images",
            "pods",
            "files",
            "console",
            "state",
            "boot",
            "update",
            "update.lock",
            "update.windows",
            "update.blackouts",
            "update.health",
            "update.health.gates",
        ];
        for section in sections {
            for key in keys(section).unwrap_or_default() {
                assert!(example(section, key).is_some(), "{section}.{key}");
            }
        }
        assert_eq!(example("image", "esp").as_deref(), Some("esp = \"512MiB\""));
        assert_eq!(example("", "kernel").as_deref(), Some("[kernel]"));
        assert_eq!(example("", "files").as_deref(), Some("[[files]]"));
        assert_eq!(example("update", "health").as_deref(), Some("[update.health]"));
        assert_eq!(example("update.health", "gates").as_deref(), Some("[[update.health.gates]]"));
        assert!(example("update", "lock").is_some_and(|text| text.starts_with("lock = { fleetlock")));
    }
}
