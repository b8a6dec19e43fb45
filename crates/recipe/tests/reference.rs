//! What `docs/` says of recipes is what the parser reads.

use coracle_recipe::{Recipe, json_schema};
use serde_json::{Map, Value};

const REFERENCE: &str = include_str!("../../../docs/recipe.md");
const SCHEMA: &str = include_str!("../../../docs/coracle.schema.json");

/// The part of the page below this heading.
fn section(heading: &str) -> &'static str {
    let after = REFERENCE.split_once(&format!("\n## {heading}\n")).map(|(_, after)| after);
    after.and_then(|after| after.split("\n## ").next()).unwrap_or_else(|| panic!("no section {heading}"))
}

/// The first column of the first table in a section.
fn rows(section: &str) -> Vec<&str> {
    let table =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

/// The properties of an object in the schema, behind its reference and beside `null`.
fn properties<'s>(schema: &'s Value, value: &'s Value) -> Option<&'s Map<String, Value>> {
    if let Some(alternatives) = value.get("anyOf").and_then(Value::as_array) {
        return alternatives.iter().find_map(|one| properties(schema, one));
    }
    let pointer = value.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    let object = pointer.map_or(Some(value), |pointer| schema.pointer(pointer))?;
    object.get("properties").and_then(Value::as_object)
}

/// Holds a table of the page to an object, and those of its own tables; how many there were.
fn hold(schema: &Value, object: &Map<String, Value>, heading: &str, path: &str) -> usize {
    let (mut plain, mut tables) = (Vec::new(), 1);
    for (name, value) in object {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (inner, heading) = match value.get("items") {
            Some(items) => (properties(schema, items), format!("`[[{path}]]`")),
            None => (properties(schema, value), format!("`[{path}]`")),
        };
        match inner {
            Some(inner) => tables += hold(schema, inner, &heading, &path),
            None => plain.push(name.as_str()),
        }
    }
    let section = section(heading);
    let mut have = rows(section);
    have.sort_unstable();
    plain.sort_unstable();
    assert_eq!(have, plain, "{heading}");
    assert!(section.contains("\n```toml\n"), "{heading} has no example");
    tables
}

#[test]
fn every_key_has_a_row_in_its_table() {
    let schema = json_schema();
    assert_eq!(hold(&schema, properties(&schema, &schema).unwrap(), "The top", ""), 15);
}

#[test]
fn the_examples_together_are_a_recipe() {
    let fenced = REFERENCE.split("\n```toml\n").skip(1);
    let examples: String = fenced.filter_map(|rest| rest.split("```").next()).collect();
    let recipe = Recipe::parse(&examples, "coracle.toml").map_err(|findings| findings.to_string());
    assert_eq!(recipe.map(|recipe| (recipe.images.len(), recipe.files.len())), Ok((1, 1)));
}

/// `coracle schema >docs/coracle.schema.json` makes it so.
#[test]
fn the_published_schema_is_the_one_that_is_printed() {
    assert_eq!(serde_json::from_str::<Value>(SCHEMA).unwrap(), json_schema());
}
