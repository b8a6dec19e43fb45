//! JSON Schema of the document, for editors.

use crate::document::Document;

/// The schema of `coracle.toml` (JSON Schema 2020-12), from the same types that the parser reads.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::complete;
    use serde_json::Value;
    use toml::Table;

    /// The object schema behind references, lists and `null` alternatives.
    fn object<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
        if schema.get("properties").is_some() {
            return Some(schema);
        }
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return object(root, root.pointer(name.strip_prefix('#')?)?);
        }
        if let Some(items) = schema.get("items") {
            return object(root, items);
        }
        let any = schema.get("anyOf")?.as_array()?;
        any.iter().find_map(|one| object(root, one))
    }

    /// Each key of these tables is a property with a description; how many there were.
    fn held(root: &Value, of: &Value, table: &Table, path: &str) -> usize {
        table
            .iter()
            .map(|(key, value)| {
                let path = format!("{path}.{key}");
                let entry = &of["properties"][key];
                assert!(entry.get("description").is_some(), "{path}");
                let inner: Vec<&Table> = match value {
                    toml::Value::Table(table) => vec![table],
                    toml::Value::Array(list) => list.iter().filter_map(toml::Value::as_table).collect(),
                    _ => Vec::new(),
                };
                let below = inner.into_iter().map(|table| {
                    let of = object(root, entry).unwrap_or_else(|| panic!("{path}: {entry}"));
                    assert_eq!(of["additionalProperties"], false, "{path}");
                    held(root, of, table, &path)
                });
                1 + below.sum::<usize>()
            })
            .sum()
    }

    #[test]
    fn every_key_of_the_template_is_in_the_schema() {
        let schema = json_schema();
        let table: Table = complete().parse().unwrap();
        let seen = held(&schema, &schema, &table, "");
        assert!(seen > 50, "{seen}");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["name", "version"]));
    }
}
